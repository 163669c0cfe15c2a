"""The light of the demo city: sun and shadows, sky with clouds, reflections in glass, haze."""

import cv2
import numpy as np
from numpy.typing import NDArray

from cosmos_ops.media.city_rays import GROUND, SKY, Camera, View
from cosmos_ops.media.city_scene import CLASSES, Floats, Solid
from cosmos_ops.media.city_surfaces import Surface, Walls, facade, foliage, ground

SUN = np.array([-0.42, 0.52, 0.74], np.float32)
_SUN_COLOUR = np.array([1.30, 1.08, 0.80], np.float32)
_SKY_LIGHT = np.array([0.54, 0.60, 0.70], np.float32)
_BOUNCE = np.array([0.16, 0.14, 0.12], np.float32)
_ZENITH = np.array([0.22, 0.43, 0.74], np.float32)
_HORIZON = np.array([0.93, 0.84, 0.74], np.float32)
_CELL_M = 0.5
_ORIGIN_M = (-70.0, -60.0)


class Lighting:
    """Everything about the light that does not change with the camera."""

    def __init__(self, solids: list[Solid], length_m: float) -> None:
        colours = [(0.0, 0.0, 0.0), *(solid.colour for solid in solids)]
        self.colours = np.array(colours, np.float32)
        self.kinds = np.array([0, *(CLASSES.index(solid.kind) for solid in solids)], np.int32)
        self.is_facade = np.array([False, *(s.kind == "building" for s in solids)])
        self.is_leafy = np.array([False, *(s.is_round for s in solids)])
        self.tops = np.array([0.0, *(s.high[1] for s in solids)], np.float32)
        self.gloss = np.array([0.0, *(0.30 * (s.kind == "car") for s in solids)], np.float32)
        self.shadow_top_m = _shadow_tops([s for s in solids if s.speed_m_s == 0], length_m)
        self.clouds = _clouds()


def shade(view: View, camera: Camera, light: Lighting) -> tuple[Floats, NDArray[np.bool_]]:
    """Colour of every pixel (0 to 1), and where glass or road paint is."""
    colour = _sky(view.rays, light)
    details = np.zeros(view.solid.shape, np.bool_)
    seen = view.solid != SKY
    rays, normal, distance = view.rays[seen], view.normal[seen], view.distance[seen]
    points = camera.position + rays * distance[:, None]
    surface = _surface(points, normal, rays, distance / camera.focal_px, view.solid[seen], light)
    lit = surface.colour * _irradiance(points, normal, light)
    glossy = surface.shine > 0.01
    mirrored = _mirrored(rays[glossy], normal[glossy])
    lit[glossy] += surface.shine[glossy, None] * _sky(mirrored[None], light)[0]
    colour[seen] = _haze(lit, distance, rays)
    details[seen] = surface.is_detail
    return _film(colour), details


def _surface(
    points: Floats, normal: Floats, rays: Floats, footprint: Floats, solid: NDArray[np.int32], light: Lighting
) -> Surface:
    colour, is_detail = light.colours[solid].copy(), np.zeros(len(solid), np.bool_)
    shine = light.gloss[solid].copy()
    floor = solid == GROUND
    leaves = light.is_leafy[solid]
    colour[leaves] *= foliage(points[leaves], footprint[leaves])[:, None]
    walls = light.is_facade[solid] & (np.abs(normal[:, 1]) < 0.5)
    patterned = (
        (floor, ground(points[floor], footprint[floor], -rays[floor, 1])),
        (walls, facade(_walls(points, normal, rays, footprint, solid, light, walls))),
    )
    for where, part in patterned:
        colour[where], is_detail[where], shine[where] = part.colour, part.is_detail, part.shine
    return Surface(colour, is_detail, shine)


def _walls(
    points: Floats,
    normal: Floats,
    rays: Floats,
    footprint: Floats,
    solid: NDArray[np.int32],
    light: Lighting,
    where: NDArray[np.bool_],
) -> Walls:
    ids = solid[where]
    return Walls(points[where], normal[where], rays[where], footprint[where], ids, light.colours[ids], light.tops[ids])


def _irradiance(points: Floats, normal: Floats, light: Lighting) -> Floats:
    facing = np.clip(normal @ SUN, 0, 1)
    sunlit = facing * _sunlit(points + normal * 0.3, light)
    upward = normal[:, 1] * 0.5 + 0.5
    # Little sky reaches the foot of a wall.
    openness = 1 - 0.45 * np.exp(-points[:, 1] / 2.5) * (np.abs(normal[:, 1]) < 0.5)
    return np.asarray(
        sunlit[:, None] * _SUN_COLOUR * 1.25
        + (upward * openness)[:, None] * _SKY_LIGHT
        + ((1 - upward * 0.6) * openness)[:, None] * _BOUNCE,
        np.float32,
    )


def _sunlit(points: Floats, light: Lighting) -> Floats:
    """1 in the sun, 0 in shadow, with a soft border."""
    column = ((points[:, 0] - _ORIGIN_M[0]) / _CELL_M).astype(np.float32)
    row = ((points[:, 2] - _ORIGIN_M[1]) / _CELL_M).astype(np.float32)
    tops = _sample(light.shadow_top_m, column, row)
    return np.asarray(np.clip((points[:, 1] - tops) / 0.7 + 0.5, 0, 1), np.float32)


