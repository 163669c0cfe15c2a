"""What the surfaces of the demo city look like without light: road markings, paving, facades with windows.

Patterns are filtered with the size of a pixel on the surface, so that they do not flicker in the distance.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cosmos_ops.media.city_scene import BLOCK_M, CROSSING_M, ROAD_HALF_WIDTH_M, Floats

_AWNINGS = np.array([[0.72, 0.22, 0.16], [0.16, 0.40, 0.42], [0.86, 0.66, 0.24], [0.22, 0.26, 0.36]], np.float32)
SHOP_HEIGHT_M = 4.2


@dataclass(frozen=True)
class Surface:
    """Points of one kind of surface: colour without light, whether glass or paint, share that mirrors the sky."""

    colour: Floats
    is_detail: NDArray[np.bool_]
    shine: Floats


def ground(points: Floats, footprint: Floats, steepness: Floats) -> Surface:
    """Road with its markings, and pavements; `footprint` is the size of a pixel in metres."""
    x, z = points[:, 0], points[:, 2]
    long = footprint / np.maximum(steepness, 0.02)
    into_block = np.mod(z, BLOCK_M)
    crossing = band(into_block, BLOCK_M - CROSSING_M, BLOCK_M, long) + band(into_block, 0, CROSSING_M, long)
    crossing = np.clip(crossing, 0, 1)
    road = np.maximum(band(np.abs(x), -1, ROAD_HALF_WIDTH_M, footprint), crossing)
    grain = noise(np.floor(x * 1.7), np.floor(z * 0.9)) * np.clip(0.5 / np.maximum(long, 0.5), 0, 1)
    colour = road[:, None] * _asphalt(x, grain, footprint) + (1 - road)[:, None] * _paving(x, z, grain, footprint, long)
    kerb = band(np.abs(x), ROAD_HALF_WIDTH_M, ROAD_HALF_WIDTH_M + 0.25, footprint) * (1 - crossing)
    colour += kerb[:, None] * (np.array([0.74, 0.73, 0.70]) - colour)
    paint = _markings(x, z, footprint, long)
    colour += (0.92 * paint)[:, None] * (np.array([0.90, 0.89, 0.84]) - colour)
    return Surface(_float(colour), paint > 0.5, np.zeros(len(x), np.float32))


def _asphalt(x: Floats, grain: Floats, footprint: Floats) -> Floats:
    tracks = band(np.abs(np.abs(x) - 2), -1, 0.8, footprint)
    tone = (1 + 0.08 * (grain - 0.5)) * (1 - 0.08 * tracks)
    return _float(tone[:, None] * np.array([0.235, 0.24, 0.25]))


def _paving(x: Floats, z: Floats, grain: Floats, footprint: Floats, long: Floats) -> Floats:
    joints = np.maximum(band(np.mod(x, 1.0), -1, 0.04, footprint), band(np.mod(z, 1.0), -1, 0.04, long))
    return _float((1 - 0.18 * joints - 0.06 * grain)[:, None] * np.array([0.60, 0.57, 0.53]))


def _markings(x: Floats, z: Floats, footprint: Floats, long: Floats) -> Floats:
    into_block = np.mod(z, BLOCK_M)
    street = band(into_block, CROSSING_M + 4.5, BLOCK_M - CROSSING_M - 4.5, long)
    dashes = band(np.mod(z, 6.0), 0, 3.0, long) * band(np.abs(x), -1, 0.09, footprint)
    sides = band(np.abs(np.abs(x) - 3.9), -1, 0.06, footprint)
    stripes = band(np.mod(x + 0.25, 1.0), 0, 0.5, footprint) * band(np.abs(x), -1, 6.0, footprint)
    before = band(into_block, BLOCK_M - CROSSING_M - 3.6, BLOCK_M - CROSSING_M - 0.6, long)
    after = band(into_block, CROSSING_M + 0.6, CROSSING_M + 3.6, long)
    return _float(np.clip(street * (dashes + 0.8 * sides) + stripes * (before + after), 0, 1))


def foliage(points: Floats, footprint: Floats) -> Floats:
    """Brightness of leaves: clumps of three sizes, with dark gaps between them."""
    total = np.zeros(len(points), np.float32)
    for size_m, share in ((0.55, 0.5), (0.24, 0.32), (0.11, 0.18)):
        cells = np.floor(points / size_m + 0.25 * np.sin(points[:, ::-1] * 5 / size_m))
        visible = np.clip(size_m / np.maximum(2 * footprint, 1e-4), 0, 1)
        total += share * (0.5 + visible * (noise(cells[:, 0] + 57 * cells[:, 1], cells[:, 2]) - 0.5))
    return _float(0.30 + 1.5 * total)


@dataclass(frozen=True)
class Walls:
    """Points on walls, one array entry per pixel."""

    points: Floats
    normal: Floats
    rays: Floats
    footprint: Floats
    solid: NDArray[np.int32]
    colour: Floats
    top_m: Floats


def facade(walls: Walls) -> Surface:
    """Shop fronts below, rows of windows above; pitch and shares differ from building to building."""
    u = np.where(np.abs(walls.normal[:, 0]) > 0.5, walls.points[:, 2], walls.points[:, 0])
    v, id_, high = walls.points[:, 1], walls.solid.astype(np.float32), walls.footprint
    wide = high / np.maximum(np.abs((walls.rays * walls.normal).sum(1)), 0.06)
    style = noise(id_, 3)
    pitch_u, pitch_v = 2.1 + 1.3 * style, 3.1 + 0.5 * noise(id_, 7)
    shop = v < SHOP_HEIGHT_M - 0.3
    local_u, local_v = np.mod(u, np.where(shop, 4.2, pitch_u)), np.mod(v - SHOP_HEIGHT_M, pitch_v)
    share = np.where(shop, 3.5, pitch_u * (0.42 + 0.26 * style))
    rows = np.where(shop, band(v, 0.5, 3.0, high), band(local_v, pitch_v * 0.24, pitch_v * 0.80, high))
    glass = band(local_u, 0.35, 0.35 + share, wide) * rows * np.clip((walls.top_m - 0.9 - v) / 0.2, 0, 1)
    ledge = np.maximum(band(local_v, -1, 0.16, high) * ~shop, band(v, 3.7, 4.1, high))
    ledge = np.maximum(ledge, band(v, walls.top_m - 0.5, walls.top_m + 1, high))
    pane = noise(np.floor(u / pitch_u) + id_ * 31, np.floor((v - SHOP_HEIGHT_M) / pitch_v) + 5)
    awning = shop * band(v, 2.9, 3.7, high)
    return _glazed(walls.colour * (1 + 0.22 * ledge)[:, None], glass, pane, awning, noise(np.floor(u / 4.2) + id_, 11))


def _glazed(wall: Floats, glass: Floats, pane: Floats, awning: Floats, shop: Floats) -> Surface:
    colour = wall + (0.85 * awning)[:, None] * (_AWNINGS[(shop * 3.99).astype(int)] - wall)
    has_curtain = pane > 0.74
    inside = np.array([0.07, 0.09, 0.12]) + (0.55 * has_curtain)[:, None] * np.array([0.62, 0.56, 0.46])
    colour += glass[:, None] * (inside - colour)
    shine = glass * np.where(has_curtain, 0.12, 0.25 + 0.45 * pane)
    return Surface(_float(colour), glass > 0.5, _float(shine))


def band(value: Floats, low: Floats | float, high: Floats | float, footprint: Floats) -> Floats:
    """1 where low <= value < high, with borders as wide as a pixel."""
    soft = np.maximum(footprint, 1e-4)
    return _float(np.clip((value - low) / soft + 0.5, 0, 1) * np.clip((high - value) / soft + 0.5, 0, 1))


def noise(a: Floats, b: Floats | float) -> Floats:
    """A number from 0 to 1 for every pair of whole numbers, always the same."""
    mixed: Floats = np.sin(np.asarray(a, np.float64) * 12.9898 + np.asarray(b, np.float64) * 78.233) * 43758.5453
    return _float(mixed - np.floor(mixed))


def _float(values: ArrayLike) -> Floats:
    return np.asarray(values, np.float32)
