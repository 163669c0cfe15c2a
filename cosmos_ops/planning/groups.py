"""Runs that may share a batch, put together and priced: what the placement works on."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, field, replace
from functools import cached_property
from itertools import accumulate, repeat
from typing import NamedTuple

from cosmos_ops.planning.costs import CostModel
from cosmos_ops.planning.cuts import Cuts, reach
from cosmos_ops.planning.eligibility import eligible_lanes, refusal
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
    is_alone: bool = False
    """Whether each run is a batch of its own."""

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.signature, self.model, self.gpu_count, self.parts, self.is_alone))

    @cached_property
    def files(self) -> ModelFiles:
        """What it loads."""
        return ModelFiles(self.model, self.signature.controls)

    def runs_max(self, options: PlanOptions) -> int:
        """So many runs may share a batch."""
        return 1 if self.is_alone else options.batch_runs_max


class Bucket(NamedTuple):
    """A batch key and the slots that can take the runs; runs of one key may need different memory."""

    key: BatchKey
    lanes: tuple[int, ...]
    """Places in the sorted list of slots."""
    is_widenable: bool
    is_widened: bool = False
    """Whether some of its runs have fewer controls."""


class Memory(NamedTuple):
    """Memory on each GPU that all runs of a bucket can do with."""

    gb: float
    """With the parts of the bucket."""
    per_part_gb: float
    """For each part more."""

    def most(self, other: "Memory") -> "Memory":
        """What is enough for both."""
        return Memory(max(self.gb, other.gb), max(self.per_part_gb, other.per_part_gb))

    def with_more(self, parts: int) -> "Memory":
        """With so many parts more."""
        return self._replace(gb=self.gb + self.per_part_gb * parts)


class Contents(NamedTuple):
    """The runs of a bucket."""

    sizes: dict[SampleSize, list[Workload]]
    """By their size in the batch: what takes equally long is looked at once."""
    memory: Memory


Buckets = dict[Bucket, Contents]


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
    _cuts: dict[tuple[str, int, float, float], Cuts] = field(default_factory=dict)

    def seconds(self, gpu_type: str, first: int, end: int) -> float:
        """Seconds of the samples of runs `first` up to `end`."""
        sums = self.sums[gpu_type]
        return sums[end] - sums[first]

    def reach(self, gpu_type: str, first: int, end: int, seconds: float) -> int:
        """How far one comes from `first` within so many seconds, at most to `end`."""
        return reach(self.sums[gpu_type], first, end, seconds)

    def cuts(
        self, gpu_type: str, first: int, *, first_load_s: float, load_s: float, most_load_s: float, options: PlanOptions
    ) -> Cuts:
        """The batches that the runs from `first` on make on a slot; the same for slots that are alike."""
        which = gpu_type, first, first_load_s, most_load_s
        if which not in self._cuts:
            self._cuts[which] = Cuts(
                self.sums[gpu_type],
                first,
                first_load_s=first_load_s,
                load_s=load_s,
                most_load_s=most_load_s,
                seconds_max=options.batch_seconds_max,
                runs_max=self.key.runs_max(options),
            )
        return self._cuts[which]


def bucketed(workloads: Iterable[Workload], slots: Sequence[Slot]) -> tuple[Buckets, dict[str, str]]:
    """Runs by bucket and size, and those that no slot can take with the reasons."""
    buckets: Buckets = {}
    refused: dict[str, str] = {}
    for runs in alike(workloads):
        one = runs[0]
        lanes = eligible_lanes(slots, one)
        if lanes:
            bucket = Bucket(key_of(one), lanes, one.is_widenable and not one.is_alone)
            memory = Memory(one.memory_gb, one.memory_per_part_gb)
            known = buckets.get(bucket) or Contents({}, memory)
            known.sizes.setdefault(one.size, []).extend(runs)
            buckets[bucket] = known._replace(memory=known.memory.most(memory))
        else:
            refused |= dict.fromkeys((run.run_id for run in runs), refusal(slots, one))
    return buckets, refused


def alike(workloads: Iterable[Workload]) -> Iterable[list[Workload]]:
    """Runs put together that differ in nothing but id, age and priority: each kind is looked at once."""
    kinds: dict[tuple[object, ...], list[Workload]] = defaultdict(list)
    for run in workloads:
        work = run.signature, run.size, run.model, run.gpu_count, run.parts, run.is_widenable, run.is_alone
        kinds[(*work, run.memory_gb, run.memory_per_part_gb, run.host, run.modes)].append(run)
    return kinds.values()


def key_of(run: Workload) -> BatchKey:
    """What a run must have in common with those that share its batch."""
    return BatchKey(run.signature, run.model_name, run.gpu_count, run.part_count, run.is_alone)


def first_id(contents: Contents) -> str:
    """The smallest run id, which puts buckets in order whatever the order of the input."""
    return min(run.run_id for runs in contents.sizes.values() for run in runs)


def grouped(bucket: Bucket, contents: Contents, slots: Sequence[Slot], prices: Prices) -> Group:
    """Sort and price the runs of a bucket."""
    key, sizes = bucket.key, contents.sizes
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
