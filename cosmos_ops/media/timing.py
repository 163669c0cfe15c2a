"""When frames are shown: at one rate from 0 on, without the rounding of the container they come from."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from cosmos_ops.media.frames import Frame
from cosmos_ops.media.streams import average_fps, open_stream, time_base
from cosmos_ops.videos import VideoInfo

DENOMINATOR_MAX = 1001
"""Of a rate: 24000/1001 is the finest that is in use."""


def even_fps(path: Path) -> Fraction | None:
    """The rate of a video whose frames are evenly spaced up to one tick of its container; None for any other.

    Matroska and WebM round to milliseconds: 24 frames per second become steps of 41 and 42, and read back as 23.98.

    Raises:
        VideoUnreadableError: The file is no video.
    """
    with open_stream(path) as (container, stream):
        packets = (packet for packet in container.demux(stream) if packet.size and not packet.is_discard)
        stamps = [packet.pts for packet in packets]
        fps, base = average_fps(stream), time_base(stream)
    known = np.sort(np.array([stamp for stamp in stamps if stamp is not None], np.int64))
    if len(known) < len(stamps):
        # Containers that keep no time stamps have one rate.
        return fps
    offsets_s = (known - known[:1]) * float(base) - np.arange(len(known)) / float(fps)
    return fps if (np.abs(offsets_s) < 1.01 * float(base)).all() else None


def one_rate(path: Path, info: VideoInfo) -> Fraction:
    """The rate at which a copy of a video is written: its own, or its average where the frames are unevenly spaced.

    Programs that read frames at one rate would double some of an uneven video, and leave others out.
    """
    return even_fps(path) or info.fps.limit_denominator(DENOMINATOR_MAX)


def restamped(frames: Iterator[Frame], fps: Fraction) -> Iterator[Frame]:
    """The same pictures from time 0 on, evenly spaced."""
    for index, frame in enumerate(frames):
        yield replace(frame, pts=index, duration=1, time_base=1 / fps)
