"""The picture of what GPU slots did: what stands where, and no trouble with many lanes, none, or odd times."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_ops.media.drawing import cut_text, duration_text, text_width_px, time_step_s
from cosmos_ops.media.lanes import Lane, Segment, SegmentKind
from cosmos_ops.media.timeline import write_timeline

BLUE, ORANGE, GREEN = (86, 180, 233), (230, 159, 0), (0, 158, 115)
DARKER_ORANGE = (168, 119, 8)
PLOT, HELD = (36, 38, 42), (78, 82, 90)
RIGHT = 1220
"""Where the lanes end."""
LANE_PX, AXIS_PX = 40, 28

HOUR = 3600.0
times = st.floats(0, 1e6, allow_nan=False)


def staging_in(start_s, end_s, label="edge"):
    return Segment(SegmentKind.STAGING_IN, start_s, end_s, label)


def staging_out(start_s, end_s, label="edge"):
    return Segment(SegmentKind.STAGING_OUT, start_s, end_s, label)


def held(start_s, end_s, label="edge"):
    return Segment(SegmentKind.HELD, start_s, end_s, label)


def load(start_s, end_s, label="edge"):
    return Segment(SegmentKind.LOAD, start_s, end_s, label)


def sample(start_s, end_s, label="edge", **values):
    return Segment(SegmentKind.SAMPLE, start_s, end_s, label, **values)


def a_lane(*segments, name="a 0"):
    return Lane(name, segments)


def lanes(count, segment_count=3, *, second_s=1.0, name="host"):
    return [
        a_lane(*(sample(k * second_s, (k + 1) * second_s, f"s{k % 3}") for k in range(segment_count)), name=f"{name} {n}")
        for n in range(count)
    ]


def drawn(tmp_path, shown, **values):
    assert write_timeline(shown, tmp_path / "timeline.png", **values)
    return cv2.imread(str(tmp_path / "timeline.png"))[:, :, ::-1].astype(int)


def near(picture, colour, tolerance=12):
    return np.abs(picture - colour).max(axis=2) <= tolerance


class Lanes:
    """The lanes of a picture: the colour at a moment, on the bar or on the thin strips above and below it."""

    def __init__(self, picture, shown, height_px=LANE_PX):
        self.picture, self.shown, self.height_px = picture, shown, height_px
        self.end_s = max(lane.end_s for lane in shown) or 1.0
        self.top = picture.shape[0] - AXIS_PX - len(shown) * height_px
        background = picture[self.top + 2, :]
        inside = np.nonzero(np.abs(background - PLOT).max(axis=1) < 4)[0]
        self.left = inside.min()

    def column(self, at_s):
        return round(self.left + at_s / self.end_s * (RIGHT - self.left))

    def at(self, lane, at_s, height_share):
        row = self.top + lane * self.height_px + round(height_share * self.height_px)
        return self.picture[row, self.column(at_s)]

    def bar(self, lane, at_s):
        # Not in the middle, where the key is written.
        return self.at(lane, at_s, 0.3)


def is_colour(found, colour, tolerance=12):
    return np.abs(found - np.array(colour)).max() <= tolerance


def test_without_lanes_there_is_no_picture(tmp_path):
    assert not write_timeline([], tmp_path / "timeline.png")
    assert list(tmp_path.iterdir()) == []


def test_each_moment_has_the_colour_of_its_segment(tmp_path):
    shown = [
        a_lane(held(20, 75), load(20, 40), sample(40, 50), sample(50, 70)),
        a_lane(held(0, 60, "vis"), sample(0, 60, "vis"), name="a 1"),
        a_lane(sample(99, 100, "depth"), name="b 0"),
    ]
    found = Lanes(drawn(tmp_path, shown), shown)

    assert is_colour(found.bar(1, 30), BLUE)
    assert is_colour(found.bar(0, 45), ORANGE)
    assert is_colour(found.bar(0, 60), DARKER_ORANGE)
    assert is_colour(found.bar(0, 73), HELD)
    assert is_colour(found.bar(2, 99.5), GREEN)
    for lane, at_s in ((0, 5), (0, 95), (1, 95), (2, 5)):
        assert is_colour(found.bar(lane, at_s), PLOT)


def test_a_bar_begins_and_ends_where_it_should(tmp_path):
    shown = [a_lane(sample(25, 75), staging_out(99, 100))]
    found = Lanes(drawn(tmp_path, shown), shown)

    columns = np.nonzero(near(found.picture[found.top + 12 : found.top + 13], BLUE)[0])[0]
    assert abs(columns.min() - found.column(25)) <= 1
    assert abs(columns.max() - found.column(75)) <= 1
    assert len(columns) == columns.max() - columns.min() + 1


def test_staging_is_seen_beside_computing(tmp_path):
    shown = [a_lane(sample(0, 100), staging_in(40, 60), staging_out(70, 90))]
    found = Lanes(drawn(tmp_path, shown), shown)
    above, below = 6 / LANE_PX, 34 / LANE_PX

    assert is_colour(found.at(0, 47, above), BLUE)
    assert is_colour(found.at(0, 80, above), PLOT)
    assert is_colour(found.at(0, 47, below), PLOT)
    assert is_colour(found.at(0, 80, below), BLUE)
    assert all(is_colour(found.bar(0, at_s), BLUE) for at_s in (45, 80))


def test_a_load_is_hatched_and_a_sample_is_not(tmp_path):
    shown = [a_lane(load(0, 50), sample(50, 100))]
    found = Lanes(drawn(tmp_path, shown), shown)
    bar = found.picture[found.top + 10 : found.top + 30]

    assert (
        bar[:, found.column(5) : found.column(45)].std() > bar[:, found.column(55) : found.column(95)].std(axis=(0, 1)).max() + 10
    )


def test_a_failed_sample_is_dark_with_a_cross(tmp_path):
    shown = [a_lane(sample(0, 40), sample(40, 80, is_failed=True), sample(80, 100))]
    found = Lanes(drawn(tmp_path, shown), shown)

    assert found.bar(0, 45).max() < 110
    cross = found.picture[found.top + 14 : found.top + 26, found.column(60) - 5 : found.column(60) + 5]
    assert near(cross, (255, 255, 255), 40).any()


@pytest.mark.parametrize(("signatures", "rows"), [(1, 2), (3, 2), (20, 3)])
def test_the_legend_shows_every_signature(tmp_path, signatures, rows):
    shown = [a_lane(*(sample(k, k + 1, f"s{k}") for k in range(signatures)))]
    picture = drawn(tmp_path, shown)

    assert picture.shape[0] == 34 + 20 * rows + 18 + LANE_PX + AXIS_PX
    legend = picture[34:54]
    colours = (BLUE, ORANGE, GREEN)[:signatures]
    assert all(near(legend, colour).sum() >= 40 for colour in colours)
    assert signatures > 1 or not near(legend, ORANGE).any()


def test_a_legend_that_is_too_long_is_cut(tmp_path):
    shown = [a_lane(*(sample(k, k + 1, f"signature number {k} " * 9) for k in range(200)))]

    assert drawn(tmp_path, shown).shape[0] == 34 + 20 * 5 + 18 + LANE_PX + AXIS_PX


@pytest.mark.parametrize(
    ("count", "lane_px"), [(1, 40), (8, 40), (9, 28), (16, 28), (17, 22), (32, 22), (33, 16), (64, 16), (70, 16)]
)
def test_the_height_follows_the_number_of_lanes(tmp_path, count, lane_px):
    picture = drawn(tmp_path, lanes(count), title="many lanes")
    found = Lanes(picture, lanes(count), lane_px)

    assert picture.shape == (34 + 40 + 18 + count * lane_px + AXIS_PX, 1280, 3)
    assert all(is_colour(found.bar(lane, 0.3), BLUE) for lane in range(count))


@pytest.mark.parametrize("second_s", [1e-6, 0.001, 0.4, 1.0, 977.0, 40 * 24 * HOUR, 4000 * 24 * HOUR])
def test_short_and_long_times_fill_the_same_width(tmp_path, second_s):
    shown = lanes(2, second_s=second_s)
    found = Lanes(drawn(tmp_path, shown), shown)

    assert is_colour(found.bar(0, 0.5 * second_s), BLUE)
    assert is_colour(found.bar(1, 2.5 * second_s), GREEN)


def test_lanes_without_segments_are_empty(tmp_path):
    shown = [a_lane(), a_lane(name="a 1")]
    found = Lanes(drawn(tmp_path, shown), shown)

    assert all(is_colour(found.bar(lane, at_s), PLOT) for lane in (0, 1) for at_s in (0.05, 0.5, 0.95))


def test_long_names_leave_room_for_the_lanes(tmp_path):
    shown = lanes(2, name="a-host-with-a-name-that-never-seems-to-come-to-an-end" * 3)
    found = Lanes(drawn(tmp_path, shown, title="words " * 100), shown)

    assert 100 < found.left < 260
    assert is_colour(found.bar(0, 0.5), BLUE)


def test_equal_lanes_give_equal_bytes(tmp_path):
    for name in ("a.png", "b.png"):
        write_timeline(lanes(5), tmp_path / name, title="the same")

    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@given(st.text(max_size=60), st.floats(0, 300))
def test_a_text_is_cut_to_its_room(text, width_px):
    cut = cut_text(text, width_px)

    assert text_width_px(cut) <= width_px or len(cut) <= len(".") + 2
    assert cut == text or text_width_px(text) > width_px


def test_a_cut_text_keeps_both_ends():
    cut = cut_text("render-farm-in-the-basement-of-building-seven 3", 150)

    assert cut.startswith("render")
    assert cut.endswith("seven 3")


@given(st.floats(1e-3, 1e10), st.integers(1, 20), st.booleans())
def test_a_time_scale_has_as_many_marks_as_there_is_room_for(end_s, most, is_fine):
    assert end_s / time_step_s(end_s, most=most, is_fine=is_fine) <= most * (1 + 1e-9)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.25, "0.25 s"),
        (59.4, "59.4 s"),
        (59.9, "1 min"),
        (60, "1 min"),
        (75, "1 min 15 s"),
        (3599.6, "1 h"),
        (5400, "1 h 30 min"),
        (86399, "1 d"),
        (2.5 * 86400, "2 d 12 h"),
    ],
)
def test_a_length_of_time_is_written_in_its_largest_units(seconds, text):
    assert duration_text(seconds) == text


spans = st.tuples(times, times).map(sorted)
some_lanes = st.lists(st.builds(Segment, st.sampled_from(SegmentKind), times, times), max_size=12).map(
    lambda segments: Lane("a 0", tuple(Segment(s.kind, *sorted((s.start_s, s.end_s))) for s in segments))
)


@given(some_lanes, spans)
def test_busy_and_idle_make_up_the_whole_time(lane, span):
    start_s, end_s = span
    idle = lane.idle_spans(start_s, end_s)

    assert lane.busy_s(start_s, end_s) + sum(end - start for start, end in idle) == pytest.approx(end_s - start_s, abs=1e-6)
    assert all(start_s <= start < end <= end_s for start, end in idle)
    assert all(one[1] < other[0] for one, other in pairwise(idle))


def test_what_overlaps_is_busy_once():
    lane = a_lane(held(0, 20), load(0, 4), sample(2, 6), sample(6, 8), staging_out(8, 20))

    assert lane.busy_s(0, 20) == 8
    assert lane.busy_s(3, 7) == 4
    assert lane.idle_spans(0, 20) == [(8, 20)]
    assert (lane.end_s, lane.process_end_s) == (20, 20)
