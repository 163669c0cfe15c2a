"""Makes the small videos of docs/examples/media, which are kept in git: `python -m tests.examples.media`."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from cosmos_ops.media.cityscape import write_cityscape
from cosmos_ops.media.controls import write_blur
from cosmos_ops.media.frames import Frame, Picture, open_reader, open_writer

FOLDER = Path(__file__).parents[2] / "docs" / "examples" / "media"
WIDTH_PX, HEIGHT_PX, FRAME_COUNT, LONG_FRAME_COUNT, FPS = 320, 176, 121, 250, 24
CRF = 33


def make(folder: Path = FOLDER) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as name:
        city = Path(name)
        write_cityscape(city, width_px=WIDTH_PX, height_px=HEIGHT_PX, frame_count=LONG_FRAME_COUNT, fps=FPS)
        street = folder / "street"
        street.mkdir(exist_ok=True)
        for role in ("color", "edge", "depth", "seg"):
            copy(city / f"{role}.mp4", street / f"{role}.mp4")
        write_blur(street / "color.mp4", city / "vis.mp4", strength="medium")
        copy(city / "vis.mp4", street / "vis.mp4")
        copy(city / "color.mp4", folder / "long.mp4", frame_count=LONG_FRAME_COUNT)
        copy(city / "color.mp4", folder / "short.mp4", frame_count=61)
        copy(city / "seg.mp4", folder / "hdmap.mp4", change=outlines)
        copy(city / "seg.mp4", folder / "wsm.mp4", change=outlines, frame_count=101)
        copy(city / "depth.mp4", folder / "lidar.mp4", change=scan_lines)
        copy(city / "edge.mp4", folder / "keypoint.mp4", change=dots)
        copy(city / "depth.mp4", folder / "near_mask.mp4", change=near)
        write_image(city / "color.mp4", folder / "style.png")


def copy(
    source: Path, target: Path, *, change: Callable[[Picture], Picture] = lambda picture: picture, frame_count: int = FRAME_COUNT
) -> None:
    tick = Fraction(1, FPS)
    with (
        open_reader(source) as frames,
        open_writer(target, width_px=WIDTH_PX, height_px=HEIGHT_PX, fps=1 / tick, time_base=tick, crf=CRF) as writer,
    ):
        for index, frame in enumerate(frames):
            if index == frame_count:
                break
            writer.write(Frame(change(frame.picture), index, 1, tick))


def outlines(picture: Picture) -> Picture:
    """Lines where the meaning changes, as a map of lanes has them."""
    edges = cv2.Canny(picture, 50, 100)
    return np.where(edges[..., None] > 0, picture, 0).astype(np.uint8)


def scan_lines(picture: Picture) -> Picture:
    """Every fourth row, as a scanner with few beams sees it."""
    rows = np.zeros_like(picture)
    rows[::4] = picture[::4]
    return rows


def dots(picture: Picture) -> Picture:
    """The corners of the edges as dots."""
    canvas = np.zeros_like(picture)
    corners = cv2.goodFeaturesToTrack(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), 40, 0.1, 12)
    for x, y in np.zeros((0, 2)) if corners is None else corners.reshape(-1, 2):
        cv2.circle(canvas, (int(x), int(y)), 2, (255, 80, 80), -1)
    return canvas


def near(picture: Picture) -> Picture:
    """White where the scene is near."""
    return np.where(picture > 90, 255, 0).astype(np.uint8)


def write_image(source: Path, target: Path) -> None:
    with open_reader(source) as frames:
        picture = next(iter(frames)).picture
    cv2.imwrite(str(target), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    make()
