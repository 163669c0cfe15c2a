"""Runs that may share a batch, put together and priced: what the placement works on."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, field, replace
from functools import cached_property
from itertools import accumulate, repeat
from typing import NamedTuple

from cosmos_ops.planning.costs import CostModel
from cosmos_ops.planning.cuts import Cuts, reach
from cosmos_ops.planning.signature import ControlSignature
from cosmos_ops.planning.workloads import ModelFiles, PlanOptions, Slot, Workload
from cosmos_ops.sizes import SampleSize


@dataclass(frozen=True)
class BatchKey:
    """What the runs of a batch have in common."""

    signature: ControlSignature
    model: str
    gpu_count: int
    parts: int

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.signature, self.model, self.gpu_count, self.parts))

    @cached_property
    def files(self) -> ModelFiles:
        """What it loads."""
        return ModelFiles(self.model, self.signature.controls)


class Bucket(NamedTuple):
    """A batch key and the slots that can take the runs; runs of one key may need different memory."""

    key: BatchKey
    lanes: tuple[int, ...]
    """Places in the sorted list of slots."""
    is_widenable: bool
    is_widened: bool = False
    """Whether some of its runs have fewer controls."""


Sizes = dict[SampleSize, list[Workload]]
"""Runs by their size in the batch: what takes equally long is looked at once."""


class Prices:
    """Seconds of loads and samples, each worked out once."""

    def __init__(self, costs: CostModel) -> None:
        self._costs = costs
        self._loads: dict[tuple[BatchKey, str, bool], float] = {}
        self._samples: dict[tuple[BatchKey, str, SampleSize], float] = {}

    def load_s(self, key: BatchKey, gpu_type: str, *, is_warm: bool) -> float:
        """Seconds until the first sample of a batch begins."""
        which = key, gpu_type, is_warm
        if which not in self._loads:
            self._loads[which] = self._costs.of(key.model, gpu_type).load_s(key.parts, is_warm=is_warm)
        return self._loads[which]

    def sample_s(self, key: BatchKey, gpu_type: str, size: SampleSize) -> float:
        """Seconds of one sample."""
        which = key, gpu_type, size
        if which not in self._samples:
            self._samples[which] = self._costs.of(key.model, gpu_type).sample_s(size, gpu_count=key.gpu_count)
        return self._samples[which]


@dataclass(frozen=True)
class Group:
    """Runs of one bucket, the longest first, and of those the oldest."""

    key: BatchKey
    lanes: tuple[int, ...]
    runs: tuple[Workload, ...]
    each: dict[str, list[float]]
    """GPU type to the seconds of each run."""
    sums: dict[str, list[float]]
    """GPU type to the seconds of the first n runs."""
    fastest: str
    """The GPU type on which they take the least."""
    is_widened: bool
    _cuts: dict[tuple[str, int, float], Cuts] = field(default_factory=dict)

    def seconds(self, gpu_type: str, first: int, end: int) -> float:
        """Seconds of the samples of runs `first` up to `end`."""
        sums = self.sums[gpu_type]
        return sums[end] - sums[first]

    def reach(self, gpu_type: str, first: int, end: int, seconds: float) -> int:
        """How far one comes from `first` within so many seconds, at most to `end`."""
        return reach(self.sums[gpu_type], first, end, seconds)

    def cuts(self, gpu_type: str, first: int, *, first_load_s: float, load_s: float, options: PlanOptions) -> Cuts:
        """The batches that the runs from `first` on make on a slot; the same for slots that are alike."""
        which = gpu_type, first, first_load_s
        if which not in self._cuts:
            self._cuts[which] = Cuts(
                self.sums[gpu_type],
                first,
                first_load_s=first_load_s,
                load_s=load_s,
                seconds_max=options.batch_seconds_max,
                runs_max=options.batch_runs_max,
            )
        return self._cuts[which]


def eligible_lanes(slots: Sequence[Slot], family: str, gpu_count: int, memory_gb: float) -> tuple[int, ...]:
    """Places of the slots that can take such a run."""
    return tuple(
        place
        for place, slot in enumerate(slots)
        if family in slot.families and slot.gpu_count >= gpu_count and slot.memory_gb >= memory_gb
    )


def refusal(slots: Sequence[Slot], workload: Workload) -> str:
    """Why no slot can take a run, and what to do."""
    family = workload.signature.family
    able = [slot for slot in slots if family in slot.families]
    if not able:
        return f"no host has the image of {family}; set one up with `cosmos host setup`"
    wide = [slot for slot in able if slot.gpu_count >= workload.gpu_count]
    if not wide:
        most = max(slot.gpu_count for slot in able)
        return f"it needs {workload.gpu_count} GPUs, and the largest slot for {family} has {most}; choose fewer or a larger slot"
    most_gb = max(slot.memory_gb for slot in wide)
    return f"it needs {workload.memory_gb:g} GB on each GPU, and the largest for {family} have {most_gb:g} GB; make it smaller"


def bucketed(workloads: Iterable[Workload], slots: Sequence[Slot]) -> tuple[dict[Bucket, Sizes], dict[str, str]]:
    """Runs by bucket and size, and those that no slot can take with the reasons."""
    alike: dict[tuple[object, ...], list[Workload]] = defaultdict(list)
    for run in workloads:
        alike[run.signature, run.size, run.model, run.gpu_count, run.parts, run.memory_gb, run.is_widenable].append(run)
    buckets: dict[Bucket, Sizes] = {}
    refused: dict[str, str] = {}
    for runs in alike.values():
        one = runs[0]
        lanes = eligible_lanes(slots, one.signature.family, one.gpu_count, one.memory_gb)
        if lanes:
            parts = len(one.signature.controls) if one.parts is None else one.parts
            key = BatchKey(one.signature, one.model_name, one.gpu_count, parts)
            add_runs(buckets.setdefault(Bucket(key, lanes, one.is_widenable), {}), {one.size: runs})
        else:
            refused |= dict.fromkeys((run.run_id for run in runs), refusal(slots, one))
    return buckets, refused


def add_runs(sizes: Sizes, more: Sizes) -> None:
    """Add runs by size to others."""
    for size, runs in more.items():
        sizes[size] = sizes.get(size, []) + runs


def first_id(sizes: Sizes) -> str:
    """The smallest run id, which puts buckets in order whatever the order of the input."""
    return min(run.run_id for runs in sizes.values() for run in runs)


def grouped(bucket: Bucket, sizes: Sizes, slots: Sequence[Slot], prices: Prices) -> Group:
    """Sort and price the runs of a bucket."""
    key = bucket.key
    types = sorted({slots[lane].gpu_type for lane in bucket.lanes})
    priced = sorted(sizes, key=lambda size: (-prices.sample_s(key, types[0], size), astuple(size)))
    runs = [run for size in priced for run in sorted(sizes[size], key=_age)]
    each = {
        gpu_type: [seconds for size in priced for seconds in repeat(prices.sample_s(key, gpu_type, size), len(sizes[size]))]
        for gpu_type in types
    }
    sums = {gpu_type: list(accumulate(seconds, initial=0.0)) for gpu_type, seconds in each.items()}
    fastest = min(types, key=lambda gpu_type: sums[gpu_type][-1])
    return Group(key, bucket.lanes, tuple(runs), each, sums, fastest, bucket.is_widened)


def _age(run: Workload) -> tuple[float, str]:
    return run.queued_at_s, run.run_id


def size_within(run: Workload, key: BatchKey) -> SampleSize:
    """The size of a run in a batch that may have more controls than the run itself."""
    if key.signature.controls == run.signature.controls:
        return run.size
    return replace(run.size, controls=max(run.size.controls, len(key.signature.controls)))
