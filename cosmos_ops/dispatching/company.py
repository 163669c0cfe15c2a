"""The company of a batch: runs of its kind that are about to come, because they follow runs that are at work."""

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loguru import logger

from cosmos_ops.dispatching.assignments import Lanes, Place
from cosmos_ops.dispatching.prospect import Prospect
from cosmos_ops.operations import read_params
from cosmos_ops.planning import ControlSignature, PlannedBatch, PlanOptions, Workload
from cosmos_ops.planning.signature import signature_of
from cosmos_ops.planning.workloads_of_runs import ANY_HOST
from cosmos_ops.runs import Run
from cosmos_ops.store import Store

HOMECOMING_S = 10.0
"""However quickly a model is loaded, so long a slot waits for the outputs of a batch to come home."""


@dataclass(frozen=True)
class Heir:
    """A run that will be queued when another one has completed."""

    signature: ControlSignature
    host: str
    priority: int


class Company:
    """Lets a slot wait for runs that would otherwise need the same model loaded once more.

    A slot waits no longer than such a load takes. So whatever comes then, it spends at most twice what it would have spent had
    it known (ski rental).
    """

    def __init__(self, store: Store, lanes: Lanes, options: PlanOptions, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._lanes = lanes
        self._options = options
        self._clock = clock
        self._heirs: dict[str, tuple[Heir, ...]] = {}
        self._unfinished: frozenset[str] = frozenset()
        self._idle_since: dict[ControlSignature, float] = {}

    def look(self) -> None:
        """See what is at work. Call it before the queue is looked at: what has followed a finished run by now is seen there."""
        at_work = {run_id for one in self._lanes.active if one.job is not None for run_id in one.run_ids}
        known = {run_id: heirs for run_id, heirs in self._heirs.items() if run_id in at_work}
        new = self._store.runs_of_ids(at_work - known.keys())
        self._heirs = known | {run.id: heirs_of(run) for run in new}
        self._unfinished = self._store.unfinished(run_id for run_id, heirs in self._heirs.items() if heirs)

    @property
    def state(self) -> object:
        """Changes whenever a slot may wait no more."""
        return self._unfinished

    @property
    def is_awaited(self) -> bool:
        """Whether some slot does nothing but wait."""
        return bool(self._idle_since)

    def begin_on(self, places: Collection[Place], prospect: Prospect) -> dict[Place, PlannedBatch]:
        """What these lanes begin now: the batch that is planned first for each of them, unless it is better begun later.

        While it waits its lane begins another one of the same priority, if one is planned for it.
        """
        planned = {place: batches for place in places if (batches := planned_on(place, prospect))}
        first = {place: batches[0] for place, batches in planned.items()}
        begun = {place: batch for place in planned if (batch := self._next(planned[place], prospect, first.values())) is not None}
        idle = {batch.signature: place for place, batch in first.items() if place not in begun and not self._lanes.on(place)}
        for signature in idle.keys() - self._idle_since.keys():
            kind = f"{signature.operation} by {signature.family}"
            logger.info("Host {} slot {} waits for more runs of {}, which are about to come", *idle[signature], kind)
        self._idle_since = {signature: self._idle_since.get(signature, self._clock()) for signature in idle}
        return begun

    def _next(self, planned: Sequence[PlannedBatch], prospect: Prospect, first: Collection[PlannedBatch]) -> PlannedBatch | None:
        """The first batch of a lane that is not better begun later, of those that are as urgent as its first one."""
        for batch in planned:
            if batch is not planned[0] and _priority(batch, prospect) < _priority(planned[0], prospect):
                return None
            if not self._is_worth_waiting(batch, prospect, first):
                return batch
        return None

    def _is_worth_waiting(self, batch: PlannedBatch, prospect: Prospect, first: Collection[PlannedBatch]) -> bool:
        """Whether more of its kind come so soon that a slot had better wait for them than load the same model twice."""
        if not self._unfinished:
            return False
        place, runs = (batch.host, batch.index), _workloads(batch, prospect)
        if self._is_full(batch, runs) or _comes_again(batch, prospect, first):
            return False
        comes_in_s = self._comes_in_s(batch, _priority(batch, prospect)) + self._lanes.staging_s(batch.host)
        gpu_type = next(slot.gpu_type for slot in prospect.slots if (slot.host, slot.index) == place)
        load_s = prospect.costs.of(runs[0].model_name, gpu_type).load_s(runs[0].part_count, is_warm=True)
        waited_s = 0.0 if self._lanes.on(place) else self._clock() - self._idle_since.get(batch.signature, self._clock())
        return waited_s + comes_in_s - self._lanes.seconds_until_free(place) <= max(load_s, HOMECOMING_S)

    def _is_full(self, batch: PlannedBatch, runs: Collection[Workload]) -> bool:
        is_long = batch.end_s - batch.start_s >= self._options.batch_seconds_max
        return is_long or len(runs) >= self._options.batch_runs_max or any(run.is_alone for run in runs)

    def _comes_in_s(self, batch: PlannedBatch, priority: int) -> float:
        """When the next run comes that could share the batch and is no less urgent; never, if none is known of."""
        done_in_s = self._done_in_s()
        return min(
            (
                done_in_s.get(run_id, 0.0)
                for run_id in self._unfinished
                for heir in self._heirs[run_id]
                if heir.signature == batch.signature and heir.host in (ANY_HOST, batch.host) and heir.priority >= priority
            ),
            default=math.inf,
        )

    def _done_in_s(self) -> Mapping[str, float]:
        """When each run at work is expected to be done; what is not at work any more is being recorded."""
        return {run_id: seconds for one in self._lanes.active for run_id, seconds in one.done_in_s().items()}


def heirs_of(run: Run[Any]) -> tuple[Heir, ...]:
    """What will follow a run."""
    if run.queueing is None:
        return ()
    return tuple(
        Heir(
            signature_of(stage.operation, stage.family, read_params(stage.operation, stage.family, stage.params)),
            run.queueing.host,
            run.priority,
        )
        for stage in run.queueing.then
    )


def planned_on(place: Place, prospect: Prospect) -> list[PlannedBatch]:
    """The batches of a lane, in their order."""
    return [batch for batch in prospect.plan.batches if (batch.host, batch.index) == place]


def _comes_again(batch: PlannedBatch, prospect: Prospect, first: Collection[PlannedBatch]) -> bool:
    """Whether the same model is loaded later anyway, for a batch that can take what comes."""
    return any(one.signature == batch.signature and one not in first for one in prospect.plan.batches if one is not batch)


def _priority(batch: PlannedBatch, prospect: Prospect) -> int:
    return max(run.priority for run in _workloads(batch, prospect))


def _workloads(batch: PlannedBatch, prospect: Prospect) -> list[Workload]:
    return [prospect.workload_of[run_id] for run_id in batch.run_ids]
