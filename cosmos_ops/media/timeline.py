"""What every GPU slot did and when, as one PNG: lanes over time with loads, samples, staging, and what stays empty."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cosmos_ops.media.drawing import (
    GRID_COLOUR,
    PLOT_BACKGROUND,
    SCALE_COLOUR,
    TITLE_COLOUR,
    blank,
    cut_text,
    draw_line,
    draw_rectangle,
    draw_text,
    duration_text,
    finished,
    text_width_px,
    time_step_s,
    write_png,
)
from cosmos_ops.media.frames import Picture
from cosmos_ops.media.lanes import Lane, Segment, SegmentKind
from cosmos_ops.media.timeline_look import LEGEND_ROW_PX, Look, draw_filling, draw_legend_row, legend_rows, looks_of, readable_on

_WIDTH_PX = 1280
_MARGIN_PX, _BUSY_PX, _NAME_MAX_PX = 16, 44, 200
_TITLE_PX, _HEAD_PX, _AXIS_PX = 34, 18, 28
_TITLE_SIZE, _NAME_SIZE = 0.5, 0.38
_LANE_HEIGHTS_PX = ((8, 40), (16, 28), (32, 22))
"""Up to so many lanes are so high."""
_LOW_LANE_PX = 16
_KEY_LANE_MIN_PX, _KEY_ROOM_PX = 20, 6
_MARKS_MAX = 9
_ORDER = (SegmentKind.HELD, SegmentKind.LOAD, SegmentKind.SAMPLE, SegmentKind.STAGING_IN, SegmentKind.STAGING_OUT)
"""What is drawn later lies above."""


@dataclass(frozen=True)
class _Scale:
    """Where a moment is."""

    left_px: float
    right_px: float
    end_s: float

    def x(self, at_s: float) -> float:
        share = min(1.0, max(0.0, at_s / self.end_s))
        return self.left_px + share * (self.right_px - self.left_px)

    def marks_s(self) -> list[float]:
        step_s = time_step_s(self.end_s, most=_MARKS_MAX, is_fine=True)
        # The last mark may be the end itself, which rounding must not lose.
        return [number * step_s for number in range(math.floor(self.end_s / step_s + 1e-9) + 1)]


@dataclass(frozen=True)
class _Rows:
    """The heights of a lane: staging in above the bar, staging out below it."""

    height_px: int

    @property
    def edge_px(self) -> int:
        return max(1, self.height_px // 10)

    @property
    def thin_px(self) -> int:
        return max(2, self.height_px // 10)

    @property
    def baseline_px(self) -> float:
        return self.height_px / 2 + 4

    def of(self, kind: SegmentKind) -> tuple[float, float]:
        top, bottom = self.edge_px, self.height_px - self.edge_px
        if kind is SegmentKind.STAGING_IN:
            return top, top + self.thin_px
        if kind is SegmentKind.STAGING_OUT:
            return bottom - self.thin_px, bottom
        return top + self.thin_px + 1, bottom - self.thin_px - 1


def write_timeline(lanes: Sequence[Lane], target: Path, *, title: str = "") -> bool:
    """Write a PNG 1280 pixels wide, its height by the number of lanes; without lanes write none and return False.

    At the right end of each lane stands the share of the time until the last process of all ended in which it was busy.

    Raises:
        DiskFullError: No space is left; nothing of the file remains.
    """
    if not lanes:
        return False
    # One strip after the other: drawn as a whole, 64 lanes would take 100 MB.
    write_png(np.vstack([finished(strip) for strip in _strips(lanes, title)]), target)
    return True


def _strips(lanes: Sequence[Lane], title: str) -> Iterator[Picture]:
    looks = looks_of(lanes)
    names = [cut_text(lane.name, _NAME_MAX_PX, size=_NAME_SIZE) for lane in lanes]
    names_px = max(text_width_px(name, size=_NAME_SIZE) for name in names)
    scale = _Scale(
        left_px=2 * _MARGIN_PX - 4 + math.ceil(names_px),
        right_px=_WIDTH_PX - _MARGIN_PX - _BUSY_PX,
        end_s=max(lane.end_s for lane in lanes) or 1.0,
    )
    yield _title_strip(title)
    for row in legend_rows(lanes, looks, _WIDTH_PX - 2 * _MARGIN_PX):
        strip = blank(_WIDTH_PX, LEGEND_ROW_PX)
        draw_legend_row(strip, row, _MARGIN_PX)
        yield strip
    yield _head_strip()
    rows = _Rows(next((height for most, height in _LANE_HEIGHTS_PX if len(lanes) <= most), _LOW_LANE_PX))
    makespan_s = max(lane.process_end_s for lane in lanes)
    for lane, name in zip(lanes, names, strict=True):
        strip = _lane_strip(lane, name, rows, scale, looks)
        _draw_busy(strip, lane.busy_s(0, makespan_s) / makespan_s if makespan_s else 0.0, rows)
        yield strip
    yield _axis_strip(scale)


def _title_strip(title: str) -> Picture:
    strip = blank(_WIDTH_PX, _TITLE_PX)
    text = cut_text(title, _WIDTH_PX - 2 * _MARGIN_PX, size=_TITLE_SIZE)
    draw_text(strip, text, (_MARGIN_PX, _TITLE_PX - 12), TITLE_COLOUR, size=_TITLE_SIZE)
    return strip


def _head_strip() -> Picture:
    strip = blank(_WIDTH_PX, _HEAD_PX)
    draw_text(strip, "busy", (_WIDTH_PX - _MARGIN_PX, _HEAD_PX - 5), SCALE_COLOUR, align=1.0)
    return strip


def _lane_strip(lane: Lane, name: str, rows: _Rows, scale: _Scale, looks: Mapping[str, Look]) -> Picture:
    strip = blank(_WIDTH_PX, rows.height_px)
    draw_text(strip, name, (scale.left_px - 12, rows.baseline_px), TITLE_COLOUR, size=_NAME_SIZE, align=1.0)
    edge = rows.edge_px / 2
    draw_rectangle(strip, (scale.left_px, edge), (scale.right_px, rows.height_px - edge), PLOT_BACKGROUND)
    for mark_s in scale.marks_s():
        draw_line(strip, [(scale.x(mark_s), 0), (scale.x(mark_s), rows.height_px)], GRID_COLOUR)
    _draw_segments(strip, lane, rows, scale, looks)
    return strip


def _draw_busy(strip: Picture, share: float, rows: _Rows) -> None:
    at = (_WIDTH_PX - _MARGIN_PX, rows.baseline_px)
    draw_text(strip, f"{100 * share:.0f} %", at, SCALE_COLOUR, size=_NAME_SIZE, align=1.0)


def _draw_segments(strip: Picture, lane: Lane, rows: _Rows, scale: _Scale, looks: Mapping[str, Look]) -> None:
    is_second = False
    for segment in sorted(lane.segments, key=lambda segment: (_ORDER.index(segment.kind), segment.start_s)):
        top, bottom = rows.of(segment.kind)
        draw_filling(
            strip,
            segment.kind,
            (scale.x(segment.start_s), top),
            (scale.x(segment.end_s), bottom),
            looks[segment.label].colour,
            is_second=is_second and segment.kind is SegmentKind.SAMPLE,
            is_failed=segment.is_failed,
        )
        is_second = segment.kind is SegmentKind.SAMPLE and not is_second
    if rows.height_px >= _KEY_LANE_MIN_PX:
        for bar in _bars(lane):
            _draw_key(strip, bar, looks[bar[0].label], scale, rows.baseline_px)


def _draw_key(strip: Picture, bar: Sequence[Segment], look: Look, scale: _Scale, baseline: float) -> None:
    left, right = scale.x(bar[0].start_s), scale.x(max(segment.end_s for segment in bar))
    room_px = text_width_px(look.key) + _KEY_ROOM_PX
    crosses = [scale.x((segment.start_s + segment.end_s) / 2) for segment in bar if segment.is_failed]
    for share in (0.5, 0.25, 0.75):
        x = left + share * (right - left)
        if min(x - left, right - x) >= room_px / 2 and all(abs(x - cross) >= room_px for cross in crosses):
            draw_text(strip, look.key, (x, baseline), readable_on(look.colour), align=0.5)
            return


def _bars(lane: Lane) -> list[list[Segment]]:
    """The samples that follow each other in one process."""
    bars: list[list[Segment]] = []
    is_new = True
    for segment in sorted(lane.segments, key=lambda segment: segment.start_s):
        if segment.kind in (SegmentKind.HELD, SegmentKind.LOAD):
            is_new = True
        elif segment.kind is SegmentKind.SAMPLE:
            if is_new or segment.label != bars[-1][0].label:
                bars.append([])
            bars[-1].append(segment)
            is_new = False
    return bars


def _axis_strip(scale: _Scale) -> Picture:
    strip = blank(_WIDTH_PX, _AXIS_PX)
    for mark_s in scale.marks_s():
        x = scale.x(mark_s)
        draw_line(strip, [(x, 0), (x, 4)], GRID_COLOUR)
        draw_text(strip, duration_text(mark_s) if mark_s else "0", (x, 16), SCALE_COLOUR, align=0.5)
    return strip
