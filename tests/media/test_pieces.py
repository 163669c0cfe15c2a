"""A video is cut into pieces and joined again with every frame once, in its place, without a seam.

Each source frame carries its number as a bar code of ten bits.
"""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_ops.errors import VideoUnreadableError
from cosmos_ops.media.frames import Frame, open_reader, open_writer
from cosmos_ops.media.pieces import cut, join
from cosmos_ops.media.probe import probe
from cosmos_ops.pieces import Piece, pieces

from .videos import NTSC_FILM, assert_even, stamps, truncated, write_clip, write_vfr_clip

BITS = 10
FPS = Fraction(24)


def bar_code(number, height=16):
    bits = [number >> bit & 1 for bit in range(BITS)]
    return np.repeat(np.tile(np.repeat(np.array(bits, np.uint8) * 200 + 20, 8), (height, 1))[:, :, None], 3, axis=2)


def flat(level, width=32, height=16):
    return np.full((height, width, 3), level, np.uint8)


def write(target, shown, fps=FPS):
    height, width = shown[0].shape[:2]
    with open_writer(target, width_px=width, height_px=height, fps=fps, time_base=1 / fps, crf=8) as writer:
        for index, picture in enumerate(shown):
            writer.write(Frame(picture, index, 1, 1 / fps))
    return target


def read(path):
    with open_reader(path) as frames:
        return [frame.picture for frame in frames]


def numbers(path):
    """What the bar codes say; every bit must be clear."""
    found = []
    for picture in read(path):
        levels = picture.reshape(picture.shape[0], BITS, -1).mean(axis=(0, 2))
        assert ((levels < 60) | (levels > 180)).all()
        found.append(sum(int(level > 120) << bit for bit, level in enumerate(levels)))
    return found


# Planning


