"""Diagrams on a dark ground, drawn with OpenCV alone: areas, lines, letters, time scales.

All measures are pixels of the finished picture. Everything is drawn four times too large and then shrunk: OpenCV's thin lines
and letters become smooth.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from cosmos_ops.files import write_file
from cosmos_ops.media.frames import Picture

Colour = tuple[int, int, int]
Point = tuple[float, float]

BACKGROUND = (24, 25, 28)
PLOT_BACKGROUND = (36, 38, 42)
GRID_COLOUR = (62, 65, 72)
TITLE_COLOUR = (226, 228, 232)
SCALE_COLOUR = (150, 154, 162)
# Okabe and Ito, "Color Universal Design" (2008), told apart with any kind of colour vision; grey stands for their black.
PALETTE = (
    (86, 180, 233),
    (230, 159, 0),
    (0, 158, 115),
    (240, 228, 66),
    (204, 121, 167),
    (213, 94, 0),
    (0, 114, 178),
    (190, 190, 190),
)
TEXT_SIZE = 0.36

_ENLARGED = 4
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_CUT = ".."
_HATCH_PX = 5
_DAY_S = 86400
_SHORT_STEPS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
_TIME_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, _DAY_S)
_DAY_STEPS = (2, 7, 14, 30, 60, 180, 365)


def blank(width_px: int, height_px: int) -> Picture:
    """An empty drawing."""
    return np.full((height_px * _ENLARGED, width_px * _ENLARGED, 3), BACKGROUND, np.uint8)


def part(area: Picture, corner: tuple[int, int], size: tuple[int, int]) -> Picture:
    """A part of a drawing, to be drawn into: nothing that is drawn there leaves it."""
    (left, top), (width, height) = corner, size
    return area[top * _ENLARGED : (top + height) * _ENLARGED, left * _ENLARGED : (left + width) * _ENLARGED]


def finished(area: Picture) -> Picture:
    """The drawing in its real size."""
    height, width, _ = area.shape
    shrunk: Picture = cv2.resize(area, (width // _ENLARGED, height // _ENLARGED), interpolation=cv2.INTER_AREA).astype(np.uint8)
    return shrunk


def write_png(picture: Picture, target: Path) -> None:
    """Keep a finished drawing.

    Raises:
        DiskFullError: No space is left; nothing of the file remains.
    """
    done, content = cv2.imencode(".png", picture[:, :, ::-1])
    assert done
    write_file(target, content.tobytes())


def draw_rectangle(area: Picture, start: Point, end: Point, colour: Colour) -> None:
    """A filled rectangle from one corner to the opposite one."""
    cv2.rectangle(area, _pixels(start), _pixels(end), colour, cv2.FILLED)


def draw_hatched(area: Picture, start: Point, end: Point, colour: Colour, ground: Colour) -> None:
    """A rectangle from its upper left to its lower right corner, filled with slanting lines."""
    draw_rectangle(area, start, end, ground)
    (left, top), (right, bottom) = _pixels(start), _pixels(end)
    inside = area[max(0, top) : bottom + 1, max(0, left) : right + 1]
    height, width = bottom - top, right - left
    for x in range(0, width + height, _HATCH_PX * _ENLARGED):
        cv2.line(inside, (x, 0), (x - height, height), colour, _ENLARGED, cv2.LINE_AA)


def draw_line(area: Picture, points: Sequence[Point], colour: Sequence[int], thickness_px: float = 1) -> None:
    """A line from point to point."""
    corners = np.array([_pixels(point) for point in points], np.int32)
    cv2.polylines(area, [corners], False, colour, round(thickness_px * _ENLARGED), cv2.LINE_AA)


def draw_text(area: Picture, text: str, at: Point, colour: Colour, *, size: float = TEXT_SIZE, align: float = 0.0) -> None:
    """Write text with its left end at the point, or with `align` its middle (0.5) or its right end (1)."""
    x, y = _pixels(at)
    left = round(x - align * _text_width(text, size))
    cv2.putText(area, _plain(text), (left, y), _FONT, size * _ENLARGED, colour, _ENLARGED, cv2.LINE_AA)


def text_width_px(text: str, *, size: float = TEXT_SIZE) -> float:
    """How wide a text is."""
    return _text_width(text, size) / _ENLARGED


def cut_text(text: str, width_px: float, *, size: float = TEXT_SIZE) -> str:
    """The text, or as much of its beginning and its end as there is room for."""
    shown = text
    for length in range(len(text) - 1, 0, -1):
        if text_width_px(shown, size=size) <= width_px:
            return shown
        shown = text[: length - length // 2].rstrip() + _CUT + text[len(text) - length // 2 :].lstrip()
    return shown


def time_step_s(end_s: float, *, most: int, is_fine: bool = False) -> float:
    """How far the marks of a time scale from 0 to its end stand apart, so that there are not more than so many after the 0.

    Args:
        end_s: Where the scale ends.
        most: How many marks there may be.
        is_fine: Whether they may be less than a second apart.
    """
    steps = (*(_SHORT_STEPS_S if is_fine else ()), *_TIME_STEPS_S, *(days * _DAY_S for days in _DAY_STEPS))
    return next((step for step in steps if end_s / step <= most), end_s / most)


def duration_text(seconds: float) -> str:
    """A length of time in its two largest units, such as `12 min 30 s`."""
    for unit, unit_s, smaller, smaller_s in (("d", _DAY_S, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        rounded = round(seconds / smaller_s)
        if rounded * smaller_s >= unit_s:
            whole, rest = divmod(rounded, unit_s // smaller_s)
            return f"{whole} {unit} {rest} {smaller}" if rest else f"{whole} {unit}"
    return f"{seconds:.3g} s"


def tinted(colour: Colour, towards: Colour, share: float) -> Colour:
    """A colour on its way to another one: at share 0 still itself, at 1 the other."""
    red, green, blue = (round(own + share * (other - own)) for own, other in zip(colour, towards, strict=True))
    return red, green, blue


def _pixels(point: Point) -> tuple[int, int]:
    return round(point[0] * _ENLARGED), round(point[1] * _ENLARGED)


def _text_width(text: str, size: float) -> int:
    (width, _), _ = cv2.getTextSize(_plain(text), _FONT, size * _ENLARGED, _ENLARGED)
    return int(width)


def _plain(text: str) -> str:
    """OpenCV's letters are those of ASCII."""
    return text.encode("ascii", "replace").decode("ascii")
