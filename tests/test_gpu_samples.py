"""What nvidia-smi prints becomes figures, and figures become one line per GPU."""

import pytest

from cosmos_ops.gpu_samples import GPU_SAMPLE_COMMAND, GPUSample, read_gpu_samples, summary


def a_sample(at_s=0.0, gpu=0, **changes):
    figures = {
        "utilisation_percent": 93.0,
        "memory_used_mib": 62669.0,
        "memory_total_mib": 81559.0,
        "temperature_c": 71.0,
        "power_w": 640.2,
    }
    return GPUSample(at_s, gpu, **{**figures, **changes})


NOTHING_KNOWN = dict.fromkeys(
    ("utilisation_percent", "memory_used_mib", "memory_total_mib", "temperature_c", "power_w"),
)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("0, 93, 62669, 81559, 71, 640.20", [a_sample(5.0)]),
        ("3,93,62669,81559,71,640.20", [a_sample(5.0, 3)]),
        ("0, 93, 62669, 81559, 71, [N/A]", [a_sample(5.0, power_w=None)]),
        ("0, [Not Supported], 62669, 81559, 71, 640.20", [a_sample(5.0, utilisation_percent=None)]),
        ("0, 93, [N/A], [N/A], 71, 640.20", [a_sample(5.0, memory_used_mib=None, memory_total_mib=None)]),
        ("0, 93, 62669, 81559, [Unknown Error], nan", [a_sample(5.0, temperature_c=None, power_w=None)]),
        ("", []),
        ("No devices were found", []),
        ("Failed to initialize NVML: Driver/library version mismatch", []),
        ("Unable to determine the device handle for GPU0: 0000:1B:00.0: Unknown Error, 1, 2, 3, 4, 5", []),
        ("index, utilization.gpu, memory.used, memory.total, temperature.gpu, power.draw", []),
    ],
)
def test_a_line_of_nvidia_smi_is_read(line, expected):
    assert read_gpu_samples(line + "\n", 5.0) == expected


def test_every_gpu_has_its_line():
    text = "0, 10, 100, 81559, 40, 90.00\n1, 20, 200, 81559, 41, 91.00\n"

    assert [(s.gpu, s.utilisation_percent, s.power_w) for s in read_gpu_samples(text, 0)] == [(0, 10, 90), (1, 20, 91)]


def test_the_command_asks_for_as_many_figures_as_a_sample_has():
    fields = GPU_SAMPLE_COMMAND[1].partition("=")[2].split(",")

    assert len(fields) == len(NOTHING_KNOWN) + 1


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([], ""),
        ([a_sample()], "GPU 93 % busy, at most 61.2 of 79.6 GiB, 71 C, 640 W"),
        (
            [a_sample(0, utilisation_percent=0, power_w=90, temperature_c=40), a_sample(1, utilisation_percent=100)],
            "GPU 50 % busy, at most 61.2 of 79.6 GiB, 71 C, 640 W",
        ),
        ([a_sample(power_w=None, memory_total_mib=None)], "GPU 93 % busy, at most 61.2 GiB, 71 C"),
        ([a_sample(**{**NOTHING_KNOWN, "utilisation_percent": 7.0})], "GPU 7 % busy"),
        ([a_sample(**{**NOTHING_KNOWN, "power_w": 70.0})], "GPU at most 70 W"),
        ([a_sample(**NOTHING_KNOWN)], "GPU tells no figures"),
        (
            [a_sample(gpu=1, power_w=300), a_sample(gpu=0)],
            "GPU 0: 93 % busy, at most 61.2 of 79.6 GiB, 71 C, 640 W\nGPU 1: 93 % busy, at most 61.2 of 79.6 GiB, 71 C, 300 W",
        ),
    ],
)
def test_samples_are_summed_up_in_one_line_per_gpu(samples, expected):
    assert summary(samples) == expected
