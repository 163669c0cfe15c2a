"""A flight through a street, drawn from geometry: the colour video of the demo and its exact controls.

Depth, segmentation and edges come from the same rays as the colours, so they fit them to the pixel.
"""

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cosmos_ops.media.city_rays import GROUND, SKY, Camera, View, camera_at, look
from cosmos_ops.media.city_scene import (
    BLOCK_M,
    CITYSCAPES_PALETTE,
    CROSSING_M,
    LENGTH_M,
    ROAD_HALF_WIDTH_M,
    Floats,
    city,
    moved,
)
from cosmos_ops.media.city_shading import Lighting, shade
from cosmos_ops.media.frames import Frame, Picture, open_writer

_NEAREST_M = 7.0
_FLIGHT_M_S = 9.0
_AHEAD_FRAMES = 8


def write_cityscape(folder: Path, *, width_px: int = 640, height_px: int = 360, frame_count: int = 48, fps: int = 24) -> None:
    """Write color.mp4, depth.mp4 (inverse depth, near is bright), seg.mp4 (palette of Cityscapes) and edge.mp4.

    Raises:
        DiskFullError: No space is left; nothing of the unfinished files remains.
    """
    folder.mkdir(parents=True, exist_ok=True)
    solids = city()
    light = Lighting(solids, LENGTH_M)

    def draw(index: int) -> Mapping[str, Picture]:
        seconds = index / fps
        camera = _camera(seconds, width_px)
        view = look(camera, [moved(solid, seconds) for solid in solids], height_px, width_px)
        return _pictures(view, camera, light)

    tick = Fraction(1, fps)
    with ExitStack() as stack:
        writers = {
            name: stack.enter_context(
                open_writer(folder / f"{name}.mp4", width_px=width_px, height_px=height_px, fps=1 / tick, time_base=tick, crf=18)
            )
            for name in ("color", "depth", "seg", "edge")
        }
        pool = stack.enter_context(ThreadPoolExecutor(max_workers=2))
        for first in range(0, frame_count, _AHEAD_FRAMES):
            indices = range(first, min(first + _AHEAD_FRAMES, frame_count))
            for index, pictures in zip(indices, pool.map(draw, indices), strict=True):
                for name, picture in pictures.items():
                    writers[name].write(Frame(picture, index, 1, tick))


def _camera(seconds: float, width_px: int) -> Camera:
    """A slow climbing flight with a slight sway."""
    x = 0.9 + 1.1 * math.sin(0.55 * seconds + 0.4)
    y = 5.4 + 0.55 * seconds + 0.08 * math.sin(2.1 * seconds)
    yaw = 0.05 * math.sin(0.7 * seconds + 0.3) - 0.04
    roll = 0.018 * math.sin(0.9 * seconds)
    return camera_at((x, y, 2.0 + _FLIGHT_M_S * seconds), -0.05 - 0.012 * seconds, yaw, roll, 0.82 * width_px)


def _pictures(view: View, camera: Camera, light: Lighting) -> Mapping[str, Picture]:
    colour, details = shade(view, camera, light)
    edges = _edges(view, details)
    return {
        "color": _smoothed((colour * 255 + 0.5).astype(np.uint8), edges),
        "depth": _depth(view.distance),
        "seg": _segmentation(view, camera, light),
        "edge": _grey(edges),
    }


def _depth(distance: Floats) -> Picture:
    return _grey(np.clip(255 * _NEAREST_M / distance, 0, 255).astype(np.uint8))


def _grey(values: NDArray[np.uint8]) -> Picture:
    return np.repeat(values[:, :, None], 3, axis=2)


def _segmentation(view: View, camera: Camera, light: Lighting) -> Picture:
    palette = np.array(list(CITYSCAPES_PALETTE.values()), np.uint8)
    kinds = light.kinds[np.maximum(view.solid, 0)]
    points = camera.position + view.rays * view.distance[..., None]
    x, into_block = np.abs(points[..., 0]), np.mod(points[..., 2], BLOCK_M)
    beside = (x > ROAD_HALF_WIDTH_M) & (into_block > CROSSING_M) & (into_block < BLOCK_M - CROSSING_M)
    names = list(CITYSCAPES_PALETTE)
    kinds = np.where((view.solid == GROUND) & beside, names.index("sidewalk"), kinds)
    kinds = np.where(view.solid == SKY, names.index("sky"), kinds)
    return palette[kinds]


def _edges(view: View, details: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """White where the solid, the direction of the surface, the depth or a nearby pattern changes."""
    near = view.distance < 45
    ids = np.where(near, view.solid * 2 + details, view.solid * 2)
    edge = np.zeros(ids.shape, np.bool_)
    for axis in (0, 1):
        before = tuple(slice(None, -1) if k == axis else slice(None) for k in range(2))
        after = tuple(slice(1, None) if k == axis else slice(None) for k in range(2))
        turned = np.abs(view.normal[before] - view.normal[after]).sum(2) > 0.8
        both_near = near[before] & near[after]
        jump = np.abs(view.distance[before] / view.distance[after] - 1) > 0.35
        edge[before] |= ((ids[before] != ids[after]) & (both_near | (view.solid[before] != view.solid[after]))) | turned | jump
    return (edge * 255).astype(np.uint8)


def _smoothed(picture: Picture, edges: NDArray[np.uint8]) -> Picture:
    """Soften the stairs along outlines; inside the surfaces nothing changes."""
    share = cv2.GaussianBlur(cv2.dilate(edges, np.ones((2, 2), np.uint8)), (3, 3), 0).astype(np.float32)[..., None] / 255
    soft = cv2.GaussianBlur(picture, (3, 3), 0.8)
    return np.asarray(picture + share * (soft.astype(np.float32) - picture), np.uint8)
