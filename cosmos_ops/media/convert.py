"""A video written again frame by frame: as the mp4 that every program reads, or with every picture changed."""

from collections.abc import Callable
from itertools import chain
from pathlib import Path

import cv2
import numpy as np

from cosmos_ops.media.frames import Picture, open_reader, open_writer, with_picture
from cosmos_ops.media.probe import probe
from cosmos_ops.media.timing import one_rate, restamped

# Losses are not seen, and a model that reads the file finds the detail of the source.
_CRF = 10


def to_mp4(source: Path, target: Path) -> None:
    """Write any readable video as H.264 mp4 with 8 bits and 4:2:0 colour: the same frames at the same rate, no sound.

    The frames stand upright. An odd width or height is made even by repeating the last column or row.

    Raises:
        VideoUnreadableError: The file is no video or breaks off.
        DiskFullError: No space is left; nothing of the file remains.
    """
    rewrite(source, target, lambda picture: picture, crf=_CRF)


def rewrite(source: Path, target: Path, change: Callable[[Picture], Picture], *, crf: int) -> None:
    """Write a video with every picture changed, with the same number and size of frames, at one rate.

    Raises:
        VideoUnreadableError: The file is no video or breaks off.
        DiskFullError: No space is left; nothing of the file remains.
    """
    fps = one_rate(source, probe(source))
    with open_reader(source) as frames:
        timed = restamped(frames, fps)
        first = next(timed)
        height_px, width_px = first.picture.shape[:2]
        with open_writer(target, width_px=width_px, height_px=height_px, fps=fps, time_base=first.time_base, crf=crf) as writer:
            for frame in chain([first], timed):
                writer.write(with_picture(frame, change(_sized(frame.picture, width_px, height_px))))


def _sized(picture: Picture, width_px: int, height_px: int) -> Picture:
    """The picture in the size of the first; recordings of calls change their size on the way."""
    if picture.shape[:2] == (height_px, width_px):
        return picture
    return np.asarray(cv2.resize(picture, (width_px, height_px), interpolation=cv2.INTER_AREA), np.uint8)
