"""What happens at the edges of the machine: a full disk, and memory that must not grow with the length."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from .program import ENVIRONMENT, command, scene, write_samples, write_scene

needs_mounts = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root for a small tmpfs"
)


def _full_disk(tmp_path, size_kib, call, out):
    """Run a command in its own mount namespace, where `out` is a tiny disk, and list what is left there."""
    out.mkdir()
    script = (
        'mount -t tmpfs -o size="$1"k none "$2" && shift && out="$1" && shift && "$@"; code=$?; find "$out" -type f; exit $code'
    )
    return subprocess.run(
        ["unshare", "--mount", "bash", "-c", script, "bash", str(size_kib), str(out), *call],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
    )


def _noise(index, width, height):
    return np.random.default_rng(index).integers(0, 255, (height, width, 3), dtype=np.uint8)


@needs_mounts
@pytest.mark.parametrize("size_kib", [64, 200, 700])
def test_a_full_disk_ends_the_program_and_leaves_nothing(tmp_path, size_kib):
    video = write_scene(tmp_path / "in.mp4", frame_count=12, width=192, height=128, picture=_noise)
    samples = [{"name": name, "video": str(video), "sharpness": 1.0} for name in "ab"]
    out = tmp_path / "out"

    result = _full_disk(tmp_path, size_kib, command("upscale", write_samples(tmp_path / "s.jsonl", *samples), out), out)

    assert result.returncode == 3, result.stdout + result.stderr
    assert "\nERROR DiskFullError: No space left for " in result.stdout
    assert result.stderr == ""
    assert str(out / "a") not in result.stdout.split("start again")[-1]


@needs_mounts
def test_a_full_disk_at_every_moment_leaves_no_broken_file(tmp_path):
    video = write_scene(tmp_path / "in.mp4", frame_count=3, width=192, height=128, picture=_noise)
    sample = {"name": "a", "prompt": "x", "video": str(video), "controls": {"vis": {"weight": 1}, "edge": {"weight": 1}}}
    samples = write_samples(tmp_path / "s.jsonl", sample)
    for step, size_kib in enumerate((4, 40, 96, 120)):
        out = tmp_path / f"out{step}"

        result = _full_disk(tmp_path, size_kib, command("inference", samples, out, "--crf", "10"), out)

        left = [line for line in result.stdout.splitlines() if line.startswith(str(out))]
        assert (result.returncode, left) == (3, []), (size_kib, result.stdout)


def _peak_rss_mib(tmp_path, frame_count):
    video = write_scene(tmp_path / f"{frame_count}.mp4", frame_count=frame_count, width=64, height=36, picture=scene)
    sample = {
        "name": "a",
        "prompt": "a city",
        "video": str(video),
        "controls": {"vis": {"weight": 1}, "depth": {"weight": 1}},
    }
    samples = write_samples(tmp_path / f"{frame_count}.jsonl", sample)
    process = subprocess.Popen(
        command("inference", samples, tmp_path / str(frame_count)), env=ENVIRONMENT, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss / 1024


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has another unit elsewhere")
def test_memory_does_not_grow_with_the_length(tmp_path):
    assert _peak_rss_mib(tmp_path, 2000) - _peak_rss_mib(tmp_path, 200) < 20
