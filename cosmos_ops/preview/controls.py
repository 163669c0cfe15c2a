"""Controls computed from a video: blurred colour, edges, depth and segmentation, by stated rules.

Depth and segmentation are estimates from position and colour; they remember earlier frames to stay calm over time.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cosmos_ops.media.frames import Picture

STRENGTHS = ("very_low", "low", "medium", "high", "very_high")
BLUR_SIGMA_PX = dict(zip(STRENGTHS, (1.0, 2.0, 4.0, 8.0, 16.0), strict=True))
"""Standard deviation for a video of 720 lines; it scales with the height."""
CANNY_THRESHOLDS = dict(zip(STRENGTHS, ((20, 50), (50, 100), (100, 200), (200, 300), (300, 400)), strict=True))
SEGMENT_COLOURS = np.array(
    [(68, 1, 84), (70, 50, 127), (54, 92, 141), (39, 127, 142), (31, 161, 135), (74, 194, 109), (159, 218, 58), (253, 231, 37)],
    np.uint8,
)
"""Flat colours of computed segments, from the darkest to the lightest class (the map viridis)."""


class ControlMaker:
    """Computes the named controls of one video, frame by frame in order."""

    def __init__(self, names: list[str], *, blur_strength: str, edge_threshold: str) -> None:
        self._names = names
        self._blur_strength = blur_strength
        self._edge_threshold = edge_threshold
        self._depth = DepthEstimator()
        self._segments = Segmenter()

    def make(self, picture: Picture) -> dict[str, Picture]:
        """The controls of the next frame."""
        makers = {
            "vis": lambda: blurred(picture, self._blur_strength),
            "edge": lambda: edges(picture, self._edge_threshold),
            "depth": lambda: self._depth.estimate(picture),
            "seg": lambda: self._segments.segment(picture),
        }
        return {name: makers[name]() for name in self._names}


def blurred(picture: Picture, strength: str) -> Picture:
    """The colours without the detail."""
    sigma = BLUR_SIGMA_PX[strength] * picture.shape[0] / 720
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), max(sigma, 0.3)), np.uint8)


def edges(picture: Picture, threshold: str) -> Picture:
    """Canny edges, white on black."""
    return _grey(cv2.Canny(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), *CANNY_THRESHOLDS[threshold]))


class DepthEstimator:
    """Nearness from 0 (far) to 255: low in the picture, saturated and rich in detail counts as near."""

    def __init__(self) -> None:
        self._calm: NDArray[np.floating[Any]] | None = None

    def estimate(self, picture: Picture) -> Picture:
        """55 % height in the picture, 25 % local detail, 20 % saturation; 80 % of the last estimate is kept."""
        height = picture.shape[0]
        sigma = max(1.0, height / 40)
        hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
        light = hsv[:, :, 2].astype(np.float32) / 255
        detail = cv2.GaussianBlur(np.abs(light - cv2.GaussianBlur(light, (0, 0), 2)), (0, 0), sigma)
        saturation = cv2.GaussianBlur(hsv[:, :, 1].astype(np.float32) / 255, (0, 0), sigma)
        rise = np.clip((np.arange(height, dtype=np.float32)[:, None] / height - 0.25) / 0.75, 0, 1)
        near = 0.55 * rise + 0.25 * np.clip(detail * 14, 0, 1) + 0.20 * saturation
        self._calm = near if self._calm is None else 0.8 * self._calm + 0.2 * near
        return _grey(np.clip(self._calm * 255, 0, 255).astype(np.uint8))


class Segmenter:
    """Eight flat classes of colour; the classes are found in the first frame and stay."""

    def __init__(self) -> None:
        self._centres: NDArray[np.floating[Any]] | None = None

    def segment(self, picture: Picture) -> Picture:
        """Nearest class in Lab after an edge-preserving blur at half size, with single pixels voted away."""
        half = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        lab = cv2.cvtColor(cv2.bilateralFilter(half, 7, 40, 5), cv2.COLOR_RGB2LAB).reshape(-1, 3).astype(np.float32)
        if self._centres is None:
            self._centres = _centres(lab)
        distances = -2 * lab @ self._centres.T + (self._centres**2).sum(1)
        classes = distances.argmin(axis=1).astype(np.uint8).reshape(half.shape[:2])
        classes = cv2.medianBlur(classes, 5)
        size = (picture.shape[1], picture.shape[0])
        return np.asarray(SEGMENT_COLOURS[cv2.resize(classes, size, interpolation=cv2.INTER_NEAREST)], np.uint8)


def _centres(lab: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Eight colours that stand for all, by ten rounds of k-means that start evenly over the lightness."""
    sample = lab[:: max(1, len(lab) // 20_000)]
    ordered = sample[sample[:, 0].argsort(kind="stable")]
    count = len(SEGMENT_COLOURS)
    centres = ordered[((np.arange(count) + 0.5) / count * len(ordered)).astype(int)]
    for _ in range(10):
        nearest = (((sample[:, None] - centres) ** 2).sum(2)).argmin(1)
        means = [sample[nearest == k].mean(axis=0) if (nearest == k).any() else centres[k] for k in range(count)]
        centres = np.array(means, np.float32)
    return np.asarray(centres[centres[:, 0].argsort(kind="stable")], np.float32)


def _grey(values: NDArray[np.uint8] | cv2.typing.MatLike) -> Picture:
    return np.repeat(np.asarray(values, np.uint8)[:, :, None], 3, axis=2)
