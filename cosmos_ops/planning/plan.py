"""The plan: all queued runs as batches on GPU slots, with times; pure, and the same for the same input in any order."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import accumulate, islice
from operator import itemgetter

from cosmos_ops.planning.costs import CostModel
from cosmos_ops.planning.groups import BatchKey, Buckets, Prices, bucketed, first_id, grouped, size_within
from cosmos_ops.planning.lanes import Filling, LaneStart, OpenBatch, Tail, turn
from cosmos_ops.planning.placement import placed
from cosmos_ops.planning.scores import score
from cosmos_ops.planning.widening import narrowed, widenings
from cosmos_ops.planning.workloads import Mixing, Plan, PlannedBatch, PlanOptions, Slot, Workload

DEFAULT_OPTIONS = PlanOptions()
FEW_RUNS = 12
"""Of so few runs every one may be mixed with others by itself; of more runs only whole groups."""
STAGES_MAX = 8
"""So many ways to mix controls are tried."""
TRIES_MAX = 4000
"""Bounds the time spent on improving the plan of a level, to some tenths of a second."""


def plan(
    workloads: Iterable[Workload],
    slots: Iterable[Slot],
    costs: CostModel,
    *,
    now_s: float,
    options: PlanOptions = DEFAULT_OPTIONS,
) -> Plan:
    """Put runs into batches, and batches on slots.

    Runs of a higher level (priority and age) are planned as if the others did not exist; those fill what is left. Within a
    level the goal decides. Times count as those of `now_s` and of the slots do.
    """
    ordered = sorted(slots, key=lambda slot: (slot.host, slot.index))
    levels: dict[int, list[Workload]] = defaultdict(list)
    for run in workloads:
        levels[options.level(run, now_s)].append(run)
    planner = _Planner(ordered, costs, now_s, options)
    for level in sorted(levels, reverse=True):
        planner.add(levels[level])
    return planner.finished()


class _Planner:
    """The slots as planned so far."""

    def __init__(self, slots: Sequence[Slot], costs: CostModel, now_s: float, options: PlanOptions) -> None:
        self._slots = slots
        self._options = options
        self._prices = Prices(costs)
        self._starts = [LaneStart(slot, max(now_s, slot.free_at_s), slot.warm) for slot in slots]
        self._batches: list[list[PlannedBatch]] = [[] for _ in slots]
        self._waiting: dict[str, str] = {}

    def add(self, runs: Sequence[Workload]) -> None:
        """Plan runs of one level after all that is planned."""
        buckets, refused = bucketed(runs, self._slots)
        self._waiting |= refused
        if buckets:
            self._write_down(self._filling(buckets))

    def finished(self) -> Plan:
        batches = [batch for lane in self._batches for batch in lane]
        batches.sort(key=lambda batch: (batch.start_s, batch.host, batch.index))
        return Plan(tuple(batches), dict(sorted(self._waiting.items())))

    def _filling(self, buckets: Buckets) -> Filling:
        if self._options.mixing is Mixing.STRICT:
            return self._placed(buckets, TRIES_MAX)
        stages_max = 2 if self._options.mixing is Mixing.MIXED else STAGES_MAX
        is_few = sum(len(runs) for contents in buckets.values() for runs in contents.sizes.values()) <= FEW_RUNS
        merges_all = is_few and self._options.mixing is Mixing.AUTOMATIC
        stages = widenings(buckets, self._slots, self._prices, self._options, stages_max=stages_max, merges_all=merges_all)
        if self._options.mixing is Mixing.MIXED:
            return self._placed(stages[-1], TRIES_MAX)
        return min((self._placed(stage, TRIES_MAX // len(stages)) for stage in stages), key=self._score)

    def _placed(self, buckets: Buckets, tries: int) -> Filling:
        ordered = sorted(buckets.items(), key=lambda entry: first_id(entry[1]))
        groups = [grouped(bucket, contents, self._slots, self._prices) for bucket, contents in ordered]
        return placed(groups, self._starts, self._prices, self._options, tries=tries)

    def _score(self, filling: Filling) -> tuple[float, float]:
        return score(
            self._options.goal,
            seconds=filling.end_s,
            load_gpu_seconds=filling.load_gpu_seconds,
            gpu_seconds=filling.gpu_seconds,
            width=sum(slot.gpu_count for slot in self._slots),
        )

    def _write_down(self, filling: Filling) -> None:
        for place, lane in enumerate(filling.lanes):
            for batch in sorted(lane.batches(), key=turn):
                if batch.is_tail:
                    self._extend(place, batch)
                else:
                    self._append(place, batch)

    def _append(self, place: int, batch: OpenBatch) -> None:
        start, slot = self._starts[place], self._slots[place]
        key = narrowed(batch)
        load_s = self._prices.load_s(key, slot.gpu_type, is_warm=key.files in start.warm)
        run_ids, ends_s = self._in_order(batch, key, slot, start.free_s + load_s)
        self._batches[place].append(
            PlannedBatch(
                host=slot.host,
                index=slot.index,
                signature=key.signature,
                run_ids=run_ids,
                start_s=start.free_s,
                load_s=load_s,
                ends_s=ends_s,
                gpu_count=slot.gpu_count,
            )
        )
        tail = Tail(key, ends_s[-1] - start.free_s, len(run_ids))
        self._starts[place] = LaneStart(slot, ends_s[-1], start.warm | {key.files}, tail)

    def _extend(self, place: int, batch: OpenBatch) -> None:
        """Let runs of a lower level join at the end of the last batch."""
        last = self._batches[place][-1]
        run_ids, ends_s = self._in_order(batch, batch.key, self._slots[place], last.end_s)
        longer = replace(last, run_ids=last.run_ids + run_ids, ends_s=last.ends_s + ends_s)
        self._batches[place][-1] = longer
        tail = Tail(batch.key, longer.end_s - longer.start_s, len(longer.run_ids))
        self._starts[place] = replace(self._starts[place], free_s=longer.end_s, tail=tail)

    def _in_order(self, batch: OpenBatch, key: BatchKey, slot: Slot, begin_s: float) -> tuple[tuple[str, ...], tuple[float, ...]]:
        """The runs, the shortest first, so that most of them are done early; and when each is done."""
        if key == batch.key:
            samples = [(seconds, run.run_id) for run, seconds in batch.samples(slot.gpu_type)]
        else:
            samples = [(self._prices.sample_s(key, slot.gpu_type, size_within(run, key)), run.run_id) for run in batch.runs()]
        # Runs that take equally long stay in the order of their age.
        samples.sort(key=itemgetter(0))
        ends_s = accumulate((seconds for seconds, _ in samples), initial=begin_s)
        return tuple(run_id for _, run_id in samples), tuple(islice(ends_s, 1, None))
