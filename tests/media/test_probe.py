"""Probing: exact sizes, counts and rates, and one distinct line for each way of not being a video.

- rotation swaps width and height
- no file is decoded as a whole
"""

from fractions import Fraction

import cv2
import numpy as np
import pytest

from cosmos_ops.errors import VideoUnreadableError
from cosmos_ops.media.probe import probe, prove

from .videos import NTSC_FILM, turned, write_clip, write_sound_only, write_vfr_clip


def test_a_plain_clip_is_described_exactly(tmp_path):
    info = probe(write_clip(tmp_path / "a.mp4", frame_count=25, width=96, height=54, sound=True))

    assert (info.width_px, info.height_px, info.frame_count, info.fps) == (96, 54, 25, 24)
    assert info.has_audio
    assert info.duration_s == pytest.approx(25 / 24, abs=1e-3)


def test_the_film_rate_stays_a_fraction(tmp_path):
    assert probe(write_clip(tmp_path / "a.mp4", fps=NTSC_FILM)).fps == NTSC_FILM


def test_one_frame_is_a_video(tmp_path):
    info = probe(write_clip(tmp_path / "a.mp4", frame_count=1))

    assert (info.frame_count, info.fps) == (1, Fraction(24))


def test_a_turned_phone_video_is_upright(tmp_path):
    info = probe(turned(write_clip(tmp_path / "a.mp4"), tmp_path / "b.mp4"))

    assert (info.width_px, info.height_px) == (48, 64)


@pytest.mark.parametrize(("codec", "pix_fmt", "size"), [("libx264", "yuv420p10le", (64, 48)), ("libx264", "yuv444p", (321, 181))])
def test_ten_bits_and_odd_sizes_are_read(tmp_path, codec, pix_fmt, size):
    clip = write_clip(tmp_path / "a.mp4", codec=codec, pix_fmt=pix_fmt, width=size[0], height=size[1])

    info = probe(clip)

    assert (info.width_px, info.height_px, info.frame_count) == (*size, 12)


def test_variable_rates_and_long_clips_are_counted_exactly(tmp_path):
    assert probe(write_vfr_clip(tmp_path / "a.mkv", [0, 10, 200, 210, 900])).frame_count == 5
    assert probe(write_clip(tmp_path / "b.mp4", frame_count=2000, width=32, height=32)).frame_count == 2000


def _unreadable(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video\n" * 50)
    cv2.imwrite(str(tmp_path / "still.png"), np.zeros((8, 8, 3), np.uint8))
    write_sound_only(tmp_path / "sound.mp4")
    clip = write_clip(tmp_path / "clip.mp4")
    data = bytearray(clip.read_bytes())
    start = data.rindex(b"mdat") + 4
    data[start:] = b"\0" * (len(data) - start)
    (tmp_path / "zeros.mp4").write_bytes(data)
    (tmp_path / "playlist.mp4").write_text(f"#EXTM3U\n#EXTINF:1,\n{clip}\n#EXT-X-ENDLIST\n")
    return {
        "absent.mp4": "does not exist",
        ".": "is a folder",
        "empty.mp4": "is empty",
        "text.mp4": "is no video file",
        "playlist.mp4": "is no video file",
        "sound.mp4": "holds only sound",
        "still.png": "is a picture",
        "zeros.mp4": "no frame of it decodes",
    }


def test_each_unreadable_file_has_its_own_line(tmp_path):
    for name, words in _unreadable(tmp_path).items():
        with pytest.raises(VideoUnreadableError, match=words) as caught:
            probe(tmp_path / name)
        message = str(caught.value)
        assert "\n" not in message
        assert str(tmp_path) in message


def test_a_file_cut_before_its_index_is_no_video(tmp_path):
    data = write_clip(tmp_path / "a.mp4").read_bytes()
    (tmp_path / "b.mp4").write_bytes(data[: data.index(b"moov") - 4])

    with pytest.raises(VideoUnreadableError, match="no video file"):
        probe(tmp_path / "b.mp4")


def test_a_video_that_turns_to_garbage_in_the_middle_is_found_by_decoding_all_of_it(tmp_path):
    path = write_clip(tmp_path / "a.mp4", frame_count=60, width=160, height=120)
    prove(path)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + len(data) // 4] = bytes(255 - byte for byte in data[middle : middle + len(data) // 4])
    path.write_bytes(data)

    with pytest.raises(VideoUnreadableError, match="breaks off after"):
        prove(path)
