"""Any readable video becomes an H.264 mp4 with the same frames at the same rate."""

from fractions import Fraction

import av
import numpy as np
import pytest

from cosmos_ops.errors import VideoUnreadableError
from cosmos_ops.media.convert import to_mp4
from cosmos_ops.media.probe import probe

from .videos import NTSC_FILM, assert_even, picture, pictures, stamps, truncated, turned, write_clip, write_vfr_clip


def stream_of(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return container.format.name.split(",")[1], stream.codec_context.name, stream.codec_context.pix_fmt


@pytest.mark.parametrize("fps", [Fraction(24), NTSC_FILM, Fraction(30), Fraction(30000, 1001), Fraction(25, 2)], ids=str)
@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("a.mov", "libx264", "yuv420p"),
        ("a.webm", "libvpx-vp9", "yuv420p"),
        ("a.mkv", "libx264", "yuv420p10le"),
        ("a.mkv", "libx264", "yuv444p"),
        ("a.avi", "mpeg4", "yuv420p"),
        ("a.avi", "mjpeg", "yuvj444p"),
        ("a.ts", "libx264", "yuv420p"),
    ],
)
def test_frames_size_and_rate_survive(tmp_path, fps, name, codec, pix_fmt):
    source = write_clip(tmp_path / name, frame_count=13, fps=fps, codec=codec, pix_fmt=pix_fmt)

    to_mp4(source, tmp_path / "out.mp4")

    info = probe(tmp_path / "out.mp4")
    assert stream_of(tmp_path / "out.mp4") == ("mp4", "h264", "yuv420p")
    assert (info.frame_count, info.fps, info.width_px, info.height_px) == (13, fps, 64, 48)
    assert stamps(tmp_path / "out.mp4") == [index / fps for index in range(13)]
    shown = pictures(tmp_path / "out.mp4")
    assert all(np.abs(shown[index].astype(int) - picture(index)).mean() < 12 for index in range(13))


def test_uneven_times_become_one_rate_from_0_on(tmp_path):
    to_mp4(write_vfr_clip(tmp_path / "a.mkv", [100, 110, 300, 310, 1000]), tmp_path / "b.mp4")

    assert_even(stamps(tmp_path / "b.mp4"), 5)


def test_an_odd_size_becomes_even(tmp_path):
    to_mp4(write_clip(tmp_path / "a.mkv", width=65, height=47, pix_fmt="yuv444p"), tmp_path / "b.mp4")

    assert pictures(tmp_path / "b.mp4")[0].shape == (48, 66, 3)


def test_a_turned_video_stands_upright_without_a_turn(tmp_path):
    to_mp4(turned(write_clip(tmp_path / "a.mp4"), tmp_path / "b.mp4"), tmp_path / "c.mp4")

    # PyAV shows pictures as they are stored.
    assert pictures(tmp_path / "c.mp4")[0].shape == (64, 48, 3)


def test_sound_is_left_out(tmp_path):
    to_mp4(write_clip(tmp_path / "a.mp4", sound=True), tmp_path / "b.mp4")

    assert not probe(tmp_path / "b.mp4").has_audio


def test_a_recording_that_changes_its_size_keeps_the_first(tmp_path):
    parts = [write_clip(tmp_path / "a.h264"), write_clip(tmp_path / "b.h264", width=96, height=80)]
    (tmp_path / "c.h264").write_bytes(b"".join(part.read_bytes() for part in parts))

    to_mp4(tmp_path / "c.h264", tmp_path / "d.mp4")

    assert [shown.shape for shown in pictures(tmp_path / "d.mp4")] == [(48, 64, 3)] * 24


def test_a_file_that_breaks_off_leaves_nothing(tmp_path):
    clip = truncated(write_clip(tmp_path / "a.mp4", frame_count=48, width=160, height=120), tmp_path / "b.mp4", share=0.7)

    with pytest.raises(VideoUnreadableError, match="breaks off"):
        to_mp4(clip, tmp_path / "out" / "c.mp4")
    assert list(tmp_path.glob("out/*")) == []


def test_equal_sources_give_equal_bytes(tmp_path):
    source = write_clip(tmp_path / "a.webm", codec="libvpx-vp9")

    for name in ("b.mp4", "c.mp4"):
        to_mp4(source, tmp_path / name)

    assert (tmp_path / "b.mp4").read_bytes() == (tmp_path / "c.mp4").read_bytes()
