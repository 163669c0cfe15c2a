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
from cosmos_ops.params import Scalar
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

    def may_join(self, batch: PlannedBatch) -> bool:
        """Whether it could share the batch; what it leaves open is filled in only when it is queued."""
        ours, theirs = self.signature, batch.signature
        if self.host not in (ANY_HOST, batch.host):
            return False
        if (ours.operation, ours.family, ours.controls) != (theirs.operation, theirs.family, theirs.controls):
            return False
        given = dict(theirs.process)
        return all(_is_open(value) or (name in given and given[name] == value) for name, value in ours.process)


class Company:
    """Lets a slot wait for runs that would otherwise need the same model loaded once more.

    A batch is put off no longer than such a load takes, counted from the moment at which its slot could have begun it.
    """

    def __init__(self, store: Store, lanes: Lanes, options: PlanOptions, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._lanes = lanes
        self._options = options
        self._clock = clock
        self._heirs: dict[str, tuple[Heir, ...]] = {}
        self._unfinished: frozenset[str] = frozenset()
        self._put_off: dict[str, float] = {}
        """The oldest run of a batch to the moment at which it was put off first, though its slot could have begun it."""
        self.waiting: frozenset[Place] = frozenset()
        """The slots that do nothing but wait."""

    def look(self) -> None:
        """See what is at work. Call it before the queue is looked at: what has followed a finished run by now is seen there."""
        at_work = {run_id for one in self._lanes.active if one.job is not None for run_id in one.run_ids}
        known = {run_id: heirs for run_id, heirs in self._heirs.items() if run_id in at_work}
        new = self._store.readable_runs_of_ids(at_work - known.keys())
        heirs = known | {run.id: heirs_of(run) for run in new}
        unfinished = self._store.unfinished(run_id for run_id, some in heirs.items() if some)
        # Both at once: the store may go away in between.
        self._heirs, self._unfinished = heirs, unfinished

    @property
    def state(self) -> object:
        """Changes whenever a slot may wait no more."""
        return self._unfinished

    def begin_on(self, places: Collection[Place], prospect: Prospect) -> dict[Place, PlannedBatch]:
        """What these lanes begin now: the batch that is planned first for each of them, unless it is better begun later.

        While it is put off its lane begins another one that is as urgent, if one is planned for it.
        """
        planned = {place: batches for place in places if (batches := planned_on(place, prospect))}
        first = {place: batches[0] for place, batches in planned.items()}
        if not self._unfinished:
            self._put_off, self.waiting = {}, frozenset()
            return first
        begun: dict[Place, PlannedBatch] = {}
        for place, batches in planned.items():
            passed, batch = self._next(batches, prospect, first.values())
            if batch is not None:
                begun[place] = batch
            if batch is not None or not self._lanes.on(place):
                for one in passed:
                    self._put_off.setdefault(_oldest(one, prospect), self._clock())
        self._put_off = {run_id: since for run_id, since in self._put_off.items() if run_id in prospect.workload_of}
        self._say_waiting({place: batch for place, batch in first.items() if place not in begun and not self._lanes.on(place)})
        return begun

    def _say_waiting(self, waiting: Mapping[Place, PlannedBatch]) -> None:
        for place in waiting.keys() - self.waiting:
            kind = f"{waiting[place].signature.operation} by {waiting[place].signature.family}"
            logger.info("Host {} slot {} waits for more runs of {}, which are about to come", *place, kind)
        self.waiting = frozenset(waiting)

    def _next(
        self, planned: Sequence[PlannedBatch], prospect: Prospect, first: Collection[PlannedBatch]
    ) -> tuple[list[PlannedBatch], PlannedBatch | None]:
        """The batches of a lane that are better begun later, and the first other one, if it is as urgent as those."""
        passed: list[PlannedBatch] = []
        for batch in planned:
            if passed and self._level(batch, prospect) < self._level(passed[0], prospect):
                break
            if not self._is_worth_waiting(batch, prospect, first):
                return passed, batch
            passed.append(batch)
        return passed, None

    def _level(self, batch: PlannedBatch, prospect: Prospect) -> int:
        return max(self._options.level(run, prospect.now_s) for run in _workloads(batch, prospect))

    def _is_worth_waiting(self, batch: PlannedBatch, prospect: Prospect, first: Collection[PlannedBatch]) -> bool:
        """Whether more of its kind come so soon that a slot had better wait for them than load the same model twice."""
        place, runs = (batch.host, batch.index), _workloads(batch, prospect)
        if self._is_full(batch, runs) or _comes_again(batch, prospect, first):
            return False
        comes_in_s = self._comes_in_s(batch, self._level(batch, prospect)) + self._lanes.staging_s(batch.host)
        gpu_type = next(slot.gpu_type for slot in prospect.slots if (slot.host, slot.index) == place)
        load_s = prospect.costs.of(runs[0].model_name, gpu_type).load_s(runs[0].part_count, is_warm=True)
        waited_s = self._clock() - self._put_off.get(_oldest(batch, prospect), self._clock())
        return waited_s + comes_in_s - self._lanes.seconds_until_free(place) <= max(load_s, HOMECOMING_S)

    def _is_full(self, batch: PlannedBatch, runs: Collection[Workload]) -> bool:
        is_long = batch.end_s - batch.start_s >= self._options.batch_seconds_max
        return is_long or len(runs) >= self._options.batch_runs_max or any(run.is_alone for run in runs)

    def _comes_in_s(self, batch: PlannedBatch, level: int) -> float:
        """When the next run comes that could share the batch and is no less urgent; never, if none is known of."""
        done_in_s = self._done_in_s()
        return min(
            (
                done_in_s.get(run_id, 0.0)
                for run_id in self._unfinished
                for heir in self._heirs[run_id]
                if heir.priority >= level and heir.may_join(batch)
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


def _is_open(value: Scalar | None) -> bool:
    """Whether a family may fill in a value, such as the frame rate of the video or the negative text of the prompt."""
    return value is None or value == "" or (value == 0 and not isinstance(value, bool))


def _comes_again(batch: PlannedBatch, prospect: Prospect, first: Collection[PlannedBatch]) -> bool:
    """Whether the same model is loaded later anyway, for a batch that can take what comes."""
    return any(one.signature == batch.signature and one not in first for one in prospect.plan.batches if one is not batch)


def _oldest(batch: PlannedBatch, prospect: Prospect) -> str:
    return min((run.queued_at_s, run.run_id) for run in _workloads(batch, prospect))[1]


def _workloads(batch: PlannedBatch, prospect: Prospect) -> list[Workload]:
    return [prospect.workload_of[run_id] for run_id in batch.run_ids]
