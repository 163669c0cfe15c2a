"""What the simulated models share. It runs inside their images, with nothing but Python, NumPy and PyAV.

A simulated model has the command line, lines, bars, files and failures of the real one, but no GPU and no weights.
It knows nothing of `cosmos_ops`: it is a second reading of what NVIDIA documents.
"""

import errno
import hashlib
import json
import os
import re
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np

COUNT = Path("/count")
BLOCKED_WORD = "BLOCKME"
FULL_BLOCK = "█"
PART_BLOCKS = " ▏▎▍▌▋▊▉"
BAR_WIDTH = 10


class OutOfMemoryError(RuntimeError):
    """Named in tracebacks as PyTorch names it."""


OutOfMemoryError.__module__ = "torch"


@dataclass(frozen=True)
class Settings:
    """How fast and how large a simulated model works."""

    start_s: float
    """Seconds from the start of the process until it begins to load."""
    load_s: float
    """Seconds that loading the model takes."""
    load_part_s: float
    """Seconds for each part of the model beside that, where the model has parts."""
    warm_share: float
    """Share of the load that remains when the machine has read the files before."""
    step_s: float
    """Seconds of a sampling step, or of a clip where the model says nothing between."""
    control_share: float
    """What each control adds to a step, as a share of it."""
    chunk_s: float
    """Seconds that a chunk takes beside its steps."""
    sample_s: float
    """Seconds that a sample takes beside its chunks."""
    scale: int
    """What the sides of generated videos are divided by."""
    job: Path
    """The folder of the job, where an `order=wait` looks for the file `go`."""

    @classmethod
    def read(cls) -> "Settings":
        """The settings of this process."""
        env = os.environ
        return cls(
            start_s=float(env.get("SIM_START_S", "0")),
            load_s=float(env.get("SIM_LOAD_S", "0")),
            load_part_s=float(env.get("SIM_LOAD_PART_S", "0")),
            warm_share=float(env.get("SIM_WARM_SHARE", "1")),
            step_s=float(env.get("SIM_STEP_S", "0")),
            control_share=float(env.get("SIM_CONTROL_SHARE", "0")),
            chunk_s=float(env.get("SIM_CHUNK_S", "0")),
            sample_s=float(env.get("SIM_SAMPLE_S", "0")),
            scale=int(env.get("SIM_SCALE", "8")),
            job=Path(env.get("SIM_JOB", "/cosmos/job")),
        )

    def scaled(self, size: tuple[int, int]) -> tuple[int, int]:
        """The width and height to write a video with that the real model writes with `size`; both are even."""
        width, height = (max(16, 2 * round(side / self.scale / 2)) for side in size)
        return width, height


class VideoInfo(NamedTuple):
    """What a video is, by its decoded pictures."""

    frames: int
    fps: float
    width: int
    height: int


def orders(text: object) -> dict[str, str]:
    """The orders in the text of a prompt, as `order=slow:2.5`: name to value, which may be empty."""
    found = re.findall(r"order=([a-z]+)(?::(\d+(?:\.\d+)?))?", text if isinstance(text, str) else "")
    return dict(found)


def obey(given: Mapping[str, str]) -> None:
    """Carry out the orders that hit a sample while it is sampled.

    Orders for other moments are for the model: `block`, `diskfull` (see `fill_disk`) and `slow` (see `step`).
    """
    if "wait" in given:
        go = Settings.read().job / "go"
        while not go.exists():
            time.sleep(0.05)
    if "crash" in given:
        raise RuntimeError("CUDA error: device-side assert triggered")
    if "oom" in given:
        raise OutOfMemoryError(
            "CUDA out of memory. Tried to allocate 71.19 GiB. GPU 0 has a total capacity of 79.10 GiB of which 20.41 GiB is free."
        )
    if "kill" in given:
        os.kill(os.getpid(), signal.SIGKILL)
    while "hang" in given:
        time.sleep(3600)


def load(parts: int, files: Iterable[str]) -> None:
    """Take the time of start and load, that of the program itself included.

    Files are warm once a process has read them; that is known where `/count` is mounted.
    """
    settings = Settings.read()
    marks = [COUNT / f"read-{digest_of(name)[:16]}" for name in files]
    share = settings.warm_share if all(mark.exists() for mark in marks) else 1.0
    own_s = _age_s() if settings.start_s else 0.0
    rest(settings.start_s + share * (settings.load_s + parts * settings.load_part_s) - own_s)
    for mark in marks if COUNT.is_dir() else ():
        mark.touch()


