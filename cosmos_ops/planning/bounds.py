"""What no plan can be below: the run that takes longest, all samples spread evenly, and several runs that must share a slot."""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, islice

from cosmos_ops.planning.costs import CostModel
from cosmos_ops.planning.eligibility import eligible_lanes
from cosmos_ops.planning.groups import BatchKey, Prices, alike, key_of
from cosmos_ops.planning.workloads import ModelFiles, Slot, Workload
from cosmos_ops.sizes import SampleSize

SHARING_MAX = 10
"""With more runs on a slot it makes next to no difference that they are not divisible."""
KINDS_REFUTED_MAX = 100
"""With more kinds of runs slots are not ruled out by time, which would take long."""
HALVINGS = 20
ROUNDING = 1e-9
SETS_MAX = 50
"""So many sets of slots are looked at by themselves, those with the most work."""


def makespan_bound(runs: Iterable[Workload], slots: Iterable[Slot], costs: CostModel, now_s: float) -> float:
    """Within fewer seconds from `now_s` on, no plan has done all runs that some slot can take.

    Samples count as fast as on the best slot, on slots that are slower for all of them as so much slower. Each signature loads at
    least once, and so does each slot that is used; of what may be mixed, one load is enough for all. Samples count as divisible,
    but for this: of the k x slots + 1 longest runs some slot gets k + 1. Runs that only some slots can take are also looked at by
    themselves. Nobody who is to be done by some time puts a run on a slot where it alone would take longer.
    """
    return _Bound(sorted(slots, key=lambda slot: (slot.host, slot.index)), costs, now_s).of(runs)


@dataclass(frozen=True)
class _Kind:
    """Runs that differ in nothing that counts here."""

    key: BatchKey
    size: SampleSize
    lanes: tuple[int, ...]
    count: int
    is_widenable: bool
    samples_s: float = 0.0
    """Of all, each on the slot where it is fastest."""
    load_s: float = 0.0
    """Where it is shortest, with warm files."""
    warming_s: float = 0.0
    """What a load with cold files takes more, at least; 0 where they may be warm."""


class _Bound:
    def __init__(self, slots: Sequence[Slot], costs: CostModel, now_s: float) -> None:
        self._slots = slots
        self._prices = Prices(costs)
        self._wait_s = [max(0.0, slot.free_at_s - now_s) for slot in slots]

    def of(self, runs: Iterable[Workload]) -> float:
        kinds = []
        for group in alike(runs):
            lanes = eligible_lanes(self._slots, group[0])
            if lanes:
                kinds.append(self._kind(group, lanes))
        low = self._least_s(kinds)
        if len(kinds) > KINDS_REFUTED_MAX or not kinds:
            return low
        high = low
        while (found := self._within_s(kinds, high)) > high:
            low, high = high, min(found, 2 * high)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if self._within_s(kinds, middle) > middle else (low, middle)
        return low

    def _within_s(self, kinds: Iterable[_Kind], until_s: float) -> float:
        """What no plan can be below that puts each run on slots where it can be done by then."""
        near = []
        for kind in kinds:
            lanes = tuple(lane for lane in kind.lanes if self._alone_s(kind, lane) <= until_s * (1 + ROUNDING))
            if not lanes:
                return math.inf
            near.append(kind if lanes == kind.lanes else self._on(kind, lanes))
        return self._least_s(near)

    def _least_s(self, kinds: Sequence[_Kind]) -> float:
        work: dict[tuple[int, ...], float] = defaultdict(float)
        for kind in kinds:
            work[kind.lanes] += kind.samples_s
        most = sorted(work, key=lambda lanes: -work[lanes])[:SETS_MAX]
        # All together need all the slots that one of them can use.
        sets = {frozenset(lanes) for lanes in most} | {frozenset(lane for lanes in work for lane in lanes)}
        within = [([kind for kind in kinds if lanes.issuperset(kind.lanes)], lanes) for lanes in sets if lanes]
        even = (self._even_s(some, lanes) for some, lanes in within)
        sharing = (self._sharing_s(some, lanes) for some, lanes in within)
        return max([*map(self._longest_s, kinds), *even, *sharing], default=0.0)

    def _kind(self, runs: Sequence[Workload], lanes: tuple[int, ...]) -> _Kind:
        one = runs[0]
        is_widenable = one.is_widenable and not one.is_alone
        return self._on(_Kind(key_of(one), one.size, lanes, len(runs), is_widenable=is_widenable), lanes)

    def _on(self, kind: _Kind, lanes: tuple[int, ...]) -> _Kind:
        """On these slots."""
        return replace(
            kind,
            lanes=lanes,
            samples_s=kind.count * min(self._sample_s(kind.key, kind.size, lane) for lane in lanes),
            load_s=min(min(self._loads(kind.key, lane)) for lane in lanes),
            warming_s=min(self._warming_s(kind.key, lane) for lane in lanes),
        )

    def _longest_s(self, kind: _Kind) -> float:
        """One of the runs, on the best slot."""
        return min(self._alone_s(kind, lane) for lane in kind.lanes)

    def _alone_s(self, kind: _Kind, lane: int) -> float:
        """One of the runs, as the first on this slot."""
        return self._wait_s[lane] + self._first_load_s(kind, lane) + self._sample_s(kind.key, kind.size, lane)

    def _even_s(self, kinds: Collection[_Kind], lanes: Collection[int]) -> float:
        """All these runs on these slots, which are the only ones that can take them."""
        # The sum must not depend on the order of the input.
        samples_s = math.fsum(kind.samples_s for kind in kinds)
        loads = sorted(_least_loads(kinds))
        begin = {lane: self._wait_s[lane] + min(self._first_load_s(k, lane) for k in kinds if lane in k.lanes) for lane in lanes}
        wait = {lane: self._wait_s[lane] for lane in lanes}
        # Each slot that is used begins with a load; of the others, so many come after a first one.
        later_s = sum(loads[: max(0, len(loads) - len(lanes))])
        all_s = sum(loads) + _warming_s(kinds)
        alike = dict.fromkeys(lanes, 1.0)
        slowdown = {lane: self._slowdown(kinds, lane) for lane in lanes}
        # Of a load nobody knows on which slot it is: there it may count for less.
        most = max(slowdown.values())
        return max(
            _level(begin, alike, samples_s + later_s),
            _level(wait, alike, samples_s + all_s),
            _level(begin, slowdown, samples_s + later_s / most),
            _level(wait, slowdown, samples_s + all_s / most),
        )

    def _slowdown(self, kinds: Collection[_Kind], lane: int) -> float:
        """How many times longer than on its best slot each of the runs takes on this one, at least."""
        return min(
            self._sample_s(k.key, k.size, lane) * k.count / k.samples_s if k.samples_s else 1.0 for k in kinds if lane in k.lanes
        )

    def _sharing_s(self, kinds: Collection[_Kind], lanes: Collection[int]) -> float:
        """Some slot gets k + 1 of the k x slots + 1 longest of these runs, whichever these are (the pigeonhole principle)."""
        counted = sorted(((kind.samples_s / kind.count, kind.count) for kind in kinds), reverse=True)
        most = SHARING_MAX * len(lanes) + 1
        longest = list(islice((seconds for seconds, count in counted for _ in range(count)), most))
        begin_s = min(self._wait_s[lane] + min(self._first_load_s(k, lane) for k in kinds if lane in k.lanes) for lane in lanes)
        shared = (k for k in range(1, SHARING_MAX + 1) if len(longest) > k * len(lanes))
        return max((begin_s + math.fsum(longest[k * len(lanes) - k : k * len(lanes) + 1]) for k in shared), default=0.0)

    def _sample_s(self, key: BatchKey, size: SampleSize, lane: int) -> float:
        return self._prices.sample_s(key, self._slots[lane].gpu_type, size)

    def _loads(self, key: BatchKey, lane: int) -> tuple[float, float]:
        """With cold and with warm files."""
        gpu_type = self._slots[lane].gpu_type
        return self._prices.load_s(key, gpu_type, is_warm=False), self._prices.load_s(key, gpu_type, is_warm=True)

    def _warming_s(self, key: BatchKey, lane: int) -> float:
        cold_s, warm_s = self._loads(key, lane)
        return 0.0 if key.files in self._slots[lane].warm else max(0.0, cold_s - warm_s)

    def _first_load_s(self, kind: _Kind, lane: int) -> float:
        """The load before such a run is cold, unless the slot's host has read the files, or those of more controls."""
        cold_s, warm_s = self._loads(kind.key, lane)
        is_warm = any(_may_serve(files, kind) for files in self._slots[lane].warm)
        return min(cold_s, warm_s) if is_warm else cold_s


