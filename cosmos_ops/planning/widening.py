"""Batches with more controls than some of their runs have, where one load less is worth the slower samples.

Only runs that say that their result stays exactly the same are widened: in such a batch they get weight 0 for what they lack,
which costs full computation.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from heapq import heappop, heappush
from itertools import combinations
from typing import NamedTuple

from cosmos_ops.planning.groups import BatchKey, Bucket, Buckets, Contents, Memory, Prices, first_id
from cosmos_ops.planning.lanes import OpenBatch
from cosmos_ops.planning.workloads import PlanOptions, Slot
from cosmos_ops.sizes import SampleSize

PAIRS_MAX = 20_000
"""So many pairs are looked at, which bounds the time for very many signatures."""


class Kind(NamedTuple):
    """A bucket without its runs: what tells whether merging it pays."""

    bucket: Bucket
    memory: Memory
    counts: Mapping[SampleSize, int]
    first_id: str
    gpu_seconds: float
    """On the slot where its runs cost least."""


class Merge(NamedTuple):
    """Two kinds, and the one that has the runs of both."""

    one: Kind
    other: Kind
    union: Kind


def widenings(
    buckets: Buckets, slots: Sequence[Slot], prices: Prices, options: PlanOptions, *, stages_max: int, merges_all: bool = False
) -> list[Buckets]:
    """The buckets as they are, then with one pair merged, two, ...; the pair that saves most GPU seconds first.

    Of very many stages only some are given, the first and the last among them.

    Args:
        buckets: Runs that may share a batch.
        slots: All of them.
        prices: Seconds of loads and samples.
        options: How to plan.
        stages_max: Most stages.
        merges_all: Whether pairs are merged too that save nothing as a whole: single runs may do well in the other's batch.
    """
    merges = list(_Merging(buckets, slots, prices, options, least_saved_s=-math.inf if merges_all else 0.0).merges())
    step = max(1, math.ceil(len(merges) / (stages_max - 1)))
    stages, current = [buckets], dict(buckets)
    for number, merge in enumerate(merges, start=1):
        _carry_out(current, merge)
        if number % step == 0 or number == len(merges):
            stages.append(dict(current))
    return stages


def narrowed(batch: OpenBatch) -> BatchKey:
    """What a batch needs in the end: those of its runs for which it was widened may have gone elsewhere."""
    if not any(group.is_widened for group, _, _ in batch.pieces):
        return batch.key
    kinds = {run.signature for run in batch.runs()}
    signature = batch.key.signature.with_controls(control for kind in kinds for control in kind.controls)
    return replace(batch.key, signature=signature, parts=len(signature.controls))


def _carry_out(buckets: Buckets, merge: Merge) -> None:
    bucket = merge.union.bucket
    parts = [buckets.pop(merge.one.bucket), buckets.pop(merge.other.bucket)]
    sizes = defaultdict(list)
    for part in parts:
        for size, runs in part.sizes.items():
            sizes[_widened(size, bucket)].extend(runs)
    # The union may be the bucket of a third one.
    if bucket in buckets:
        for size, runs in buckets[bucket].sizes.items():
            sizes[size].extend(runs)
    buckets[bucket] = Contents(sizes, merge.union.memory)


def _widened(size: SampleSize, bucket: Bucket) -> SampleSize:
    return replace(size, controls=max(len(bucket.key.signature.controls), size.controls))


class _Merging:
    """The pairs that are worth it, one after the other."""

    def __init__(
        self, buckets: Buckets, slots: Sequence[Slot], prices: Prices, options: PlanOptions, *, least_saved_s: float
    ) -> None:
        self._least_saved_s = least_saved_s
        self._slots = slots
        self._prices = prices
        self._options = options
        self._pairs_left = PAIRS_MAX
        self._number = 0
        self._heap: list[tuple[float, str, str, int, Merge]] = []
        self._live: dict[BatchKey, dict[Bucket, Kind]] = defaultdict(dict)
        """By all that the runs of a batch must have in common beside their controls."""
        for bucket, contents in sorted(buckets.items(), key=lambda entry: first_id(entry[1])):
            if bucket.is_widenable and bucket.key.parts == len(bucket.key.signature.controls):
                counts = {size: len(runs) for size, runs in contents.sizes.items()}
                kind = self._kind(bucket, contents.memory, counts, first_id(contents))
                self._live[_family(bucket)][bucket] = kind

    def merges(self) -> Iterator[Merge]:
        """The best pair first; each merge makes new pairs possible."""
        for live in self._live.values():
            for one, other in combinations(live.values(), 2):
                self._consider(one, other)
        while self._heap:
            *_, merge = heappop(self._heap)
            live = self._live[_family(merge.union.bucket)]
            if live.get(merge.one.bucket) is merge.one and live.get(merge.other.bucket) is merge.other:
                del live[merge.one.bucket], live[merge.other.bucket]
                yield merge
                union = merge.union
                third = live.pop(union.bucket, None)
                if third:
                    counts = Counter(union.counts) + Counter(third.counts)
                    union = self._kind(union.bucket, union.memory.most(third.memory), counts, min(union.first_id, third.first_id))
                for kind in live.values():
                    self._consider(union, kind)
                live[union.bucket] = union

    def _consider(self, one: Kind, other: Kind) -> None:
        """Remember a pair if merging it saves more GPU seconds than is asked for."""
        if not self._pairs_left or one.bucket.key == other.bucket.key:
            return
        self._pairs_left -= 1
        union = self._union(one, other)
        saved_s = one.gpu_seconds + other.gpu_seconds - union.gpu_seconds if union else 0.0
        if union and saved_s > self._least_saved_s:
            self._number += 1
            entry = Merge(one, other, union)
            heappush(self._heap, (-round(saved_s, 6), one.first_id, other.first_id, self._number, entry))

    def _union(self, one: Kind, other: Kind) -> Kind | None:
        """All controls, and the slots that can take both; none if there are no such slots."""
        both = one.bucket, other.bucket
        signature = both[0].key.signature.with_controls(control for b in both for control in b.key.signature.controls)
        parts = len(signature.controls)
        memory = one.memory.with_more(parts - both[0].key.parts).most(other.memory.with_more(parts - both[1].key.parts))
        shared = set(both[0].lanes) & set(both[1].lanes)
        lanes = tuple(lane for lane in sorted(shared) if self._slots[lane].memory_gb >= memory.gb)
        if not lanes:
            return None
        bucket = Bucket(replace(both[0].key, signature=signature, parts=parts), lanes, is_widenable=True, is_widened=True)
        counts: Counter[SampleSize] = Counter()
        for kind in (one, other):
            for size, count in kind.counts.items():
                counts[_widened(size, bucket)] += count
        return self._kind(bucket, memory, counts, min(one.first_id, other.first_id))

    def _kind(self, bucket: Bucket, memory: Memory, counts: Mapping[SampleSize, int], first: str) -> Kind:
        types = {
            (slot.gpu_type, slot.gpu_count, bucket.key.files in slot.warm)
            for slot in (self._slots[lane] for lane in bucket.lanes)
        }
        seconds = min(
            self._seconds(bucket.key, counts, gpu_type, is_warm=is_warm) * gpu_count for gpu_type, gpu_count, is_warm in types
        )
        return Kind(bucket, memory, counts, first, seconds)

    def _seconds(self, key: BatchKey, counts: Mapping[SampleSize, int], gpu_type: str, *, is_warm: bool) -> float:
        first_load_s = self._prices.load_s(key, gpu_type, is_warm=is_warm)
        load_s = self._prices.load_s(key, gpu_type, is_warm=True)
        count = sum(counts.values())
        # The sum must not depend on the order of the input.
        samples_s = math.fsum(self._prices.sample_s(key, gpu_type, size) * n for size, n in counts.items())
        room_s = max(self._options.batch_seconds_max - load_s, samples_s / count)
        batches = max(math.ceil(samples_s / room_s), math.ceil(count / self._options.batch_runs_max))
        return first_load_s + (batches - 1) * load_s + samples_s


def _family(bucket: Bucket) -> BatchKey:
    return replace(bucket.key, signature=replace(bucket.key.signature, controls=()), parts=0)
