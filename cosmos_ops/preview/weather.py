"""What falls and drifts in front of the camera: seeded rain, snow and fog that move with the time of the video."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

_RAIN_DROPS = 300
_SNOW_FLAKES = 420


class Rain:
    """Slanted streaks in several depths; amount 1 is a downpour."""

    def __init__(self, rng: np.random.Generator, amount: float) -> None:
        count = int(_RAIN_DROPS * amount)
        self._x, self._y = rng.random(count), rng.random(count)
        self._near = rng.random(count) ** 2
        self._slant = float(rng.uniform(-0.16, 0.16))

    def overlay(self, seconds: float, height_px: int, width_px: int) -> Floats:
        """Brightness of the streaks, 0 to 1, shape (height_px, width_px)."""
        layer = np.zeros((height_px, width_px), np.uint8)
        speed = 1.3 + 1.5 * self._near
        fallen = self._y * 1.3 + speed * seconds
        top = np.mod(fallen, 1.3) - 0.15
        # A drop that starts again does so elsewhere.
        left = np.mod(self._x + 0.618 * np.floor(fallen / 1.3) + self._slant * top, 1.0)
        length = 0.028 + 0.075 * self._near
        for x, y, reach, near in zip(left, top, length, self._near, strict=True):
            start = (int(x * width_px), int(y * height_px))
            end = (int(start[0] + self._slant * reach * height_px), int((y + reach) * height_px))
            thickness = 1 + int(near * height_px / 420)
            cv2.line(layer, start, end, int(70 + 110 * near), thickness, cv2.LINE_AA)
        return np.asarray(cv2.GaussianBlur(layer, (3, 3), 0), np.float32) / 255


class Snow:
    """Flakes that sway as they fall; amount 1 is a dense fall."""

    def __init__(self, rng: np.random.Generator, amount: float) -> None:
        count = int(_SNOW_FLAKES * amount)
        self._x, self._y, self._phase = rng.random(count), rng.random(count), rng.random(count) * 6.28
        self._near = rng.random(count) ** 3

    def overlay(self, seconds: float, height_px: int, width_px: int) -> Floats:
        """Brightness of the flakes, 0 to 1, shape (height_px, width_px)."""
        layer = np.zeros((height_px, width_px), np.uint8)
        top = np.mod(self._y + (0.10 + 0.34 * self._near) * seconds, 1.1) - 0.05
        left = np.mod(self._x + 0.03 * seconds + 0.014 * np.sin(1.7 * seconds + self._phase), 1.0)
        for x, y, near in zip(left, top, self._near, strict=True):
            # Sixteenths of a pixel keep slow flakes from jumping.
            centre = (int(x * width_px * 16), int(y * height_px * 16))
            radius = int((0.0016 + 0.0075 * near) * height_px * 16)
            cv2.circle(layer, centre, max(radius, 9), int(235 - 70 * near), -1, cv2.LINE_AA, 4)
        return np.asarray(cv2.GaussianBlur(layer, (3, 3), 0.7), np.float32) / 255


class Drift:
    """A soft pattern that lets fog move."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._tile = np.pad(rng.random((6, 8), dtype=np.float32), ((0, 1), (0, 8)), mode="wrap")

    def overlay(self, seconds: float, height_px: int, width_px: int) -> Floats:
        """A factor around 1, shape (height_px, width_px)."""
        wide = cv2.resize(self._tile, (width_px * 2, height_px), interpolation=cv2.INTER_CUBIC)
        start = int(0.045 * seconds * width_px) % width_px
        return np.asarray(0.82 + 0.36 * wide[:, start : start + width_px], np.float32)
