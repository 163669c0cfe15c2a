"""Which solid every pixel sees: ray tests inside each solid's projected rectangle, with a z-buffer."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cosmos_ops.media.city_scene import Floats, Solid

GROUND = 0
SKY = -1
_FAR_M = 1e6
_NEAR_M = 0.5


@dataclass(frozen=True)
class Camera:
    """A pinhole camera; `axes` holds right, up and forward as rows."""

    position: Floats
    axes: Floats
    focal_px: float


@dataclass
class View:
    """What the camera sees, per pixel."""

    rays: Floats
    """Directions with length 1 along the forward axis, shape (height, width, 3)."""
    distance: Floats
    """Distance along the forward axis in metres; very large for the sky."""
    solid: NDArray[np.int32]
    """Index of the solid plus 1; `GROUND` or `SKY` otherwise."""
    normal: Floats


def camera_at(position: tuple[float, float, float], pitch: float, yaw: float, roll: float, focal_px: float) -> Camera:
    """A camera looking along the street, turned by angles in radians."""
    forward = np.array([math.sin(yaw) * math.cos(pitch), math.sin(pitch), math.cos(yaw) * math.cos(pitch)])
    side = np.cross(np.array([0.0, 1.0, 0.0]), forward)
    side /= np.linalg.norm(side)
    up = np.cross(forward, side)
    right = math.cos(roll) * side + math.sin(roll) * up
    upright = math.cos(roll) * up - math.sin(roll) * side
    axes = np.stack([right, upright, forward]).astype(np.float32)
    return Camera(np.array(position, np.float32), axes, focal_px)


def look(camera: Camera, solids: list[Solid], height_px: int, width_px: int) -> View:
    """Find the nearest surface behind every pixel; fastest if the solids come nearest first."""
    view = _empty_view(camera, height_px, width_px)
    local, nearest_m = _corners(camera, solids)
    inverse = tuple(1 / np.where(np.abs(view.rays[..., k]) < 1e-6, np.float32(1e-6), view.rays[..., k]) for k in range(3))
    for index, solid in enumerate(solids):
        area = _covered(camera, local[index], height_px, width_px)
        if area is None or view.distance[area].max() < nearest_m[index]:
            continue
        if solid.is_round:
            _hit_ellipsoid(view, camera, solid, index + 1, area)
        else:
            _hit_box(view, camera, solid, index + 1, (area, inverse))
    return view


def _corners(camera: Camera, solids: list[Solid]) -> tuple[Floats, Floats]:
    """Corners of all solids as the camera sees them, and the least distance of each solid."""
    bounds = np.array([(solid.low, solid.high) for solid in solids], np.float32)
    pick = np.array([[i >> k & 1 for k in range(3)] for i in range(8)])
    corners = bounds[:, pick, np.arange(3)]
    local = (corners - camera.position) @ camera.axes.T
    return local, local[..., 2].min(axis=1)


def _empty_view(camera: Camera, height_px: int, width_px: int) -> View:
    x = (np.arange(width_px, dtype=np.float32) + 0.5 - width_px / 2) / camera.focal_px
    y = (height_px / 2 - np.arange(height_px, dtype=np.float32) - 0.5) / camera.focal_px
    right, up, forward = camera.axes
    rays = x[None, :, None] * right + y[:, None, None] * up + forward
    down = rays[..., 1] < -1e-4
    distance = np.where(down, -camera.position[1] / np.where(down, rays[..., 1], -1), _FAR_M).astype(np.float32)
    down &= distance < 900
    distance[~down] = _FAR_M
    normal = np.zeros_like(rays)
    normal[..., 1] = down
    return View(rays, distance, np.where(down, GROUND, SKY).astype(np.int32), normal)


def _covered(camera: Camera, local: Floats, height_px: int, width_px: int) -> tuple[slice, slice] | None:
    """Rows and columns that a solid may cover."""
    depth = local[:, 2]
    if depth.max() < _NEAR_M:
        return None
    points = local if depth.min() >= _NEAR_M else _clipped(local)
    return _rectangle(camera.focal_px * points[:, :2] / points[:, 2:], height_px, width_px)


def _clipped(local: Floats) -> Floats:
    """A solid that reaches behind the camera, with its edges cut at the near plane."""
    points = [p for p in local if p[2] >= _NEAR_M]
    for a in range(8):
        for b in (a ^ 1, a ^ 2, a ^ 4):
            if local[a, 2] < _NEAR_M <= local[b, 2]:
                share = (_NEAR_M - local[a, 2]) / (local[b, 2] - local[a, 2])
                points.append(local[a] + share * (local[b] - local[a]))
    return np.array(points, np.float32)


def _rectangle(scaled: Floats, height_px: int, width_px: int) -> tuple[slice, slice] | None:
    low, high = scaled.min(axis=0), scaled.max(axis=0)
    # What is smaller than two pixels is haze anyway.
    if (high - low).max() < 2:
        return None
    columns = slice(max(0, math.floor(low[0] + width_px / 2)), min(width_px, math.ceil(high[0] + width_px / 2) + 1))
    rows = slice(max(0, math.floor(height_px / 2 - high[1])), min(height_px, math.ceil(height_px / 2 - low[1]) + 1))
    return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None


def _hit_box(view: View, camera: Camera, solid: Solid, index: int, where: tuple[tuple[slice, slice], tuple[Floats, ...]]) -> None:
    area, inverse = where
    entries, exits = [], []
    for k in range(3):
        t0 = (solid.low[k] - float(camera.position[k])) * inverse[k][area]
        t1 = (solid.high[k] - float(camera.position[k])) * inverse[k][area]
        entries.append(np.minimum(t0, t1))
        exits.append(np.maximum(t0, t1))
    enter = np.maximum(np.maximum(entries[0], entries[1]), entries[2])
    leave = np.minimum(np.minimum(exits[0], exits[1]), exits[2])
    hit = (enter < leave) & (enter > 0.3) & (enter < view.distance[area])
    if not hit.any():
        return
    view.distance[area][hit] = enter[hit]
    view.solid[area][hit] = index
    # The slab that is entered last is the face that is seen.
    rays = view.rays[area][hit]
    faces = np.stack([(entries[k][hit] == enter[hit]) * -np.sign(rays[:, k]) for k in range(3)], axis=1)
    view.normal[area][hit] = faces


def _hit_ellipsoid(view: View, camera: Camera, solid: Solid, index: int, area: tuple[slice, slice]) -> None:
    low, high = np.array(solid.low, np.float32), np.array(solid.high, np.float32)
    radius, centre = (high - low) / 2, (high + low) / 2
    rays, start = view.rays[area] / radius, (camera.position - centre) / radius
    a, b, c = (rays * rays).sum(2), (rays * start).sum(2), float(start @ start) - 1
    root = b * b - a * c
    enter = (-b - np.sqrt(np.maximum(root, 0))) / a
    hit = (root > 0) & (enter > 0.3) & (enter < view.distance[area])
    if not hit.any():
        return
    view.distance[area][hit] = enter[hit]
    view.solid[area][hit] = index
    normal = (start + rays[hit] * enter[hit][:, None]) / radius
    view.normal[area][hit] = normal / np.linalg.norm(normal, axis=1, keepdims=True)
