"""Control videos follow from their source and strength alone, and match it frame by frame."""

import cv2
import numpy as np
import pytest

from cosmos_ops.errors import ParamsError, VideoUnreadableError
from cosmos_ops.media.controls import BLURS, CANNY_THRESHOLDS, edges, write_blur, write_edge
from cosmos_ops.media.frames import open_reader
from cosmos_ops.media.probe import probe

from .videos import NTSC_FILM, assert_even, pictures, stamps, truncated, write_clip, write_vfr_clip

WRITERS = pytest.mark.parametrize("write", [write_edge, write_blur])


def read(path):
    with open_reader(path) as frames:
        return [frame.picture for frame in frames]


@WRITERS
def test_a_control_has_the_frames_size_and_rate_of_its_source(tmp_path, write):
    source = write_clip(tmp_path / "a.mp4", frame_count=31, width=96, height=64, fps=NTSC_FILM)

    write(source, tmp_path / "b.mp4", strength="medium")

    info = probe(tmp_path / "b.mp4")
    assert (info.frame_count, info.fps, info.width_px, info.height_px) == (31, NTSC_FILM, 96, 64)


@WRITERS
def test_a_control_of_uneven_times_has_one_rate(tmp_path, write):
    source = write_vfr_clip(tmp_path / "a.mkv", [0, 10, 200, 210, 900])

    write(source, tmp_path / "b.mp4", strength="low")

    assert_even(stamps(tmp_path / "b.mp4"), 5)


@WRITERS
@pytest.mark.parametrize(("width", "height", "shape"), [(65, 47, (48, 66, 3)), (4, 2, (2, 4, 3)), (3, 5, (6, 4, 3))])
def test_a_control_of_an_odd_or_tiny_size_is_even(tmp_path, write, width, height, shape):
    source = write_clip(tmp_path / "a.mkv", frame_count=3, width=width, height=height, pix_fmt="yuv444p")

    write(source, tmp_path / "b.mp4", strength="very_high")

    assert [shown.shape for shown in pictures(tmp_path / "b.mp4")] == [shape] * 3


@WRITERS
def test_equal_sources_and_strengths_give_equal_bytes(tmp_path, write):
    source = write_clip(tmp_path / "a.mp4", width=160, height=96)

    for name, strength in (("b.mp4", "low"), ("c.mp4", "low"), ("d.mp4", "very_high")):
        write(source, tmp_path / name, strength=strength)

    first, second, stronger = ((tmp_path / name).read_bytes() for name in ("b.mp4", "c.mp4", "d.mp4"))
    assert first == second != stronger


@WRITERS
def test_an_unknown_strength_names_those_that_exist(tmp_path, write):
    with pytest.raises(ParamsError, match=r"'strong'.* very_low, low, medium, high, very_high"):
        write(write_clip(tmp_path / "a.mp4"), tmp_path / "b.mp4", strength="strong")


@WRITERS
def test_a_source_that_breaks_off_leaves_nothing(tmp_path, write):
    clip = truncated(write_clip(tmp_path / "a.mp4", frame_count=48, width=160, height=120), tmp_path / "b.mp4", share=0.7)

    with pytest.raises(VideoUnreadableError, match="breaks off"):
        write(clip, tmp_path / "out" / "c.mp4", strength="medium")
    assert list(tmp_path.glob("out/*")) == []


@pytest.mark.parametrize("strength", CANNY_THRESHOLDS)
def test_edges_are_those_of_the_same_frame_in_white_on_black(tmp_path, strength):
    source = write_clip(tmp_path / "a.mp4", frame_count=6, width=160, height=96)

    write_edge(source, tmp_path / "b.mp4", strength=strength)

    for picture, shown in zip(read(source), read(tmp_path / "b.mp4"), strict=True):
        expected = cv2.Canny(picture, *CANNY_THRESHOLDS[strength]) > 0
        assert expected.any()
        assert shown[expected].mean() > 220 > 30 > shown[~expected].mean()
        assert ((shown.min(axis=2) > 127) == expected).mean() > 0.995


def test_higher_thresholds_leave_fewer_edges(tmp_path):
    source = write_clip(tmp_path / "a.mp4", frame_count=1, width=160, height=96)
    counts = []
    for strength in ("very_low", "very_high"):
        write_edge(source, tmp_path / "b.mp4", strength=strength)
        counts.append((read(tmp_path / "b.mp4")[0] > 127).sum())

    assert counts[0] > counts[1] > 0


def test_a_stronger_blur_loses_more_detail_and_no_colour(tmp_path):
    source = write_clip(tmp_path / "a.mp4", frame_count=31, width=320, height=192)
    original = read(source)[30].astype(int)
    losses = []
    for strength in BLURS:
        write_blur(source, tmp_path / "b.mp4", strength=strength)
        shown = read(tmp_path / "b.mp4")[30].astype(int)
        losses.append(np.abs(shown - original).mean())
        assert np.abs(shown.mean(axis=(0, 1)) - original.mean(axis=(0, 1))).max() < 4
        # The white line at column 60 is one pixel wide.
        assert np.abs(shown[150, 60] - shown[150, 100]).max() < np.abs(original[150, 60] - original[150, 100]).max() / 3

    assert losses == sorted(losses)


def test_blur_factors_lie_within_those_of_the_model():
    factors = [blur.factor for blur in BLURS.values()]

    assert factors == sorted(set(factors))
    assert (factors[0], factors[-1]) == (4, 17)


def test_edges_of_a_large_picture_stay_white_when_the_model_shrinks_it():
    picture = np.zeros((2160, 3840, 3), np.uint8)
    picture[:, 1900:] = 200

    found = edges(picture, 100, 200)

    assert found.shape == picture.shape
    shrunk = cv2.resize(found, (1280, 720), interpolation=cv2.INTER_AREA)
    assert shrunk.max() > 200
