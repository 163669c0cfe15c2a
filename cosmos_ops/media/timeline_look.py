"""How a timeline looks: the colour of each control signature, the filling of each kind of segment, and the legend of both."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase

from cosmos_ops.media.drawing import (
    BACKGROUND,
    PALETTE,
    PLOT_BACKGROUND,
    SCALE_COLOUR,
    TITLE_COLOUR,
    Colour,
    Point,
    cut_text,
    draw_hatched,
    draw_line,
    draw_rectangle,
    draw_text,
    text_width_px,
    tinted,
)
from cosmos_ops.media.frames import Picture
from cosmos_ops.media.lanes import Lane, SegmentKind

LEGEND_ROW_PX = 20
# Without its grey, which here means no control signature at all.
_COLOURS = PALETTE[:-1]
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)
_HELD_COLOUR = (78, 82, 90)
_SWATCH_PX, _SWATCH_HEIGHT_PX, _THIN_PX = 18, 10, 3
_GAP_PX, _BETWEEN_PX = 6, 22
_LABEL_MAX_PX = 280
_LABEL_SIZE = 0.38
_ROWS_MAX = 4
"""Of control signatures; what does not fit into them is only counted."""


@dataclass(frozen=True)
class Look:
    """How a control signature is told from the others."""

    key: str
    """A letter, written on its bars; empty where there is only one signature."""
    colour: Colour


@dataclass(frozen=True)
class Entry:
    """One item of the legend."""

    text: str
    kind: SegmentKind
    colour: Colour
    is_failed: bool = False
    is_counted: bool = False
    """Stands for items that are left out, and has no swatch."""

    @property
    def width_px(self) -> float:
        """What it takes with the space after it."""
        swatch = 0 if self.is_counted else _SWATCH_PX + _GAP_PX
        return swatch + text_width_px(self.text, size=_LABEL_SIZE) + _BETWEEN_PX


def looks_of(lanes: Sequence[Lane]) -> dict[str, Look]:
    """A look for each label, in the order in which they begin; beyond the colours of the palette come lighter and darker ones."""
    segments = sorted((segment for lane in lanes for segment in lane.segments), key=lambda segment: segment.start_s)
    labels = list(dict.fromkeys(segment.label for segment in segments))
    return {label: Look(_key(place) if len(labels) > 1 else "", _colour(place)) for place, label in enumerate(labels)}


def _key(place: int) -> str:
    rounds, letter = divmod(place, len(ascii_uppercase))
    return ascii_uppercase[letter] + (str(rounds + 1) if rounds else "")


def _colour(place: int) -> Colour:
    rounds, number = divmod(place, len(_COLOURS))
    colour = _COLOURS[number]
    return (colour, tinted(colour, _WHITE, 0.55), tinted(colour, _BLACK, 0.45))[rounds % 3]


def readable_on(colour: Colour) -> Colour:
    """The colour of letters on a bar."""
    red, green, blue = colour
    return BACKGROUND if 0.299 * red + 0.587 * green + 0.114 * blue > 90 else TITLE_COLOUR


def draw_filling(
    area: Picture,
    kind: SegmentKind,
    start: Point,
    end: Point,
    colour: Colour,
    *,
    is_second: bool = False,
    is_failed: bool = False,
) -> None:
    """Fill the place of a segment, from its upper left to its lower right corner.

    Args:
        area: The drawing.
        kind: What happens.
        start: Upper left corner.
        end: Lower right corner.
        colour: That of its control signature.
        is_second: Whether it is every second one of samples that follow each other, which are a little darker.
        is_failed: Whether it came to nothing: dark, with a cross.
    """
    if kind is SegmentKind.HELD:
        draw_rectangle(area, start, end, _HELD_COLOUR)
    elif kind is SegmentKind.LOAD:
        draw_hatched(area, start, end, tinted(colour, PLOT_BACKGROUND, 0.25), tinted(colour, PLOT_BACKGROUND, 0.72))
    elif is_failed:
        draw_rectangle(area, start, end, tinted(colour, PLOT_BACKGROUND, 0.72))
        _draw_cross(area, ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2))
    else:
        draw_rectangle(area, start, end, tinted(colour, BACKGROUND, 0.3) if is_second else colour)


def _draw_cross(area: Picture, middle: Point, reach_px: float = 3) -> None:
    x, y = middle
    for direction in (-1, 1):
        ends = [(x - reach_px, y - direction * reach_px), (x + reach_px, y + direction * reach_px)]
        draw_line(area, ends, _WHITE, thickness_px=1.25)


def legend_rows(lanes: Sequence[Lane], looks: Mapping[str, Look], width_px: float) -> list[list[Entry]]:
    """The legend in rows: control signatures first, then the kinds of segments that there are."""
    named = [
        Entry(cut_text(f"{look.key} {label}".strip(), _LABEL_MAX_PX, size=_LABEL_SIZE), SegmentKind.SAMPLE, look.colour)
        for label, look in looks.items()
        if label
    ]
    rows = list(_wrapped(named, width_px))
    if len(rows) > _ROWS_MAX:
        left_out = sum(len(row) for row in rows[_ROWS_MAX:]) + 1
        counted = Entry(f"and {left_out} more", SegmentKind.SAMPLE, SCALE_COLOUR, is_counted=True)
        rows = [*rows[: _ROWS_MAX - 1], [*rows[_ROWS_MAX - 1][:-1], counted]]
    segments = [segment for lane in lanes for segment in lane.segments]
    kinds = [Entry(kind.value, kind, SCALE_COLOUR) for kind in SegmentKind if any(part.kind is kind for part in segments)]
    if any(segment.is_failed for segment in segments):
        kinds.append(Entry("came to nothing", SegmentKind.SAMPLE, SCALE_COLOUR, is_failed=True))
    return [*rows, kinds] if kinds else rows


def _wrapped(entries: Sequence[Entry], width_px: float) -> Iterator[list[Entry]]:
    row: list[Entry] = []
    for entry in entries:
        if row and sum(one.width_px for one in (*row, entry)) - _BETWEEN_PX > width_px:
            yield row
            row = []
        row.append(entry)
    if row:
        yield row


def draw_legend_row(area: Picture, row: Sequence[Entry], left_px: float) -> None:
    """One row of the legend, in an area of its height."""
    x = left_px
    middle = LEGEND_ROW_PX / 2
    for entry in row:
        text_left = x
        if not entry.is_counted:
            _draw_swatch(area, entry, x, middle)
            text_left += _SWATCH_PX + _GAP_PX
        draw_text(area, entry.text, (text_left, middle + 4), TITLE_COLOUR, size=_LABEL_SIZE)
        x += entry.width_px


def _draw_swatch(area: Picture, entry: Entry, left: float, middle: float) -> None:
    right, half = left + _SWATCH_PX, _SWATCH_HEIGHT_PX / 2
    top, bottom = middle - half, middle + half
    if entry.kind is SegmentKind.STAGING_IN:
        bottom = top + _THIN_PX
    elif entry.kind is SegmentKind.STAGING_OUT:
        top = bottom - _THIN_PX
    if entry.kind is SegmentKind.SAMPLE and not entry.is_failed:
        centre = (left + right) / 2
        draw_filling(area, entry.kind, (left, top), (centre, bottom), entry.colour)
        draw_filling(area, entry.kind, (centre, top), (right, bottom), entry.colour, is_second=True)
    else:
        draw_filling(area, entry.kind, (left, top), (right, bottom), entry.colour, is_failed=entry.is_failed)