@st.composite
def plans(draw):
    longest = draw(st.integers(1, 200))
    return draw(st.integers(1, 6000)), longest, draw(st.integers(0, longest // 3))


@given(plans())
def test_pieces_cover_every_frame_and_share_exactly_the_overlap(plan):
    frame_count, longest, overlap = plan

    planned = pieces(frame_count, longest=longest, overlap=overlap)

    assert (planned[0].start, planned[-1].end) == (0, frame_count)
    assert all(before.end - after.start == overlap for before, after in pairwise(planned))


@given(plans())
def test_no_piece_is_too_long_or_much_shorter_than_another(plan):
    frame_count, longest, overlap = plan

    counts = [piece.count for piece in pieces(frame_count, longest=longest, overlap=overlap)]

    assert max(counts) <= longest
    assert max(counts) - min(counts) <= 1
    # A piece fades in and out of its neighbours, and not of both at once.
    assert len(counts) == 1 or min(counts) >= max(overlap + 1, 2 * overlap)


@given(plans())
def test_there_is_no_piece_more_than_needed(plan):
    frame_count, longest, overlap = plan

    number = len(pieces(frame_count, longest=longest, overlap=overlap))

    assert number == 1 or (number - 1) * (longest - overlap) + overlap < frame_count


@pytest.mark.parametrize(
    ("frame_count", "expected"),
    [
        (1, [Piece(0, 1)]),
        (121, [Piece(0, 121)]),
        (122, [Piece(0, 65), Piece(57, 65)]),
        (234, [Piece(0, 121), Piece(113, 121)]),
        (235, [Piece(0, 83), Piece(75, 84), Piece(151, 84)]),
    ],
)
def test_pieces_for_the_upscaler(frame_count, expected):
    assert list(pieces(frame_count)) == expected


@pytest.mark.parametrize(
    ("frame_count", "longest", "overlap"), [(0, 121, 8), (-3, 121, 8), (500, 121, 41), (500, 121, -1), (500, 0, 0), (9, -1, -1)]
)
def test_an_impossible_plan_is_refused(frame_count, longest, overlap):
    with pytest.raises(ValueError, match=r"at least one is needed|at most a third is possible"):
        pieces(frame_count, longest=longest, overlap=overlap)


# Cutting and joining


@pytest.mark.parametrize("frame_count", [1, 2, 120, 121, 122, 123, 241, 242, 500])
def test_every_frame_is_in_its_place_after_cutting_and_joining(tmp_path, frame_count):
    source = write(tmp_path / "a.mp4", [bar_code(number) for number in range(frame_count)], NTSC_FILM)
    planned = pieces(frame_count)

    parts = cut(source, tmp_path / "parts", planned)
    join(parts, planned, tmp_path / "b.mp4", fps=NTSC_FILM)

    for part, piece in zip(parts, planned, strict=True):
        assert numbers(part) == list(range(piece.start, piece.end))
        assert probe(part).fps == NTSC_FILM
    assert numbers(tmp_path / "b.mp4") == list(range(frame_count))
    assert probe(tmp_path / "b.mp4").fps == NTSC_FILM
    assert stamps(tmp_path / "b.mp4") == stamps(source)


def test_pieces_hold_nearly_what_the_source_holds(tmp_path):
    source = write_clip(tmp_path / "a.mp4", frame_count=30, width=160, height=96)

    parts = cut(source, tmp_path / "parts", pieces(30, longest=20, overlap=4))

    original, second = read(source), read(parts[1])
    assert len(second) == 17
    assert max(np.abs(second[k].astype(int) - original[13 + k]).mean() for k in range(17)) < 3


def test_a_piece_of_a_video_with_uneven_times_has_one_rate_from_0_on(tmp_path):
    source = write_vfr_clip(tmp_path / "a.mkv", [0, 10, 200, 210, 900, 1000])

    parts = cut(source, tmp_path / "parts", [Piece(0, 3), Piece(2, 4)])

    assert_even(stamps(parts[0]), 3)
    assert_even(stamps(parts[1]), 4)


def test_parts_of_different_brightness_fade_into_each_other(tmp_path):
    planned = pieces(300, overlap=8)
    levels = (60, 150, 60)
    parts = [write(tmp_path / f"{number}.mp4", [flat(levels[number])] * piece.count) for number, piece in enumerate(planned)]

    join(parts, planned, tmp_path / "b.mp4", fps=FPS)

    shown = np.array([picture.mean() for picture in read(tmp_path / "b.mp4")])
    assert len(shown) == 300
    # Eight shared frames are nine steps of 10 levels each; the codec adds a little.
    assert np.abs(np.diff(shown)).max() < 90 / 9 + 2.5
    fade = shown[planned[1].start : planned[0].end]
    assert np.abs(fade - [60 + 10 * step for step in range(1, 9)]).max() < 2.5
    assert np.abs(shown[: planned[1].start] - 60).max() < 2.5
    assert np.abs(shown[planned[0].end : planned[2].start] - 150).max() < 2.5


def test_pieces_without_overlap_are_set_one_after_the_other(tmp_path):
    planned = pieces(40, longest=15, overlap=0)
    source = write(tmp_path / "a.mp4", [bar_code(number) for number in range(40)])

    join(cut(source, tmp_path / "parts", planned), planned, tmp_path / "b.mp4", fps=FPS)

    assert numbers(tmp_path / "b.mp4") == list(range(40))


def test_equal_parts_give_equal_bytes(tmp_path):
    planned = pieces(30, longest=20, overlap=4)
    source = write_clip(tmp_path / "a.mp4", frame_count=30)

    for name in ("b", "c"):
        join(cut(source, tmp_path / name, planned), planned, tmp_path / f"{name}.mp4", fps=FPS)

    assert (tmp_path / "b.mp4").read_bytes() == (tmp_path / "c.mp4").read_bytes()


# What can be wrong


def test_a_part_with_too_few_frames_is_named(tmp_path):
    planned = pieces(30, longest=20, overlap=4)
    parts = [write(tmp_path / f"{number}.mp4", [flat(90)] * count) for number, count in enumerate((17, 12))]

    with pytest.raises(VideoUnreadableError, match=r"Piece 1 \(frames 13 to 29\) in .*1\.mp4 has 12 frames instead of 17"):
        join(parts, planned, tmp_path / "out" / "b.mp4", fps=FPS)
    assert not (tmp_path / "out").exists()


def test_a_part_of_another_size_is_named(tmp_path):
    planned = pieces(30, longest=20, overlap=4)
    parts = [write(tmp_path / f"{width}.mp4", [flat(90, width=width)] * 17) for width in (32, 64)]

    with pytest.raises(VideoUnreadableError, match=r"Piece 1 .* has 64x16 pixels and piece 0 32x16"):
        join(parts, planned, tmp_path / "b.mp4", fps=FPS)


def test_a_missing_part_is_refused(tmp_path):
    planned = pieces(30, longest=20, overlap=4)

    with pytest.raises(ValueError, match="1 parts do not make 2 pieces"):
        join([write(tmp_path / "0.mp4", [flat(90)] * 17)], planned, tmp_path / "b.mp4", fps=FPS)


def test_a_part_that_breaks_off_leaves_no_video(tmp_path):
    planned = pieces(80, longest=50, overlap=4)
    parts = [write_clip(tmp_path / f"{number}.mp4", frame_count=42, width=160, height=120) for number in range(2)]
    parts[1] = truncated(parts[1], tmp_path / "short.mp4", share=0.8)

    with pytest.raises(VideoUnreadableError, match=r"short\.mp4"):
        join(parts, planned, tmp_path / "out" / "b.mp4", fps=FPS)
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_a_source_that_breaks_off_leaves_only_complete_pieces(tmp_path):
    source = write_clip(tmp_path / "a.mp4", frame_count=100, width=160, height=120)
    data = bytearray(source.read_bytes())
    data[len(data) * 3 // 4 : len(data) * 3 // 4 + 4000] = bytes(4000)
    source.write_bytes(data)
    planned = pieces(100, longest=40, overlap=5)

    with pytest.raises(VideoUnreadableError, match="breaks off"):
        cut(source, tmp_path / "parts", planned)

    left = sorted((tmp_path / "parts").iterdir())
    assert [path.name for path in left] == ["piece_000.mp4", "piece_001.mp4"]
    assert [probe(path).frame_count for path in left] == [piece.count for piece in planned[:2]]


def test_a_source_of_another_length_is_refused(tmp_path):
    with pytest.raises(VideoUnreadableError, match=r"has 12 frames, and its pieces 13"):
        cut(write_clip(tmp_path / "a.mp4"), tmp_path, pieces(13))


@pytest.mark.parametrize(
    "planned",
    [
        pytest.param([], id="none"),
        pytest.param([Piece(1, 11)], id="begins late"),
        pytest.param([Piece(0, 5), Piece(6, 6)], id="a gap"),
        pytest.param([Piece(0, 8), Piece(2, 4), Piece(5, 7)], id="three share a frame"),
        pytest.param([Piece(0, 12), Piece(12, 0)], id="an empty one"),
    ],
)
def test_pieces_that_do_not_fit_are_refused(tmp_path, planned):
    with pytest.raises(ValueError, match=r"begins at frame 0|leaves frames out before it, or is too short"):
        cut(write_clip(tmp_path / "a.mp4"), tmp_path, planned)
