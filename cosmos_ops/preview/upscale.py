"""The operation `upscale`: Lanczos enlargement and an unsharp mask."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from cosmos_ops.media.frames import Picture, open_reader, open_writer, with_picture
from cosmos_ops.media.probe import probe


def upscale(video: Path, target: Path, *, factor: int, sharpness: float, crf: int, on_frame: Callable[[int], None]) -> int:
    """Enlarge every frame and return their number; `on_frame` is told the number after each.

    Raises:
        VideoUnreadableError: The video breaks off.
        DiskFullError: No space is left; nothing of the file remains.
    """
    info = probe(video)
    with open_reader(video) as frames:
        first = next(frames)
        with open_writer(
            target,
            width_px=info.width_px * factor,
            height_px=info.height_px * factor,
            fps=info.fps,
            time_base=first.time_base,
            crf=crf,
            preset="ultrafast",
        ) as writer:
            writer.write(with_picture(first, enlarged(first.picture, factor, sharpness)))
            on_frame(1)
            for frame in frames:
                writer.write(with_picture(frame, enlarged(frame.picture, factor, sharpness)))
                on_frame(writer.frame_count)
    return writer.frame_count


def enlarged(picture: Picture, factor: int, sharpness: float) -> Picture:
    """Lanczos (8x8 taps), then an unsharp mask of radius `factor` / 2 pixels and amount 1.5 times `sharpness`."""
    height, width = picture.shape[:2]
    large = cv2.resize(picture, (width * factor, height * factor), interpolation=cv2.INTER_LANCZOS4)
    if sharpness > 0:
        amount = 1.5 * sharpness
        large = cv2.addWeighted(large, 1 + amount, cv2.GaussianBlur(large, (0, 0), factor / 2), -amount, 0)
    return np.asarray(large, np.uint8)
