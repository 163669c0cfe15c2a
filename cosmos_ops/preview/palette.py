"""How a look paints what a segmentation says: a table from the colour of a segment to a colour of the look."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmos_ops.preview.controls import SEGMENT_COLOURS
from cosmos_ops.preview.look import Look

Floats = NDArray[np.floating[Any]]

# What the segments of Cityscapes look like by neutral daylight (colours: labels.py of github.com/mcordts/cityscapesScripts).
DAYLIGHT: dict[tuple[int, int, int], tuple[float, float, float]] = {
    (128, 64, 128): (0.30, 0.31, 0.34),  # road
    (244, 35, 232): (0.62, 0.58, 0.54),  # pavement
    (70, 70, 70): (0.66, 0.55, 0.46),  # building
    (102, 102, 156): (0.55, 0.50, 0.46),  # wall
    (190, 153, 153): (0.50, 0.42, 0.36),  # fence
    (153, 153, 153): (0.28, 0.28, 0.30),  # pole
    (250, 170, 30): (0.95, 0.68, 0.20),  # traffic light
    (220, 220, 0): (0.92, 0.82, 0.25),  # traffic sign
    (107, 142, 35): (0.30, 0.44, 0.18),  # vegetation
    (152, 251, 152): (0.46, 0.56, 0.26),  # terrain
    (70, 130, 180): (0.66, 0.78, 0.92),  # sky
    (220, 20, 60): (0.82, 0.38, 0.30),  # person
    (255, 0, 0): (0.80, 0.30, 0.26),  # rider
    (0, 0, 142): (0.70, 0.20, 0.17),  # car
    (0, 0, 70): (0.30, 0.36, 0.48),  # truck
    (0, 60, 100): (0.80, 0.62, 0.22),  # bus
    (0, 80, 100): (0.40, 0.46, 0.50),  # train
    (0, 0, 230): (0.24, 0.24, 0.28),  # motorcycle
    (119, 11, 32): (0.42, 0.24, 0.22),  # bicycle
}
_CITYSCAPES_SKY = (70, 130, 180)
_REACH = 45.0


def segment_paint(look: Look) -> Floats:
    """Colours for all RGB triples with five bits each, shape (32768, 4): RGB, and how much it is sky.

    Colours near one of Cityscapes take its daylight colour; all others go by lightness from the look's ink over its haze
    to its upper sky, so that any segmentation is painted in the colours of the look.
    """
    levels = (np.arange(32, dtype=np.float32) * 8 + 4).astype(np.float32)
    cells = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    anchors = np.array([*DAYLIGHT, *map(tuple, SEGMENT_COLOURS.tolist())], np.float32)
    paints = np.array([*DAYLIGHT.values(), *_ramp(np.linspace(0, 1, len(SEGMENT_COLOURS), dtype=np.float32), look)], np.float32)
    squared = (cells**2).sum(1)[:, None] - 2 * cells @ anchors.T + (anchors**2).sum(1)
    nearest = squared.argmin(axis=1)
    share = np.exp(-np.maximum(squared.min(axis=1), 0) / _REACH**2)[:, None]
    lightness = cells @ np.array([0.299, 0.587, 0.114], np.float32) / 255
    colour = share * paints[nearest] + (1 - share) * _ramp(lightness, look)
    is_sky = (nearest == list(DAYLIGHT).index(_CITYSCAPES_SKY))[:, None] * share
    return np.hstack([colour, is_sky]).astype(np.float32)


def painted(segments: NDArray[np.uint8], table: Floats) -> Floats:
    """Look every pixel up, shape (height, width, 4)."""
    code = segments.astype(np.int32) >> 3
    return np.asarray(table[(code[..., 0] << 10) | (code[..., 1] << 5) | code[..., 2]], np.float32)


def _ramp(position: Floats, look: Look) -> Floats:
    stops = np.array(
        [(0.14, 0.15, 0.19), (0.52, 0.46, 0.42), look.haze if sum(look.haze) > 1.2 else (0.8, 0.8, 0.82)], np.float32
    )
    return np.stack([np.interp(position, (0, 0.5, 1), stops[:, k]) for k in range(3)], axis=-1).astype(np.float32)