def _may_serve(files: ModelFiles, kind: _Kind) -> bool:
    wider = kind.is_widenable and files.model == kind.key.model and set(files.controls) > set(kind.key.signature.controls)
    return wider or files == kind.key.files


def _least_loads(kinds: Iterable[_Kind]) -> list[float]:
    """The loads that cannot be saved, each at its least: runs that may be mixed with others can do with one for all."""
    fixed: dict[BatchKey, float] = {}
    mixed: dict[BatchKey, float] = defaultdict(float)
    alone = []
    for kind in kinds:
        family = replace(kind.key, signature=replace(kind.key.signature, controls=()), parts=0)
        if kind.key.is_alone:
            alone += [kind.load_s] * kind.count
        elif kind.is_widenable:
            mixed[family] = max(mixed[family], kind.load_s)
        else:
            fixed[kind.key] = min(fixed.get(kind.key, kind.load_s), kind.load_s)
    families = {replace(key, signature=replace(key.signature, controls=()), parts=0) for key in fixed}
    return [*alone, *fixed.values(), *(load_s for family, load_s in mixed.items() if family not in families)]


def _warming_s(kinds: Iterable[_Kind]) -> float:
    """What all loads together take more than warm ones, at least: what is never mixed has cold files once."""
    least: dict[ModelFiles, float] = {}
    mixed = set()
    for kind in kinds:
        files = kind.key.files
        least[files] = min(least.get(files, kind.warming_s), kind.warming_s)
        if kind.is_widenable:
            mixed.add(files.model)
    return math.fsum(seconds for files, seconds in least.items() if files.model not in mixed)


def _level(begin_s: Mapping[int, float], slowdown: Mapping[int, float], work_s: float) -> float:
    """When slots that begin at these times are done with so much work, if it can be divided at will."""
    ordered = sorted(begin_s, key=lambda lane: (begin_s[lane], lane))
    speeds = accumulate(1 / slowdown[lane] for lane in ordered)
    begun = accumulate(begin_s[lane] / slowdown[lane] for lane in ordered)
    return min((work_s + before) / speed for speed, before in zip(speeds, begun, strict=True))
