"""Time stamps begin at 0 and rise; rounding of the container is told from uneven times."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from cosmos_ops.media.frames import Frame
from cosmos_ops.media.probe import probe
from cosmos_ops.media.timing import even_fps, one_rate, restamped

from .videos import NTSC_FILM, write_clip, write_vfr_clip

TICK = Fraction(1, 1000)


def frames(stamps, duration=40):
    return (Frame(np.zeros((2, 2, 3), np.uint8), stamp, duration, TICK) for stamp in stamps)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.avi", "a.mov"])
@pytest.mark.parametrize("fps", [Fraction(24), NTSC_FILM, Fraction(60000, 1001)], ids=str)
def test_one_rate_is_found_in_spite_of_rounding(tmp_path, name, fps):
    found = even_fps(write_clip(tmp_path / name, frame_count=100, fps=fps))

    # Matroska keeps the rate as a whole number of nanoseconds per frame.
    assert float(found) == pytest.approx(float(fps), rel=1e-6)


@pytest.mark.parametrize("stamps_ms", [[0, 10, 200, 210, 900], [0, 33, 67, 100, 133, 500], [0, 33, 67, 103, 133, 167]])
def test_uneven_times_have_no_one_rate(tmp_path, stamps_ms):
    assert even_fps(write_vfr_clip(tmp_path / "a.mkv", stamps_ms)) is None


def test_even_frames_are_counted():
    stamped = list(restamped(frames([5, 47, 89, 130]), Fraction(24)))

    assert [(frame.pts, frame.duration, frame.time_base) for frame in stamped] == [(k, 1, Fraction(1, 24)) for k in range(4)]


def test_a_copy_of_an_uneven_video_has_its_average_rate(tmp_path):
    uneven = write_vfr_clip(tmp_path / "a.mkv", [0, 10, 200, 210, 900])

    assert one_rate(uneven, replace(probe(uneven), fps=Fraction(24123, 1005))) == Fraction(24123, 1005).limit_denominator(1001)
    assert one_rate(write_clip(tmp_path / "b.mp4", fps=NTSC_FILM), probe(uneven)) == NTSC_FILM
