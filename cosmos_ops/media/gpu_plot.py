"""How busy the GPUs were during a job, as one small PNG: utilisation, memory, temperature and power over time."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from cosmos_ops.files import write_file
from cosmos_ops.gpu_samples import GPUSample
from cosmos_ops.media.frames import Picture

# Everything is drawn four times too large and then shrunk: OpenCV's thin lines and letters become smooth.
_ENLARGED = 4
_WIDTH_PX, _HEIGHT_PX = 640, 240
_LEGEND_PX = 20
_PANEL_WIDTH_PX, _PANEL_HEIGHT_PX = _WIDTH_PX // 2, _HEIGHT_PX // 2
_LEFT_PX, _RIGHT_PX, _TOP_PX, _BOTTOM_PX = 36, 12, 24, 18

_BACKGROUND = (24, 25, 28)
_PLOT_BACKGROUND = (36, 38, 42)
_GRID_COLOUR = (62, 65, 72)
_TITLE_COLOUR = (226, 228, 232)
_SCALE_COLOUR = (150, 154, 162)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
# Okabe and Ito, "Color Universal Design" (2008), told apart with any kind of colour vision; grey stands for their black.
_GPU_COLOURS = (
    (86, 180, 233),
    (230, 159, 0),
    (0, 158, 115),
    (240, 228, 66),
    (204, 121, 167),
    (213, 94, 0),
    (0, 114, 178),
    (190, 190, 190),
)
_TIME_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class _Panel:
    """One measure over time."""

    title: str
    unit: str
    top: float
    """Upper end of the scale; the lower end is 0."""
    lines: dict[int, list[tuple[float, float]]]
    """Seconds and value per GPU."""


def write_gpu_plot(samples: Sequence[GPUSample], target: Path) -> bool:
    """Write a PNG of 640 x 240 pixels, or 20 more for the names of several GPUs; without samples write none and return False.

    Raises:
        DiskFullError: No space is left; nothing of the file remains.
    """
    if not samples:
        return False
    gpus = sorted({sample.gpu for sample in samples})
    colours = {gpu: _GPU_COLOURS[place % len(_GPU_COLOURS)] for place, gpu in enumerate(gpus)}
    legend_px = _LEGEND_PX if len(gpus) > 1 else 0
    canvas = np.full(((legend_px + _HEIGHT_PX) * _ENLARGED, _WIDTH_PX * _ENLARGED, 3), _BACKGROUND, np.uint8)
    if legend_px:
        _draw_legend(canvas, colours)
    end_s = max(1.0, *(sample.at_s for sample in samples))
    for place, panel in enumerate(_panels(samples)):
        rows = _span(legend_px + place // 2 * _PANEL_HEIGHT_PX, _PANEL_HEIGHT_PX)
        _draw_panel(canvas[rows, _span(place % 2 * _PANEL_WIDTH_PX, _PANEL_WIDTH_PX)], panel, colours, end_s)
    shown = cv2.resize(canvas, (_WIDTH_PX, legend_px + _HEIGHT_PX), interpolation=cv2.INTER_AREA)
    done, content = cv2.imencode(".png", shown[:, :, ::-1])
    assert done
    write_file(target, content.tobytes())
    return True


def _panels(samples: Sequence[GPUSample]) -> list[_Panel]:
    memory = _series(samples, lambda sample: _gib(sample.memory_used_mib))
    power = _series(samples, lambda sample: sample.power_w)
    total_gib = max((_gib(sample.memory_total_mib) or 0 for sample in samples), default=0) or _round_top(memory, 8)
    return [
        _Panel("Utilisation", "%", 100, _series(samples, lambda sample: sample.utilisation_percent)),
        _Panel("Memory", "GiB", total_gib, memory),
        _Panel("Temperature", "C", 100, _series(samples, lambda sample: sample.temperature_c)),
        _Panel("Power", "W", _round_top(power, 100), power),
    ]


def _series(samples: Sequence[GPUSample], figure: Callable[[GPUSample], float | None]) -> dict[int, list[tuple[float, float]]]:
    lines: dict[int, list[tuple[float, float]]] = {}
    for sample in sorted(samples, key=lambda sample: sample.at_s):
        value = figure(sample)
        if value is not None:
            lines.setdefault(sample.gpu, []).append((sample.at_s, value))
    return lines


def _gib(mib: float | None) -> float | None:
    return None if mib is None else mib / 1024


def _round_top(lines: dict[int, list[tuple[float, float]]], step: float) -> float:
    peak = max((value for line in lines.values() for _, value in line), default=0)
    return max(1, math.ceil(peak / step)) * step


def _span(start_px: int, size_px: int) -> slice:
    return slice(start_px * _ENLARGED, (start_px + size_px) * _ENLARGED)


def _draw_panel(area: Picture, panel: _Panel, colours: dict[int, Colour], end_s: float) -> None:
    left, right, top, bottom = _LEFT_PX, _PANEL_WIDTH_PX - _RIGHT_PX, _TOP_PX, _PANEL_HEIGHT_PX - _BOTTOM_PX
    _rectangle(area, (left, top), (right, bottom), _PLOT_BACKGROUND)
    _write(area, panel.title, (left, top - 8), _TITLE_COLOUR, size=0.42)
    _write(area, _headline(panel), (right, top - 8), _TITLE_COLOUR, align=1.0)
    for share in (0, 0.5, 1):
        height = bottom - share * (bottom - top)
        _line(area, [(left, height), (right, height)], _GRID_COLOUR)
        _write(area, f"{share * panel.top:.0f}", (left - 5, height + 4), _SCALE_COLOUR, align=1.0)
    step_s = next((step for step in _TIME_STEPS_S if end_s / step <= 5), end_s / 5)
    for number in range(math.floor(end_s / step_s) + 1):
        x = left + number * step_s / end_s * (right - left)
        _line(area, [(x, bottom), (x, bottom + 3)], _GRID_COLOUR)
        label = _clock(number * step_s)
        _write(area, label, (min(x, right - 6), bottom + 13), _SCALE_COLOUR, align=0.5)
    for gpu, line in panel.lines.items():
        points = [
            (left + at_s / end_s * (right - left), bottom - min(1, value / panel.top) * (bottom - top)) for at_s, value in line
        ]
        _curve(area, points, colours[gpu])


def _headline(panel: _Panel) -> str:
    values = [value for line in panel.lines.values() for _, value in line]
    if not values:
        return "not known"
    if panel.unit == "%":
        return f"mean {sum(values) / len(values):.0f} %"
    if panel.unit == "GiB":
        return f"max {max(values):.1f} of {panel.top:.1f} GiB"
    return f"max {max(values):.0f} {panel.unit}"


def _clock(at_s: float) -> str:
    if at_s == 0:
        return "0"
    for unit, seconds in (("h", 3600), ("min", 60)):
        if at_s >= seconds and at_s % (seconds / 2) == 0:
            return f"{at_s / seconds:g} {unit}"
    return f"{at_s:.0f} s"


def _curve(area: Picture, points: list[tuple[float, float]], colour: Colour) -> None:
    """A line through the means of each pixel column before its range; a lone point is a dot."""
    columns: dict[int, list[tuple[float, float]]] = {}
    for point in points:
        columns.setdefault(math.floor(point[0]), []).append(point)
    means = [(sum(x for x, _ in column) / len(column), sum(y for _, y in column) / len(column)) for column in columns.values()]
    for column in columns.values():
        heights = [y for _, y in column]
        _line(area, [(column[0][0], min(heights)), (column[0][0], max(heights))], tuple(part // 2 for part in colour))
    _line(area, means, colour, thickness_px=1.5)
    if len(means) == 1:
        _line(area, [means[0], means[0]], colour, thickness_px=4)


def _draw_legend(canvas: Picture, colours: dict[int, Colour]) -> None:
    for place, (gpu, colour) in enumerate(colours.items()):
        _write(canvas, f"GPU {gpu}", (_LEFT_PX + 60 * place, _LEGEND_PX - 4), colour)


def _pixels(point: tuple[float, float]) -> tuple[int, int]:
    return round(point[0] * _ENLARGED), round(point[1] * _ENLARGED)


def _rectangle(area: Picture, start: tuple[float, float], end: tuple[float, float], colour: Colour) -> None:
    cv2.rectangle(area, _pixels(start), _pixels(end), colour, cv2.FILLED)


def _line(area: Picture, points: list[tuple[float, float]], colour: Sequence[int], thickness_px: float = 1) -> None:
    corners = np.array([_pixels(point) for point in points], np.int32)
    cv2.polylines(area, [corners], False, colour, round(thickness_px * _ENLARGED), cv2.LINE_AA)


def _write(area: Picture, text: str, at: tuple[float, float], colour: Colour, *, size: float = 0.36, align: float = 0.0) -> None:
    """Write text with its left end at the point, or with `align` its middle (0.5) or its right end (1)."""
    (width, _), _ = cv2.getTextSize(text, _FONT, size * _ENLARGED, _ENLARGED)
    x, y = _pixels(at)
    cv2.putText(area, text, (round(x - align * width), y), _FONT, size * _ENLARGED, colour, _ENLARGED, cv2.LINE_AA)
