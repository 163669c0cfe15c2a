"""When what happened to a job, beside what was expected: what costs are fitted from, and what a timeline shows."""

from dataclasses import dataclass
from datetime import datetime

from pydantic import AwareDatetime

from cosmos_ops.sizes import SampleSize


@dataclass(frozen=True)
class SampleTiming:
    """One sample of a batch."""

    run_id: str
    size: SampleSize
    """In this batch, whose process may have more controls than the run."""
    predicted_s: float | None = None
    started_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None

    @property
    def seconds(self) -> float | None:
        """What it took; none before it has ended."""
        return seconds_between(self.started_at, self.ended_at)


@dataclass(frozen=True)
class JobTiming:
    """The moments of a job, by the clock of the machine that follows it."""

    model: str
    """Whose coefficients count."""
    controls: tuple[str, ...]
    """Of the process."""
    parts: int
    """Parts of the model that are loaded beside its base."""
    samples: tuple[SampleTiming, ...] = ()
    """In the order of the batch."""
    gpu_type: str = ""
    gpu_count: int = 1
    gpus: str = ""
    """The GPUs of its slot, such as `0,1`; empty until it has one."""
    is_warm: bool = False
    """Whether its host had read the files of the model lately."""
    predicted_load_s: float | None = None
    """Start and load, until the first sample begins."""
    staging_in_at: AwareDatetime | None = None
    staged_in_at: AwareDatetime | None = None
    started_at: AwareDatetime | None = None
    """When its container was started."""
    ended_at: AwareDatetime | None = None
    """When its container had ended."""
    home_at: AwareDatetime | None = None
    """When all that it left was at home."""
    is_observed: bool = True
    """Whether it was followed without a gap from its start on; else its times say little."""

    @property
    def predicted_s(self) -> float | None:
        """Seconds that it was expected to take, from the start of its container on."""
        if self.predicted_load_s is None or any(sample.predicted_s is None for sample in self.samples):
            return None
        return self.predicted_load_s + sum(sample.predicted_s or 0.0 for sample in self.samples)

    @property
    def load_s(self) -> float | None:
        """Start and load as measured: until the first sample began."""
        begun = [sample.started_at for sample in self.samples if sample.started_at is not None]
        return seconds_between(self.started_at, min(begun, default=None))

    @property
    def seconds(self) -> float | None:
        """What it took, from the start of its container to its end."""
        return seconds_between(self.started_at, self.ended_at)


def seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    """Seconds from one moment to another; none if one of them has not come."""
    return None if start is None or end is None else (end - start).total_seconds()
