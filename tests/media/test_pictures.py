"""Thumbnails, contact sheets and previews are JPEGs of the promised size."""

import cv2
import numpy as np
import pytest

from cosmos_ops.errors import VideoUnreadableError
from cosmos_ops.media.pictures import jpeg_preview, write_contact_sheet, write_thumbnail

from .videos import write_clip


def test_a_thumbnail_is_at_most_480_pixels_wide(tmp_path):
    write_thumbnail(write_clip(tmp_path / "a.mp4", width=800, height=448), tmp_path / "a.jpg")

    assert cv2.imread(str(tmp_path / "a.jpg")).shape == (269, 480, 3)


def test_a_thumbnail_shows_the_middle_frame(tmp_path):
    write_thumbnail(write_clip(tmp_path / "a.mp4", frame_count=20), tmp_path / "a.jpg")

    brightest_column = cv2.imread(str(tmp_path / "a.jpg")).mean(axis=(0, 2)).argmax()
    assert brightest_column == 2 * 10


def test_a_contact_sheet_takes_portrait_odd_and_short_videos(tmp_path):
    rows = {
        "input": write_clip(tmp_path / "a.mp4", frame_count=24),
        "a very long label for an upright video": write_clip(tmp_path / "b.mp4", width=48, height=96, frame_count=3),
        "größer": write_clip(tmp_path / "c.mp4", width=322, height=182),
    }

    write_contact_sheet(rows, tmp_path / "sheet.jpg", columns=4)

    height, width = cv2.imread(str(tmp_path / "sheet.jpg")).shape[:2]
    assert width == 150 + 4 * 328
    assert height == 36 + (240 + 8) + (320 + 8) + (181 + 8)


def test_a_preview_fits_its_size(tmp_path):
    noise = np.random.default_rng(1).integers(0, 255, (600, 900, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), noise)

    content = jpeg_preview(tmp_path / "a.png", 20_000)

    assert len(content) <= 20_000
    assert content.startswith(b"\xff\xd8")


def test_a_preview_of_no_picture_says_so(tmp_path):
    (tmp_path / "a.jpg").write_text("text")

    with pytest.raises(VideoUnreadableError, match="no picture"):
        jpeg_preview(tmp_path / "a.jpg")
