"""Reading and writing frames: nothing lost, nothing shifted, nothing left behind.

- the writer keeps time stamps, rate and number of frames
- a broken file is noticed by the reader
- an exception or a failed check leaves neither the file nor a temporary one
"""

from fractions import Fraction

import numpy as np
import pytest

from cosmos_ops.errors import VideoUnreadableError
from cosmos_ops.media.frames import Frame, open_reader, open_writer
from cosmos_ops.media.probe import probe

from .videos import NTSC_FILM, picture, pictures, stamps, truncated, turned, write_clip, write_vfr_clip


def copy(source, target, **options):
    info = probe(source)
    with open_reader(source) as frames:
        first = next(frames)
        size = {"width_px": info.width_px, "height_px": info.height_px}
        with open_writer(target, **size, fps=info.fps, time_base=first.time_base, **options) as writer:
            writer.write(first)
            for frame in frames:
                writer.write(frame)
    return target


def test_rate_and_number_of_frames_survive(tmp_path):
    source = write_clip(tmp_path / "a.mp4", frame_count=31, fps=NTSC_FILM)

    copied = probe(copy(source, tmp_path / "b.mp4"))

    assert (copied.frame_count, copied.fps) == (31, NTSC_FILM)
    assert stamps(tmp_path / "b.mp4") == stamps(source)


def test_variable_time_stamps_survive(tmp_path):
    source = write_vfr_clip(tmp_path / "a.mkv", [0, 10, 200, 210, 900])

    copy(source, tmp_path / "b.mp4")

    assert stamps(tmp_path / "b.mp4") == [Fraction(ms, 1000) for ms in (0, 10, 200, 210, 900)]


def test_one_frame_survives(tmp_path):
    assert probe(copy(write_clip(tmp_path / "a.mp4", frame_count=1), tmp_path / "b.mp4")).frame_count == 1


def test_an_odd_size_is_padded_with_its_border(tmp_path):
    source = write_clip(tmp_path / "a.mp4", width=321, height=181, pix_fmt="yuv444p")

    shown = pictures(copy(source, tmp_path / "b.mp4", crf=1))[0]

    assert shown.shape == (182, 322, 3)
    assert np.abs(shown[100, 321].astype(int) - shown[100, 319]).max() < 12


def test_a_turned_video_is_read_upright(tmp_path):
    clip = turned(write_clip(tmp_path / "a.mp4"), tmp_path / "b.mp4")

    with open_reader(clip) as frames:
        shown = next(frames).picture

    assert shown.shape == (64, 48, 3)
    # Turned clockwise, the red corner goes from top left to top right.
    assert shown[4, 44, 0] > 180 > 120 > shown[4, 44, 1]


def test_colours_survive(tmp_path):
    clip = copy(write_clip(tmp_path / "a.mp4", pix_fmt="yuv420p10le"), tmp_path / "b.mp4", crf=1)

    with open_reader(clip) as frames:
        red = next(frames).picture[3, 5].astype(int)

    assert np.abs(red - (230, 20, 20)).max() < 14


def test_a_file_that_breaks_off_is_noticed(tmp_path):
    clip = truncated(write_clip(tmp_path / "a.mp4", frame_count=48, width=160, height=120), tmp_path / "b.mp4", share=0.7)

    with pytest.raises(VideoUnreadableError, match="breaks off after"), open_reader(clip) as frames:
        list(frames)


def test_garbage_in_the_middle_is_noticed(tmp_path):
    data = bytearray(write_clip(tmp_path / "a.mp4", frame_count=48, width=160, height=120).read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4000] = bytes(4000)
    (tmp_path / "b.mp4").write_bytes(data)

    with pytest.raises(VideoUnreadableError, match="breaks off after"), open_reader(tmp_path / "b.mp4") as frames:
        list(frames)


def _write_some(target, frame_count, fail_at=-1):
    tick = Fraction(1, 24)
    with open_writer(target, width_px=64, height_px=48, fps=1 / tick, time_base=tick) as writer:
        for index in range(frame_count):
            if index == fail_at:
                raise RuntimeError("stop")
            writer.write(Frame(picture(index), index, 1, tick))


def test_an_exception_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError):
        _write_some(tmp_path / "a.mp4", 10, fail_at=7)

    assert list(tmp_path.iterdir()) == []


def test_an_exception_keeps_the_file_that_was_there(tmp_path):
    _write_some(tmp_path / "a.mp4", 5)

    with pytest.raises(RuntimeError):
        _write_some(tmp_path / "a.mp4", 10, fail_at=7)

    assert probe(tmp_path / "a.mp4").frame_count == 5


def test_equal_frames_give_equal_bytes(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        _write_some(tmp_path / name, 20)

    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_players_can_start_at_once(tmp_path):
    _write_some(tmp_path / "a.mp4", 5)

    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
