"""The city of the demo as data: boxes and tree crowns along a street, each with a class and a colour.

Metres; x to the right, y up, z along the street. Everything follows from one fixed seed.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

ROAD_HALF_WIDTH_M = 6.5
PAVEMENT_END_M = 10.5
BLOCK_M = 72.0
CROSSING_M = 9.0
LENGTH_M = 430.0

# The palette of Cityscapes (Cordts et al., CVPR 2016), as in its labels.py (github.com/mcordts/cityscapesScripts).
CITYSCAPES_PALETTE: dict[str, tuple[int, int, int]] = {
    "road": (128, 64, 128),
    "sidewalk": (244, 35, 232),
    "building": (70, 70, 70),
    "pole": (153, 153, 153),
    "vegetation": (107, 142, 35),
    "sky": (70, 130, 180),
    "car": (0, 0, 142),
}
CLASSES = tuple(CITYSCAPES_PALETTE)

_FACADES = (
    (0.62, 0.36, 0.28),
    (0.80, 0.70, 0.56),
    (0.86, 0.82, 0.74),
    (0.56, 0.58, 0.60),
    (0.70, 0.52, 0.42),
    (0.42, 0.50, 0.54),
)
_PAINTS = ((0.75, 0.10, 0.08), (0.92, 0.92, 0.90), (0.10, 0.16, 0.30), (0.85, 0.62, 0.10), (0.20, 0.22, 0.24), (0.25, 0.45, 0.50))


@dataclass(frozen=True)
class Solid:
    """A box, or an ellipsoid that fills it."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]
    kind: str
    """A name in `CLASSES`."""
    colour: tuple[float, float, float]
    is_round: bool = False
    speed_m_s: float = 0.0
    """Along z; 0 for all but cars."""


def city() -> list[Solid]:
    """All solids of the street, nearest first."""
    rng = np.random.default_rng(20)
    solids = [*_buildings(rng), *_greenery(rng), *_lamps(), *_cars(rng)]
    return sorted(solids, key=lambda solid: solid.low[2])


def moved(solid: Solid, seconds: float) -> Solid:
    """Where a solid is after some time."""
    if solid.speed_m_s == 0:
        return solid
    shift = solid.speed_m_s * seconds
    low, high = solid.low, solid.high
    return Solid((low[0], low[1], low[2] + shift), (high[0], high[1], high[2] + shift), solid.kind, solid.colour, solid.is_round)


