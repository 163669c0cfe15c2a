"""How Transfer1 reads a video: upright, and with frames repeated or dropped until all are equally far apart."""

from pathlib import Path

import av

from .program import VideoInfo, video_info


def upright(path: str | Path) -> VideoInfo:
    """A video as OpenCV gives it, which computes the controls.

    Raises:
        ValueError: It cannot be read; with the words of the real one.
    """
    info = video_info(path)
    with av.open(str(path)) as container:
        is_turned = next(container.decode(video=0)).rotation % 180 != 0
    return info._replace(width=info.height, height=info.width) if is_turned else info


def as_read(path: str | Path) -> VideoInfo:
    """A video as ffmpeg gives it, which writes pictures at a constant rate.

    Raises:
        ValueError: It cannot be read; with the words of the real one.
    """
    info = upright(path)
    with av.open(str(path)) as container:
        rate = container.streams.video[0].guessed_rate
        stamps = [frame.time for frame in container.decode(video=0) if frame.time is not None]
    if rate is None or len(stamps) < info.frames:
        return info
    return info._replace(frames=round((max(stamps) - min(stamps)) * float(rate)) + 1)
