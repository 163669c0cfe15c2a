"""The picture of the GPUs: its size, one colour per GPU, and no trouble with what is missing."""

import cv2
import numpy as np
import pytest

from cosmos_ops.gpu_samples import GPUSample
from cosmos_ops.media.gpu_plot import write_gpu_plot

BLUE, ORANGE = (86, 180, 233), (230, 159, 0)
UTILISATION, MEMORY = (slice(0, 120), slice(0, 320)), (slice(0, 120), slice(320, 640))
TEMPERATURE, POWER = (slice(120, 240), slice(0, 320)), (slice(120, 240), slice(320, 640))


def samples(count=60, gpus=1, **changes):
    figures = {
        "utilisation_percent": 80.0,
        "memory_used_mib": 40000.0,
        "memory_total_mib": 81559.0,
        "temperature_c": 60.0,
        "power_w": 500.0,
    }
    return [GPUSample(2.0 * index, gpu, **{**figures, **changes}) for index in range(count) for gpu in range(gpus)]


def drawn(tmp_path, given):
    assert write_gpu_plot(given, tmp_path / "gpu.png")
    return cv2.imread(str(tmp_path / "gpu.png"))[:, :, ::-1].astype(int)


def near(picture, colour):
    return np.abs(picture - colour).max(axis=2) < 40


def test_without_samples_there_is_no_plot(tmp_path):
    assert not write_gpu_plot([], tmp_path / "gpu.png")
    assert list(tmp_path.iterdir()) == []


def test_every_panel_has_a_line(tmp_path):
    picture = drawn(tmp_path, samples())

    assert picture.shape == (240, 640, 3)
    assert all(near(picture[panel], BLUE).sum() > 250 for panel in (UTILISATION, MEMORY, TEMPERATURE, POWER))


@pytest.mark.parametrize(("percent", "height_px"), [(0.0, 102), (50.0, 63), (100.0, 24)])
def test_a_line_stands_at_its_value(tmp_path, percent, height_px):
    picture = drawn(tmp_path, samples(utilisation_percent=percent))

    rows = np.nonzero(near(picture[UTILISATION], BLUE).sum(axis=1) > 100)[0]
    assert np.abs(rows - height_px).max() <= 1


def test_a_figure_that_no_gpu_tells_leaves_its_panel_empty(tmp_path):
    picture = drawn(tmp_path, samples(power_w=None, memory_total_mib=None))

    assert near(picture[POWER], BLUE).sum() == 0
    assert near(picture[MEMORY], BLUE).sum() > 250


def test_several_gpus_have_their_colours_and_a_legend(tmp_path):
    given = samples(gpus=2)
    picture = drawn(tmp_path, [sample for sample in given if sample.gpu == 1 or sample.at_s < 60])

    assert picture.shape == (260, 640, 3)
    assert near(picture[:20], BLUE).any()
    assert near(picture[:20], ORANGE).any()
    assert near(picture[20:], ORANGE).sum() > 1000


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(samples(1), id="one sample"),
        pytest.param(samples(5000, 3), id="hours of three GPUs"),
        pytest.param(samples(3, 12), id="more GPUs than colours"),
        pytest.param(samples(3, memory_used_mib=90000.0, temperature_c=120.0), id="values beyond the scale"),
        pytest.param(
            samples(3, utilisation_percent=None, memory_used_mib=None, memory_total_mib=None, temperature_c=None, power_w=None),
            id="no figure known",
        ),
    ],
)
def test_any_samples_give_a_picture_of_the_same_width(tmp_path, given):
    assert drawn(tmp_path, given).shape[1] == 640


def test_equal_samples_give_equal_bytes(tmp_path):
    for name in ("a.png", "b.png"):
        write_gpu_plot(samples(), tmp_path / name)

    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
