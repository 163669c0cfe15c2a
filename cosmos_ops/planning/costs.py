"""What a batch costs: seconds to start and load, and seconds of each sample, per model and GPU type.

seconds of a batch = start + load + sum of its samples
load               = (base + parts x per part) x (warm share, if the host has read the files before)
sample             = frames + chunks x (steps x calls per step x call x (1 + controls x control factor) + chunk) + guard
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from cosmos_ops.sizes import SampleSize

CPU = "CPU"
ANY_GPU = "any GPU"
"""Stands for a GPU type of which nothing is known."""
GPU_TYPES = ("H100", "H200", "B200", "H20", "RTX PRO 6000")


@dataclass(frozen=True)
class Coefficients:
    """The seconds of one model on one GPU type."""

    start_s: float
    """From the start of the container until the process begins to load."""
    load_base_s: float = 0.0
    """Loading what every batch needs, when the host has not read it before."""
    load_per_part_s: float = 0.0
    """Loading one part more, such as the network of one control."""
    warm_share: float = 1.0
    """Share of the load that remains when the files are in the host's page cache."""
    call_s: float = 0.0
    """One pass through the model, of the reference size and without controls."""
    control_factor: float = 0.0
    """What one control adds to a pass, as a share of it."""
    chunk_s: float = 0.0
    """Decoding one chunk."""
    frame_s: float = 0.0
    """Reading, preparing and writing one frame of the reference size."""
    guard_s: float = 0.0
    """What every sample costs beside that: guardrails, text encoder."""
    pixel_power: float = 1.0
    """How a pass grows with its size; above 1 where attention dominates."""
    gpu_power: float = 0.8
    """How a pass shrinks with the number of GPUs; 1 would be perfect."""
    error: float = 0.5
    """Usual relative error of a predicted sample."""
    load_error: float = 0.5
    """Usual relative error of a predicted load."""
    sample_count: int = 0
    """Finished samples that these numbers rest on."""

    def load_s(self, parts: int, *, is_warm: bool) -> float:
        """Seconds from the start of a container until its first sample begins."""
        load = self.load_base_s + self.load_per_part_s * parts
        return self.start_s + load * (self.warm_share if is_warm else 1.0)

    def sample_s(self, size: SampleSize, *, gpu_count: int = 1) -> float:
        """Seconds of one sample."""
        return sum(self.sample_terms(size, gpu_count=gpu_count))

    def sample_terms(self, size: SampleSize, *, gpu_count: int = 1) -> tuple[float, float, float, float, float]:
        """What the seconds of one sample consist of: passes, controls in them, chunks, frames, guard."""
        calls = size.chunks * size.steps * size.calls_per_step
        passes = calls * self.call_s * size.pixels**self.pixel_power / gpu_count**self.gpu_power
        controls = passes * self.control_factor * size.controls
        return passes, controls, size.chunks * self.chunk_s, size.frames * size.pixels * self.frame_s, self.guard_s


@dataclass(frozen=True)
class CostModel:
    """The coefficients of all models and GPU types."""

    known: Mapping[tuple[str, str], Coefficients]
    """Model and GPU type to coefficients."""
    fallback: Coefficients = field(default_factory=lambda: Coefficients(start_s=60.0, load_base_s=120.0, call_s=5.0))
    """Used for a model of which nothing is known."""

    def of(self, model: str, gpu_type: str) -> Coefficients:
        """The coefficients of a model on a GPU type, or the nearest that are known."""
        # Of a model such as `cosmos3/edge` its family is the nearest.
        for name in dict.fromkeys((model, model.partition("/")[0])):
            for key in ((name, gpu_type), (name, ANY_GPU), (name, CPU)):
                if key in self.known:
                    return self.known[key]
        return self.fallback


def gpu_type_of(name: str) -> str:
    """The GPU type in a name as the driver reports it, such as `NVIDIA H100 80GB HBM3`."""
    words = " ".join(re.findall(r"[A-Z0-9]+", name.upper()))
    for gpu_type in GPU_TYPES:
        if re.search(rf"\bG?{gpu_type}\b", words):
            return gpu_type
    return ANY_GPU