def _sample(grid: Floats, column: Floats, row: Floats) -> Floats:
    """Values of a grid at fractional positions."""
    # remap takes no picture with a side of 32,768 or more, so the points are folded into rows.
    padding = -len(column) % 1024
    columns = np.pad(column, (0, padding)).reshape(-1, 1024).astype(np.float32)
    rows = np.pad(row, (0, padding)).reshape(-1, 1024).astype(np.float32)
    values = cv2.remap(grid, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(values.ravel()[: len(column)], np.float32)


def _shadow_tops(solids: list[Solid], length_m: float) -> Floats:
    """Height below which the sun is hidden, on a grid over the ground."""
    shape = (int((length_m + 120) / _CELL_M), int(-2 * _ORIGIN_M[0] / _CELL_M))
    tops = np.zeros(shape, np.float32)
    for solid in solids:
        low, high = _cell(solid.low[0], solid.low[2]), _cell(solid.high[0], solid.high[2])
        patch = tops[max(0, low[1]) : high[1] + 1, max(0, low[0]) : high[0] + 1]
        np.maximum(patch, solid.high[1], out=patch)
    shadow = np.zeros_like(tops)
    run = float(np.hypot(SUN[0], SUN[2]))
    for step in range(1, 170):
        way = step * _CELL_M
        shift = np.array([[1, 0, -SUN[0] / run * step], [0, 1, -SUN[2] / run * step]], np.float32)
        caster = cv2.warpAffine(tops, shift, (shape[1], shape[0]), flags=cv2.INTER_NEAREST)
        np.maximum(shadow, caster - way * SUN[1] / run, out=shadow)
    return np.asarray(cv2.GaussianBlur(shadow, (3, 3), 0), np.float32)


def _cell(x: float, z: float) -> tuple[int, int]:
    return int((x - _ORIGIN_M[0]) / _CELL_M), int((z - _ORIGIN_M[1]) / _CELL_M)


def _sky(rays: Floats, light: Lighting) -> Floats:
    """Gradient from the horizon up, a glow around the sun, drifting clouds."""
    unit = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    height = np.clip(unit[..., 1], 0, 1)
    colour = _HORIZON + (1 - np.exp(-3.2 * height))[..., None] * (_ZENITH - _HORIZON)
    toward = np.clip(unit @ SUN, 0, 1)
    # Clouds lie on a plane high above; near the horizon they thin out.
    plane = 26 / np.maximum(height, 0.05)
    column = np.mod(unit[..., 0] * plane * 4 + 300, 511).astype(np.float32)
    row = np.mod(unit[..., 2] * plane * 4, 511).astype(np.float32)
    cover = _sample(light.clouds, column.ravel(), row.ravel()).reshape(height.shape) * np.clip(height * 5 - 0.25, 0, 1)
    white = np.array([1.0, 0.97, 0.93], np.float32) * (0.96 + 0.25 * toward[..., None] ** 4)
    colour += (0.85 * cover)[..., None] * (white - colour)
    glow = 0.34 * toward**6 + 0.5 * toward**60
    return np.asarray(colour + glow[..., None] * np.array([1.0, 0.78, 0.48]), np.float32)


def _clouds() -> Floats:
    """A tile of cloud cover, 0 to 1."""
    rng = np.random.default_rng(4)
    total = np.zeros((512, 512), np.float32)
    for size, share in ((6, 0.5), (12, 0.25), (24, 0.14), (48, 0.07), (96, 0.04)):
        coarse = np.pad(rng.random((size, size), dtype=np.float32), 2, mode="wrap")
        fine = cv2.resize(coarse, None, fx=512 / size, fy=512 / size, interpolation=cv2.INTER_CUBIC)
        start = int(2 * 512 / size)
        total += share * fine[start : start + 512, start : start + 512]
    return np.asarray(np.clip((total - 0.50) * 4.0, 0, 1), np.float32)


def _mirrored(rays: Floats, normal: Floats) -> Floats:
    mirrored = rays - 2 * (rays * normal).sum(1, keepdims=True) * normal
    mirrored[:, 1] = np.abs(mirrored[:, 1])
    return np.asarray(mirrored, np.float32)


def _haze(lit: Floats, distance: Floats, rays: Floats) -> Floats:
    amount = 0.86 * (1 - np.exp(-np.maximum(distance - 15, 0) / 230))
    toward = np.clip((rays / np.linalg.norm(rays, axis=1, keepdims=True)) @ SUN, 0, 1)
    air = _HORIZON * np.float32(0.92) + (0.30 * toward**4)[:, None] * np.array([1.0, 0.78, 0.48])
    return np.asarray(lit + amount[:, None] * (air - lit), np.float32)


def _film(colour: Floats) -> Floats:
    """Roll highlights off gently instead of clipping them."""
    bright = colour * 0.98
    return np.asarray(np.clip(np.where(bright < 0.7, bright, 0.7 + 0.3 * np.tanh((bright - 0.7) / 0.45)), 0, 1), np.float32)
