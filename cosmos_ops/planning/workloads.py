"""What a plan is made of and made for: runs as the planner sees them, GPU slots, options, and the plan itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from cosmos_ops.planning.signature import ControlSignature
from cosmos_ops.sizes import SampleSize


class ModelFiles(NamedTuple):
    """What a batch reads when it loads: batches that agree in it find the files in the host's page cache."""

    model: str
    controls: tuple[str, ...]


@dataclass(frozen=True)
class Workload:
    """A run as the planner sees it: what its family knows, as data."""

    run_id: str
    signature: ControlSignature
    size: SampleSize
    model: str = ""
    """Whose coefficients count, such as `cosmos3/super`; empty: the family's."""
    parts: int | None = None
    """Parts of the model to load beside its base; None: one for each control of the signature."""
    gpu_count: int = 1
    memory_gb: float = 0.0
    """Memory that it needs on each GPU."""
    memory_per_part_gb: float = 0.0
    """Memory that each part more needs, in a process with more controls than it has itself."""
    host: str = ""
    """The only host that may take it; empty: any."""
    modes: tuple[str, ...] = ()
    """What its process does with the model files of the family, all of which its host must have."""
    priority: int = 0
    """Higher goes first."""
    queued_at_s: float = 0.0
    is_widenable: bool = False
    """Whether its result stays exactly the same when the process has further controls, which it then gets at weight 0."""
    is_alone: bool = False
    """Whether it must have a batch of its own, because it may break its process."""

    @property
    def model_name(self) -> str:
        """Whose coefficients count."""
        return self.model or self.signature.family

    @property
    def part_count(self) -> int:
        """Parts of the model to load beside its base."""
        return len(self.signature.controls) if self.parts is None else self.parts


@dataclass(frozen=True)
class Slot:
    """A GPU slot: one GPU, or a fixed group of them, with one batch at a time."""

    host: str
    index: int
    gpu_type: str
    families: frozenset[str]
    """Families whose image is on the host."""
    gpu_count: int = 1
    memory_gb: float = 80.0
    """Of each GPU."""
    free_at_s: float = 0.0
    """When its current batch is expected to end; in the past: it is free."""
    warm: frozenset[ModelFiles] = frozenset()
    """Files that its host has read lately."""
    lacking: frozenset[tuple[str, str]] = frozenset()
    """Families and modes of which model files are not on its host."""

    def lacks(self, family: str, modes: Sequence[str]) -> tuple[str, ...]:
        """Those of the modes of which model files are not there."""
        return tuple(mode for mode in modes if (family, mode) in self.lacking)


class Mixing(str, Enum):
    """Whether runs whose controls differ may share a batch, where that leaves their results as they are."""

    STRICT = "strict"
    """Never: equal signatures only."""
    MIXED = "mixed"
    """Where it saves GPU seconds."""
    AUTOMATIC = "automatic"
    """Where the whole plan is better for it."""


class Goal(str, Enum):
    """What to weigh when a shorter makespan costs more GPU seconds."""

    BALANCED = "balanced"
    """A second less of makespan is worth a second of loading on every GPU."""
    MAKESPAN = "makespan"
    """The shortest makespan; among equal ones the fewest GPU seconds."""
    GPU_SECONDS = "gpu_seconds"
    """The fewest GPU seconds; among equal ones the shortest makespan."""


@dataclass(frozen=True)
class PlanOptions:
    """How to plan."""

    goal: Goal = Goal.BALANCED
    mixing: Mixing = Mixing.AUTOMATIC
    batch_seconds_max: float = 2 * 3600.0
    """Expected seconds of a batch, with its load; a run that takes longer is a batch of its own."""
    batch_runs_max: int = 100
    aging_s: float = 6 * 3600.0
    """For every so many seconds of waiting, the priority of a run counts one more."""

    def level(self, workload: Workload, now_s: float) -> int:
        """The priority of a run with its age: a run is never delayed by runs of lower levels."""
        return workload.priority + int(max(0.0, now_s - workload.queued_at_s) // self.aging_s)


@dataclass(frozen=True)
class PlannedBatch:
    """Runs that share one container, on a slot and at a time."""

    host: str
    index: int
    signature: ControlSignature
    """Of the process; with more controls than those of some runs, where they were mixed."""
    run_ids: tuple[str, ...]
    """In the order of the samples."""
    start_s: float
    load_s: float
    """Start and load, until the first sample begins."""
    ends_s: tuple[float, ...]
    """When each sample is expected to be done."""
    gpu_count: int

    @property
    def end_s(self) -> float:
        """When it is expected to end."""
        return self.ends_s[-1]


@dataclass(frozen=True)
class Plan:
    """All batches by their start, and what cannot be placed."""

    batches: tuple[PlannedBatch, ...]
    waiting: Mapping[str, str] = field(default_factory=dict)
    """Run id to the reason why no slot can take it."""

    @property
    def end_s(self) -> float | None:
        """When the last batch is expected to end."""
        return max((batch.end_s for batch in self.batches), default=None)

    @property
    def gpu_seconds(self) -> float:
        """Seconds of all GPUs together; a batch takes all GPUs of its slot."""
        return sum((batch.end_s - batch.start_s) * batch.gpu_count for batch in self.batches)