def _age_s() -> float:
    """For how long this process has been there, on Linux."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")


def step_seconds(controls: int = 0) -> float:
    """What a sampling step takes."""
    settings = Settings.read()
    return settings.step_s * (1 + controls * settings.control_share)


def step(given: Mapping[str, str]) -> None:
    """Take the time of a sampling step, or of a silent clip."""
    time.sleep(step_seconds() + _slow_s(given))


class Pace:
    """Steps that begin when they should, so that being late with one delays no other."""

    def __init__(self) -> None:
        self._due = time.monotonic()

    def step(self, given: Mapping[str, str], controls: int) -> None:
        """Take the time of a sampling step."""
        self._due += step_seconds(controls) + _slow_s(given)
        rest(self._due - time.monotonic())


def _slow_s(given: Mapping[str, str]) -> float:
    return float(given.get("slow") or 0)


def rest(seconds: float) -> None:
    """Take the time that is left, if any is."""
    time.sleep(max(0.0, seconds))


def is_blocked(text: object) -> bool:
    """Whether the guardrail blocks a text."""
    return isinstance(text, str) and (BLOCKED_WORD in text or "block" in orders(text))


def fill_disk(path: str | Path) -> None:
    """Leave half a video behind and fail as on a full disk."""
    Path(path).write_bytes(bytes(1000))
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def count_start(name: str) -> None:
    """Leave a line in `/count/started`, where that is mounted."""
    if COUNT.is_dir():
        with (COUNT / "started").open("a") as file:
            file.write(f"{name}\n")


def rank() -> int:
    """The rank that torchrun gave this process; 0 without it."""
    return int(os.environ.get("RANK", "0"))


def log_line(level: str, path: str, line: int, func: str, message: str, *, job: str | None = None) -> str:
    """A line of the log in the format of the Cosmos repositories; those of Cosmos 3 have a `job`."""
    parts = [f"{datetime.now():%m-%d %H:%M:%S}", *([] if job is None else [f"job={job}"]), level, f"{path}:{line}:{func}"]
    return f"[{'|'.join(parts)}] {message}"


def log(level: str, path: str, line: int, func: str, message: str, *, job: str | None = None) -> None:
    """Print a line of the log on stdout, at once, from rank 0 only."""
    if rank() == 0:
        print(log_line(level, path, line, func, message, job=job), flush=True)


def bar(description: str, done: int, total: int, seconds: float) -> None:
    """Draw a progress bar on stderr over the one before, as tqdm does; the last one ends its line."""
    prefix = f"{description}: " if description else ""
    elapsed, remaining, rate = _clock(seconds), "?", "?it/s"
    if done and seconds > 0:
        remaining = _clock((total - done) * seconds / done)
        rate = f"{done / seconds:5.2f}it/s" if done > seconds else f"{seconds / done:5.2f}s/it"
    counts = f"{done}/{total} [{elapsed}<{remaining}, {rate}]"
    sys.stderr.write(f"\r{prefix}{100 * done / total:3.0f}%|{_blocks(done / total)}| {counts}")
    if done == total:
        sys.stderr.write("\n")
    sys.stderr.flush()


def _clock(seconds: float) -> str:
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute:02d}:{second:02d}"


def _blocks(share: float) -> str:
    is_unicode = (sys.stderr.encoding or "").lower().startswith("utf")
    full, parts = (FULL_BLOCK, PART_BLOCKS) if is_unicode else ("#", " 123456789")
    whole, part = divmod(int(share * BAR_WIDTH * len(parts)), len(parts))
    return (full * whole + (parts[part] if whole < BAR_WIDTH else "")).ljust(BAR_WIDTH)


def file_digest(path: str | Path) -> str:
    """The SHA-256 of what is in a file."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def digest_of(source: object) -> str:
    """The SHA-256 of values; the order within lists counts, that of keys does not."""
    return hashlib.sha256(json.dumps(source, sort_keys=True, default=str).encode()).hexdigest()


def video_info(path: str | Path) -> VideoInfo:
    """Decode a whole video.

    Raises:
        ValueError: It cannot be opened or decoded, or has no picture; with the words of Transfer1.
    """
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            frames = sum(1 for _ in container.decode(stream))
            context, rate = stream.codec_context, stream.average_rate
            info = VideoInfo(frames, float(rate or 0), context.width, context.height)
    except (av.FFmpegError, IndexError) as error:
        raise ValueError(f"Failed to load video frames from {path}") from error
    if not info.frames:
        raise ValueError(f"Failed to load video frames from {path}")
    return info


def write_video(path: str | Path, *, frames: int, fps: float, size: tuple[int, int], source: Any) -> str:
    """Write an H.264 mp4 whose pictures follow from `source`, and return the digest of that.

    Everything that decides the result belongs into `source`: equal values give equal bytes, on every machine. The digest
    is the comment of the file as well. `size` is taken as it is; see `Settings.scaled`. The file grows in its place.
    """
    digest = digest_of([source, frames, fps, size])
    colours = np.frombuffer(bytes.fromhex(digest), np.uint8)[:9].reshape(3, 3)
    width, height = size
    rows, columns = np.mgrid[0:height, 0:width]
    with av.open(str(path), "w", format="mp4") as container:
        container.metadata["comment"] = digest
        rate = Fraction(fps).limit_denominator(1001)
        options = {"preset": "ultrafast", "threads": "1"}
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(frames):
            bands = (columns + rows + 2 * index) * 3 // (width + height) % 3
            frame = av.VideoFrame.from_ndarray(colours[bands], format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))
    return digest


def video_digest(path: str | Path) -> str:
    """The digest that `write_video` left in a video; empty for other videos."""
    with av.open(str(path)) as container:
        return str(container.metadata.get("comment", ""))
