"""Batches with more controls than some of their runs have, where one load less is worth the slower samples.

Only runs that say that their result stays exactly the same are widened: in such a batch they get weight 0 for what they lack,
which costs full computation.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from operator import attrgetter

from cosmos_ops.planning.groups import BatchKey, Bucket, Prices, Sizes, add_runs, first_id
from cosmos_ops.planning.lanes import OpenBatch
from cosmos_ops.planning.workloads import PlanOptions, Slot

Buckets = Mapping[Bucket, Sizes]
Pair = tuple[Bucket, Bucket]


def widenings(buckets: Buckets, slots: Sequence[Slot], prices: Prices, options: PlanOptions) -> list[Buckets]:
    """The buckets as they are, then with one pair merged, two, ...; the pair that saves most GPU seconds first."""
    pricing = _Pricing(slots, prices, options)
    stages: list[Buckets] = [buckets]
    while pair := _best_pair(stages[-1], pricing):
        stages.append(_merged(stages[-1], *pair))
    return stages


def _best_pair(buckets: Buckets, pricing: "_Pricing") -> Pair | None:
    families: dict[object, list[Bucket]] = defaultdict(list)
    for bucket, _ in sorted(buckets.items(), key=lambda entry: first_id(entry[1])):
        if bucket.is_widenable and bucket.key.parts == len(bucket.key.signature.controls):
            families[replace(bucket.key, signature=replace(bucket.key.signature, controls=()), parts=0)].append(bucket)
    best, pair = 0.0, None
    for family in families.values():
        for one, other in combinations(family, 2):
            union = _union(one, other)
            if union.lanes:
                apart = pricing.seconds(one, buckets[one]) + pricing.seconds(other, buckets[other])
                saved = apart - pricing.seconds(union, _together(buckets, one, other))
                if saved > best:
                    best, pair = saved, (one, other)
    return pair


def _merged(buckets: Buckets, one: Bucket, other: Bucket) -> Buckets:
    union, sizes = _union(one, other), _together(buckets, one, other)
    rest = {bucket: known for bucket, known in buckets.items() if bucket not in (one, other)}
    # The union may be the bucket of a third one.
    add_runs(sizes, rest.get(union, {}))
    return {**rest, union: sizes}


def _union(one: Bucket, other: Bucket) -> Bucket:
    """All controls, and the slots that can take both."""
    ours, theirs = one.key.signature.controls, other.key.signature.controls
    lanes = tuple(lane for lane in one.lanes if lane in other.lanes)
    if set(theirs) <= set(ours):
        return one._replace(lanes=lanes, is_widened=True)
    if set(ours) <= set(theirs):
        return other._replace(lanes=lanes, is_widened=True)
    controls = tuple(sorted({*ours, *theirs}))
    key = replace(one.key, signature=replace(one.key.signature, controls=controls), parts=len(controls))
    return Bucket(key, lanes, is_widenable=True, is_widened=True)


def _together(buckets: Buckets, one: Bucket, other: Bucket) -> Sizes:
    """All runs of two buckets, by the size that they have with all controls of both."""
    count = len(_union(one, other).key.signature.controls)
    sizes: Sizes = {}
    for bucket in (one, other):
        for size, runs in buckets[bucket].items():
            add_runs(sizes, {replace(size, controls=max(count, size.controls)): runs})
    return sizes


def narrowed(batch: OpenBatch) -> BatchKey:
    """What a batch needs in the end: those of its runs for which it was widened may have gone elsewhere."""
    if not any(group.is_widened for group, _, _ in batch.pieces):
        return batch.key
    kinds = {run.signature for run in batch.runs()}
    controls = {control for signature in kinds for control in signature.controls}
    if controls == set(batch.key.signature.controls):
        return batch.key
    # One of them may have them all, and then in the order that its family declares.
    signature = min((kind for kind in kinds if set(kind.controls) == controls), key=attrgetter("controls"), default=None)
    signature = signature or replace(batch.key.signature, controls=tuple(sorted(controls)))
    return replace(batch.key, signature=signature, parts=len(controls))


class _Pricing:
    def __init__(self, slots: Sequence[Slot], prices: Prices, options: PlanOptions) -> None:
        self._slots = slots
        self._prices = prices
        self._options = options

    def seconds(self, bucket: Bucket, sizes: Sizes) -> float:
        """GPU seconds of the runs of a bucket on the slot where they cost least."""
        kinds = {
            (slot.gpu_type, slot.gpu_count, bucket.key.files in slot.warm)
            for slot in (self._slots[lane] for lane in bucket.lanes)
        }
        return min(
            self._on(bucket, sizes, gpu_type, is_warm=is_warm) * gpu_count for gpu_type, gpu_count, is_warm in sorted(kinds)
        )

    def _on(self, bucket: Bucket, sizes: Sizes, gpu_type: str, *, is_warm: bool) -> float:
        first_load_s = self._prices.load_s(bucket.key, gpu_type, is_warm=is_warm)
        load_s = self._prices.load_s(bucket.key, gpu_type, is_warm=True)
        count = sum(len(runs) for runs in sizes.values())
        samples_s = sum(self._prices.sample_s(bucket.key, gpu_type, size) * len(runs) for size, runs in sizes.items())
        room_s = max(self._options.batch_seconds_max - load_s, samples_s / count)
        batches = max(math.ceil(samples_s / room_s), math.ceil(count / self._options.batch_runs_max))
        return first_load_s + (batches - 1) * load_s + samples_s
