"""The demo city: four videos of one geometry, the same every time."""

import numpy as np

from cosmos_ops.media.city_scene import CITYSCAPES_PALETTE
from cosmos_ops.media.cityscape import write_cityscape
from cosmos_ops.media.probe import probe

from .videos import pictures

SMALL = {"width_px": 192, "height_px": 108, "frame_count": 4}


def test_all_four_videos_have_the_asked_size_and_length(tmp_path):
    write_cityscape(tmp_path, **SMALL, fps=12)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["color.mp4", "depth.mp4", "edge.mp4", "seg.mp4"]
    for path in tmp_path.iterdir():
        info = probe(path)
        assert (info.width_px, info.height_px, info.frame_count, info.fps) == (192, 108, 4, 12)


def test_the_city_is_the_same_every_time(tmp_path):
    for folder in ("a", "b"):
        write_cityscape(tmp_path / folder, **SMALL)

    for name in ("color.mp4", "depth.mp4"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_controls_agree_with_each_other(tmp_path):
    write_cityscape(tmp_path, **SMALL)
    depth, segments = (pictures(tmp_path / f"{name}.mp4")[0].astype(int) for name in ("depth", "seg"))

    is_sky = np.abs(segments - CITYSCAPES_PALETTE["sky"]).max(axis=2) < 25
    is_road = np.abs(segments - CITYSCAPES_PALETTE["road"]).max(axis=2) < 25

    assert 0.02 < is_sky.mean() < 0.4
    assert depth[is_sky].mean() < 8 < 30 < depth[is_road].mean()
