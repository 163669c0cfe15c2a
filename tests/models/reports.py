"""What the simulated Transfer2.5 and Cosmos 3 leave: their two log files, and images beside videos."""

import os
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np

from .program import Settings, digest_of, log_line, rank, write_video

CONSOLE_LOG = "console.log"
DEBUG_LOG = "debug.log"


class Log:
    """The log of a process: lines on stdout and in `console.log`, and everything in `debug.log`."""

    def __init__(self, folder: Path, *, job: str | None = None) -> None:
        self._job = job
        self._files = [folder / CONSOLE_LOG, folder / DEBUG_LOG]
        folder.mkdir(parents=True, exist_ok=True)
        if rank() == 0:
            for file in self._files:
                file.write_text("")

    def say(
        self,
        level: str,
        place: str,
        message: str,
        *,
        for_console: bool = True,
        from_all_ranks: bool = False,
    ) -> None:
        """Write a line; `place` is `path.py:LINE:function`."""
        if rank() and not from_all_ranks:
            return
        path, number, func = place.split(":")
        shown = f"[RANK {rank()}] {message}" if from_all_ranks else message
        line = log_line(level, path, int(number), func, shown, job=self._job)
        is_shown = for_console or os.environ.get("COSMOS_VERBOSE") == "1"
        if is_shown:
            # In one piece, so that lines of several ranks do not mix.
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
        for file in self._files if is_shown else self._files[1:]:
            with file.open("a") as opened:
                opened.write(f"{line}\n")


def save(stem: Path, *, frames: int, fps: float, size: tuple[int, int], source: Any) -> Path:
    """Write a video, or for one frame an image, under its real size divided by the scale; return its path."""
    scaled = Settings.read().scaled(size)
    path = stem.with_name(f"{stem.name}{extension(frames)}")
    if frames == 1:
        write_picture(path, size=scaled, source=source)
    else:
        write_video(path, frames=frames, fps=fps, size=scaled, source=source)
    return path


def extension(frames: int) -> str:
    return ".jpg" if frames == 1 else ".mp4"


def write_picture(path: Path, *, size: tuple[int, int], source: Any) -> str:
    """Write a JPEG whose colours follow from `source`, with the digest of that as its comment; return the digest."""
    digest = digest_of([source, size])
    width, height = size
    colours = np.frombuffer(bytes.fromhex(digest), np.uint8)[:12].reshape(2, 2, 3)
    frame = av.VideoFrame.from_ndarray(colours.repeat(height // 2, 0).repeat(width // 2, 1).copy(), format="rgb24")
    codec = av.CodecContext.create("mjpeg", "w")
    codec.width, codec.height, codec.pix_fmt, codec.time_base = width, height, "yuvj420p", 1
    data = b"".join(bytes(packet) for packet in [*codec.encode(frame.reformat(format="yuvj420p")), *codec.encode(None)])
    comment = digest.encode()
    path.write_bytes(data[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + data[2:])
    return digest
