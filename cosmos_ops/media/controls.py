"""Control videos that depend on nothing but the source: edges and blurred colour.

Transfer1 computes both itself, but with random strengths that depend on the place in the batch. The figures here are its
figures for a fixed strength (`control_input.py` and `augmentors.py` of github.com/nvidia-cosmos/cosmos-transfer1).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from cosmos_ops.errors import ParamsError
from cosmos_ops.media.convert import rewrite
from cosmos_ops.media.frames import Picture

CANNY_THRESHOLDS = {"very_low": (20, 50), "low": (50, 100), "medium": (100, 200), "high": (200, 300), "very_high": (300, 400)}
"""Lower and upper threshold; the higher they are, the fewer lines."""


@dataclass(frozen=True)
class Blur:
    """A bilateral filter, which works at half size to be 20 times faster, and a shrinking."""

    factor: int
    """How many times the picture is shrunk and enlarged again."""
    diameter_px: int
    sigma_colour: int
    sigma_space_px: int


# Transfer1 has three filters for five strengths (at full size, so twice as wide) and draws the factor from 4 to 17.
BLURS = {
    "very_low": Blur(4, 7, 100, 25),
    "low": Blur(7, 7, 100, 25),
    "medium": Blur(10, 15, 150, 50),
    "high": Blur(13, 25, 300, 75),
    "very_high": Blur(17, 25, 300, 75),
}

MODEL_PIXELS = 1280 * 704
"""About what all sizes of transfer1 have."""

# Lines are thin and hard: less loss than usual keeps them white.
_EDGE_CRF = 10
_BLUR_CRF = 14

_Value = TypeVar("_Value")


def write_edge(source: Path, target: Path, *, strength: str) -> None:
    """Write the control `edge`: Canny edges in white on black, with the frames, size and rate of the source.

    Raises:
        ParamsError: No such strength.
        VideoUnreadableError: The source is no video or breaks off.
        DiskFullError: No space is left; nothing of the file remains.
    """
    lower, upper = _chosen(CANNY_THRESHOLDS, strength)
    rewrite(source, target, lambda picture: edges(picture, lower, upper), crf=_EDGE_CRF)


def write_blur(source: Path, target: Path, *, strength: str) -> None:
    """Write the control `vis`: the colours without the detail, with the frames, size and rate of the source.

    Raises:
        ParamsError: No such strength.
        VideoUnreadableError: The source is no video or breaks off.
        DiskFullError: No space is left; nothing of the file remains.
    """
    blur = _chosen(BLURS, strength)
    rewrite(source, target, lambda picture: blurred(picture, blur), crf=_BLUR_CRF)


def edges(picture: Picture, lower: int, upper: int) -> Picture:
    """Canny edges of the colours: at every pixel the channel with the steepest slope counts.

    Of a picture that is larger than the model's they are drawn in its size and enlarged: thin lines would fade when the
    model shrinks them.
    """
    height_px, width_px = picture.shape[:2]
    lines = cv2.Canny(_as_the_model_sees(picture), lower, upper)
    full = np.asarray(cv2.resize(lines, (width_px, height_px), interpolation=cv2.INTER_NEAREST), np.uint8)
    return np.repeat(full[:, :, None], 3, axis=2)


def blurred(picture: Picture, blur: Blur) -> Picture:
    """The colours without the detail, as much as the model's own in its size."""
    full_height_px, full_width_px = picture.shape[:2]
    small = _blurred(_as_the_model_sees(picture), blur)
    return np.asarray(cv2.resize(small, (full_width_px, full_height_px), interpolation=cv2.INTER_CUBIC), np.uint8)


def _as_the_model_sees(picture: Picture) -> Picture:
    height_px, width_px = picture.shape[:2]
    scale = (MODEL_PIXELS / (height_px * width_px)) ** 0.5
    if scale >= 1:
        return picture
    size = (max(1, round(width_px * scale)), max(1, round(height_px * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _blurred(picture: Picture, blur: Blur) -> Picture:
    height_px, width_px = picture.shape[:2]
    half = cv2.resize(picture, _shrunk(width_px, height_px, 2), interpolation=cv2.INTER_AREA)
    smooth = cv2.bilateralFilter(half, blur.diameter_px, blur.sigma_colour, blur.sigma_space_px)
    small = cv2.resize(smooth, _shrunk(width_px, height_px, blur.factor), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width_px, height_px), interpolation=cv2.INTER_CUBIC), np.uint8)


def _shrunk(width_px: int, height_px: int, factor: int) -> tuple[int, int]:
    return max(1, width_px // factor), max(1, height_px // factor)


def _chosen(values: Mapping[str, _Value], strength: str) -> _Value:
    if strength not in values:
        raise ParamsError(f"unknown strength '{strength}' of a control; there are {', '.join(values)}")
    return values[strength]
