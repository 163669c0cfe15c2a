"""What nvidia-smi tells of the GPUs while a job runs, as figures and as one sentence per GPU."""

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_FIELDS = ("index", "utilization.gpu", "memory.used", "memory.total", "temperature.gpu", "power.draw")
GPU_SAMPLE_COMMAND = ("nvidia-smi", f"--query-gpu={','.join(_FIELDS)}", "--format=csv,noheader,nounits")
"""Prints what `read_gpu_samples` reads: one line per GPU."""


@dataclass(frozen=True)
class GPUSample:
    """One GPU at one moment; None stands for what the GPU does not tell."""

    at_s: float
    """Seconds since the start of the job."""
    gpu: int
    utilisation_percent: float | None
    memory_used_mib: float | None
    memory_total_mib: float | None
    temperature_c: float | None
    power_w: float | None


def read_gpu_samples(csv_text: str, at_s: float) -> list[GPUSample]:
    """The answer to `GPU_SAMPLE_COMMAND`; lines that describe no GPU, such as errors of the driver, are left out."""
    rows = [[cell.strip() for cell in row] for row in csv.reader(csv_text.splitlines())]
    return [
        GPUSample(at_s, int(row[0]), *(_figure(cell) for cell in row[1:]))
        for row in rows
        if len(row) == len(_FIELDS) and row[0].isdecimal()
    ]


def summary(samples: Sequence[GPUSample]) -> str:
    """One line per GPU with its mean utilisation and its peaks; empty without samples."""
    gpus = sorted({sample.gpu for sample in samples})
    return "\n".join(_line(samples, gpu, "GPU" if len(gpus) == 1 else f"GPU {gpu}:") for gpu in gpus)


def _line(samples: Sequence[GPUSample], gpu: int, name: str) -> str:
    own = [sample for sample in samples if sample.gpu == gpu]
    busy = _known(sample.utilisation_percent for sample in own)
    peaks = [*_memory(own)]
    for unit, figures in (("C", _known(s.temperature_c for s in own)), ("W", _known(s.power_w for s in own))):
        peaks += [f"{max(figures):.0f} {unit}"] if figures else []
    parts = [f"{sum(busy) / len(busy):.0f} % busy"] if busy else []
    parts += [f"at most {', '.join(peaks)}"] if peaks else []
    return f"{name} {', '.join(parts) or 'tells no figures'}"


def _memory(samples: Sequence[GPUSample]) -> list[str]:
    used = _known(sample.memory_used_mib for sample in samples)
    total = _known(sample.memory_total_mib for sample in samples)
    if not used:
        return []
    return [f"{max(used) / 1024:.1f} of {max(total) / 1024:.1f} GiB" if total else f"{max(used) / 1024:.1f} GiB"]


def _known(figures: Iterable[float | None]) -> list[float]:
    return [figure for figure in figures if figure is not None]


def _figure(cell: str) -> float | None:
    """A number; None for `[N/A]`, `[Not Supported]`, `[Unknown Error]` and whatever else stands for no number."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
