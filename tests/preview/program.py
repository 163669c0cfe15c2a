"""Running the real program, and small clips for it to work on."""

import json
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

import cosmos_ops
from cosmos_ops.media.frames import Frame, open_writer

ROOT = Path(cosmos_ops.__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def scene(index, width, height):
    """A sky, a street, blocks with windows, and something that moves."""
    rgb = np.empty((height, width, 3), np.uint8)
    rgb[: height // 3] = (180, 205, 235)
    rgb[height // 3 :] = (90, 90, 95)
    rgb[height // 8 : 2 * height // 3, : width // 3] = (150, 90, 70)
    rgb[height // 6 : 2 * height // 3, 2 * width // 3 :] = (200, 180, 150)
    for left in (width // 12, width // 5, 3 * width // 4, 7 * width // 8):
        rgb[height // 4 : height // 3, left : left + width // 16] = (40, 45, 60)
    left = width // 4 + (3 * index) % (width // 2)
    rgb[3 * height // 4 : 7 * height // 8, left : left + width // 8] = (200, 40, 30)
    return rgb


def write_scene(path, *, frame_count=6, width=128, height=72, fps=Fraction(24), picture=scene):
    with open_writer(path, width_px=width, height_px=height, fps=fps, time_base=1 / fps, crf=12, preset="ultrafast") as writer:
        for index in range(frame_count):
            writer.write(Frame(picture(index, width, height), index, 1, 1 / fps))
    return path


def write_samples(path, *samples):
    path.write_text("".join(sample if isinstance(sample, str) else json.dumps(sample) + "\n" for sample in samples))
    return path


def command(operation, samples, out, *flags):
    return [sys.executable, "-m", "cosmos_ops.preview", operation, "--samples", str(samples), "--out", str(out), *flags]


def run(operation, samples, out, *flags):
    argv = command(operation, samples, out, *flags)
    done = subprocess.run(argv, env=ENVIRONMENT, cwd=samples.parent, capture_output=True, timeout=120)
    # Decoded here, because the text mode of subprocess would turn every carriage return into a line.
    return subprocess.CompletedProcess(argv, done.returncode, done.stdout.decode(), done.stderr.decode())


def run_samples(tmp_path, operation, *samples, flags=(), out="out"):
    """Run the program over samples and return its result and the folder of outputs."""
    result = run(operation, write_samples(tmp_path / "samples.jsonl", *samples), tmp_path / out, *flags)
    return result, tmp_path / out


def marker(folder):
    return json.loads((folder / "done.json").read_text())


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def pictures(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]


def stamps(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [packet.pts * stream.time_base for packet in container.demux(stream) if packet.size]
