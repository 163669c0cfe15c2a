"""How busy the GPUs were during a job, as one small PNG: utilisation, memory, temperature and power over time."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cosmos_ops.gpu_samples import GPUSample
from cosmos_ops.media.drawing import (
    GRID_COLOUR,
    PALETTE,
    PLOT_BACKGROUND,
    SCALE_COLOUR,
    TITLE_COLOUR,
    Colour,
    blank,
    draw_line,
    draw_rectangle,
    draw_text,
    finished,
    part,
    time_step_s,
    write_png,
)
from cosmos_ops.media.frames import Picture

_WIDTH_PX, _HEIGHT_PX = 640, 240
_LEGEND_PX = 20
_PANEL_PX = _PANEL_WIDTH_PX, _PANEL_HEIGHT_PX = _WIDTH_PX // 2, _HEIGHT_PX // 2
_LEFT_PX, _RIGHT_PX, _TOP_PX, _BOTTOM_PX = 36, 12, 24, 18


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
    colours = {gpu: PALETTE[place % len(PALETTE)] for place, gpu in enumerate(gpus)}
    legend_px = _LEGEND_PX if len(gpus) > 1 else 0
    canvas = blank(_WIDTH_PX, legend_px + _HEIGHT_PX)
    if legend_px:
        _draw_legend(canvas, colours)
    end_s = max(1.0, *(sample.at_s for sample in samples))
    for place, panel in enumerate(_panels(samples)):
        corner = (place % 2 * _PANEL_WIDTH_PX, legend_px + place // 2 * _PANEL_HEIGHT_PX)
        _draw_panel(part(canvas, corner, _PANEL_PX), panel, colours, end_s)
    write_png(finished(canvas), target)
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


def _draw_panel(area: Picture, panel: _Panel, colours: dict[int, Colour], end_s: float) -> None:
    left, right, top, bottom = _LEFT_PX, _PANEL_WIDTH_PX - _RIGHT_PX, _TOP_PX, _PANEL_HEIGHT_PX - _BOTTOM_PX
    draw_rectangle(area, (left, top), (right, bottom), PLOT_BACKGROUND)
    draw_text(area, panel.title, (left, top - 8), TITLE_COLOUR, size=0.42)
    draw_text(area, _headline(panel), (right, top - 8), TITLE_COLOUR, align=1.0)
    for share in (0, 0.5, 1):
        height = bottom - share * (bottom - top)
        draw_line(area, [(left, height), (right, height)], GRID_COLOUR)
        draw_text(area, f"{share * panel.top:.0f}", (left - 5, height + 4), SCALE_COLOUR, align=1.0)
    step_s = time_step_s(end_s, most=5)
    for number in range(math.floor(end_s / step_s) + 1):
        x = left + number * step_s / end_s * (right - left)
        draw_line(area, [(x, bottom), (x, bottom + 3)], GRID_COLOUR)
        label = _clock(number * step_s)
        draw_text(area, label, (min(x, right - 6), bottom + 13), SCALE_COLOUR, align=0.5)
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
        draw_line(area, [(column[0][0], min(heights)), (column[0][0], max(heights))], tuple(value // 2 for value in colour))
    draw_line(area, means, colour, thickness_px=1.5)
    if len(means) == 1:
        draw_line(area, [means[0], means[0]], colour, thickness_px=4)


def _draw_legend(canvas: Picture, colours: dict[int, Colour]) -> None:
    for place, (gpu, colour) in enumerate(colours.items()):
        draw_text(canvas, f"GPU {gpu}", (_LEFT_PX + 60 * place, _LEGEND_PX - 4), colour)