def _buildings(rng: np.random.Generator) -> list[Solid]:
    solids = []
    for side in (-1, 1):
        for row, (front, height_low, height_high) in enumerate(((PAVEMENT_END_M, 11, 30), (34.0, 30, 62))):
            z = -8.0 if row == 0 else -30.0
            while z < LENGTH_M:
                width = float(rng.uniform(11, 20)) * (1 + row)
                end = z + width
                into_block = end % BLOCK_M
                if row == 0 and into_block > BLOCK_M - CROSSING_M:
                    end = (end // BLOCK_M) * BLOCK_M + BLOCK_M - CROSSING_M
                solids.extend(_building(rng, side, front, z, end, float(rng.uniform(height_low, height_high))))
                z = end if row == 1 or into_block <= BLOCK_M - CROSSING_M - 9 else (end // BLOCK_M + 1) * BLOCK_M + CROSSING_M
    return solids


def _building(rng: np.random.Generator, side: int, front: float, z: float, end: float, height: float) -> list[Solid]:
    shade = float(rng.uniform(0.85, 1.1))
    red, green, blue = _FACADES[int(rng.integers(len(_FACADES)))]
    colour = (red * shade, green * shade, blue * shade)
    x_near, x_far = side * (front + float(rng.choice([0.0, 0.0, 0.5]))), side * (front + 17.0)
    main = _box(x_near, x_far, 0.0, height, z, end - 0.15, "building", colour)
    inset = float(rng.uniform(3.0, 5.0))
    attic = _box(
        x_near + side * inset, x_far, height, height + float(rng.uniform(2.5, 7)), z + 2.5, end - 2.5, "building", colour
    )
    return [main, attic] if end - z > 8 else [main]


def _greenery(rng: np.random.Generator) -> list[Solid]:
    solids = []
    for side in (-1, 1):
        for z in np.arange(14.0 + 5 * side, LENGTH_M, 13.0):
            if z % BLOCK_M > BLOCK_M - CROSSING_M - 3 or z % BLOCK_M < CROSSING_M + 3:
                continue
            x, size = side * 8.0, float(rng.uniform(0.85, 1.25))
            solids.append(_box(x - 0.16, x + 0.16, 0.0, 3.2, z - 0.16, z + 0.16, "vegetation", (0.30, 0.22, 0.16)))
            for _ in range(6):
                dx, dy, dz = (float(v) * 1.25 for v in rng.uniform(-0.8, 0.8, 3))
                green = float(rng.uniform(0.8, 1.15))
                colour = (0.36 * green, 0.50 * green, 0.15 * green)
                solids.append(_crown(x + dx, 4.2 + dy, z + dz, size, colour))
    return solids


def _crown(x: float, y: float, z: float, size: float, colour: tuple[float, float, float]) -> Solid:
    return Solid((x - size, y - size * 0.9, z - size), (x + size, y + size * 0.9, z + size), "vegetation", colour, is_round=True)


def _lamps() -> list[Solid]:
    solids = []
    for side in (-1, 1):
        for z in np.arange(22.0, LENGTH_M, 26.0):
            x = side * (ROAD_HALF_WIDTH_M + 0.5)
            solids.append(_box(x - 0.08, x + 0.08, 0.0, 6.4, z - 0.08, z + 0.08, "pole", (0.20, 0.21, 0.22)))
            solids.append(_box(x, x - side * 1.5, 6.3, 6.45, z - 0.12, z + 0.12, "pole", (0.20, 0.21, 0.22)))
    return solids


def _cars(rng: np.random.Generator) -> list[Solid]:
    solids = []
    for lane, speed, first, step in ((1.9, 11.0, 16.0, 26.0), (-1.9, -8.0, 40.0, 34.0)):
        for z in np.arange(first, 260.0, step):
            z += float(rng.uniform(-6, 6))
            solids.extend(_car(lane, z, _PAINTS[int(rng.integers(len(_PAINTS)))], speed))
    for side in (-1, 1):
        for z in np.arange(9.0, LENGTH_M, 6.4):
            if rng.random() < 0.55 and CROSSING_M + 4 < z % BLOCK_M < BLOCK_M - CROSSING_M - 6:
                solids.extend(_car(side * 5.2, z, _PAINTS[int(rng.integers(len(_PAINTS)))], 0.0))
    return solids


def _car(x: float, z: float, paint: tuple[float, float, float], speed_m_s: float) -> list[Solid]:
    wheels = _box(x - 0.80, x + 0.80, 0.0, 0.42, z + 0.5, z + 3.9, "car", (0.03, 0.03, 0.03), speed_m_s)
    body = _box(x - 0.92, x + 0.92, 0.28, 0.92, z, z + 4.4, "car", paint, speed_m_s)
    cabin = _box(x - 0.78, x + 0.78, 0.92, 1.50, z + 0.9, z + 3.4, "car", (0.09, 0.11, 0.14), speed_m_s)
    roof = _box(x - 0.72, x + 0.72, 1.50, 1.56, z + 1.1, z + 3.2, "car", paint, speed_m_s)
    return [wheels, body, cabin, roof]


def _box(
    x0: float,
    x1: float,
    y0: float,
    y1: float,
    z0: float,
    z1: float,
    kind: str,
    colour: tuple[float, float, float],
    speed_m_s: float = 0.0,
) -> Solid:
    return Solid((min(x0, x1), y0, float(z0)), (max(x0, x1), y1, float(z1)), kind, colour, speed_m_s=speed_m_s)
