"""The dispatcher: as long as runs wait in the shared queue, it gives every GPU slot of every host its next batch."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from loguru import logger

from cosmos_ops import planning
from cosmos_ops.cost_keeping import known_costs, learn
from cosmos_ops.dispatching.assignments import Assignment, Lanes
from cosmos_ops.dispatching.bench import Bench
from cosmos_ops.dispatching.company import Company
from cosmos_ops.dispatching.crew import Crew, Member, Offer, left_out_of
from cosmos_ops.dispatching.leftovers import Leftovers
from cosmos_ops.dispatching.lives import Lives
from cosmos_ops.dispatching.opening import RECENT_JOBS
from cosmos_ops.dispatching.pending import Pending
from cosmos_ops.dispatching.prospect import Prospect
from cosmos_ops.dispatching.slots import SlotView
from cosmos_ops.dispatching.work import Carrier, Work
from cosmos_ops.errors import CosmosError, StoreUnreachableError
from cosmos_ops.following import LEASE_S
from cosmos_ops.log import tell
from cosmos_ops.owners import is_gone
from cosmos_ops.planning import PlanOptions
from cosmos_ops.timekeeping import utc_now
from cosmos_ops.workplace import Records

LEASE = "dispatch"
"""Held by the one dispatch of a store."""
TICK_S = 0.5
QUEUE_EVERY_S, QUEUE_SHARE = 1.0, 0.2
"""How often the queue is looked at; of our time at most such a share goes into that, when it is very long."""
PLAN_EVERY_S = 5.0
LEARN_EVERY_S = 60.0
LEFTOVERS_EVERY_S = 10.0
FIRST_LOOK_LIMIT_S = 60.0
"""How long hosts that have not answered yet are waited for before their runs are said to have no host."""
GATHER_S = 10.0
"""How long the first batches wait for hosts that have not answered yet: planned without these, they would be too long."""
STOP_LIMIT_S = 20.0
"""A supervisor kills its flow 30 s after it asked it to end."""


class Report:
    """Is told how a dispatch goes; this one shows nothing."""

    def planned(self, planned: Prospect) -> None:
        """What is planned now."""

    def ended(self, assignment: Assignment) -> None:
        """A batch is over."""


@dataclass(frozen=True)
class Dispatched:
    """What a dispatch did."""

    job_ids: tuple[str, ...] = ()
    waiting: Mapping[str, str] = field(default_factory=dict)
    """Runs that no host can take now, and why."""
    another: str = ""
    """The process of another dispatch that is at work: this one began nothing, or nothing more."""


@dataclass
class Dispatcher:
    """Drains the shared queue."""

    place: Records
    owner: str
    offers: Callable[[], Sequence[Offer]]
    carrier: Callable[[Work], Carrier]
    """Who carries out a job."""
    is_stopping: Callable[[], bool]
    report: Report = field(default_factory=Report)
    options: PlanOptions = field(default_factory=PlanOptions)
    flow_run_id: str = ""
    give_up_s: float = 600.0
    """How long a host that does not answer is waited for before its runs go to another one."""

    def __post_init__(self) -> None:
        self._changed = threading.Condition()
        self._crew = Crew(self.offers, self._wake)
        self._pending = Pending(self.place.store)
        self._lanes = Lanes()
        self._bench = Bench()
        self._company = Company(self.place.store, self._lanes, self.options)
        self._lives = Lives(
            self.place, self.owner, self.carrier, self.is_stopping, self._bench, self._wake, flow_run_id=self.flow_run_id
        )
        self._leftovers = Leftovers(self.place, self.owner, self._lanes, self.give_up_s)
        self._answering: frozenset[str] = frozenset()
        self._due: dict[str, float] = {}
        self._job_ids: list[str] = []
        self._waiting: Mapping[str, str] = {}
        self._benched = self._bench.state
        """Who was left out when it was planned last."""
        self._planned_for: object = None
        self._queue_version = 0
        self._another = ""
        self._is_store_away = False

    def run(self) -> Dispatched:
        """Hand out batches until nothing is left that could be, or until somebody stops us."""
        if other := self._other():
            return Dispatched(another=other)
        self._crew.start()
        self._started_at = time.monotonic()
        while not self.is_stopping() and not self._is_over():
            with self._changed:
                self._changed.wait(TICK_S)
        self.let_lanes_end()
        learn(self.place.store)
        return Dispatched(tuple(self._job_ids), {**self._waiting, **self._pending.unreadable}, self._another)

    def let_lanes_end(self) -> None:
        """Wait until what is at work has ended; who is stopping does not wait for long."""
        until = time.monotonic() + STOP_LIMIT_S
        while self._lanes.active and (time.monotonic() < until or not self.is_stopping()):
            self._collect()
            with self._changed:
                self._changed.wait(TICK_S)

    def close(self) -> None:
        """Let others dispatch, and close the connections; what is at work is left to be adopted."""
        with suppress(CosmosError):
            self.place.store.let_go(LEASE, owner=self.owner, known=self._pending.known())
        self._crew.close()

    def _is_over(self) -> bool:
        """Do one round; whether it was the last one. While the run store is away nothing can be begun, and all waits."""
        try:
            if self._has_lost_lease():
                return True
            self._step()
            is_over = self._is_done() and self.place.store.let_go(LEASE, owner=self.owner, known=self._pending.known())
        except StoreUnreachableError as error:
            if not self._is_store_away:
                logger.warning("Nothing is begun until it answers: {}", error)
            self._is_store_away = True
            return False
        self._is_store_away = False
        return is_over

    def _other(self) -> str:
        """The other dispatch that is at work; none once the lease is ours."""
        store = self.place.store
        holder = store.holder(LEASE)
        gone = holder if holder is not None and is_gone(holder) else None
        return "" if store.hold(LEASE, owner=self.owner, lease_s=LEASE_S, from_owner=gone) else str(holder)

    def _has_lost_lease(self) -> bool:
        """Whether another dispatch has taken over, because we could not renew our lease in time."""
        store = self.place.store
        if time.monotonic() < self._due.get("lease", 0.0):
            return False
        is_held = store.hold(LEASE, owner=self.owner, lease_s=LEASE_S)
        # Not before: while the store is away we may lose it at any time.
        self._due["lease"] = time.monotonic() + LEASE_S / 4
        if not is_held:
            self._another = str(store.holder(LEASE))
            logger.warning("Another dispatch ({}) has taken over; what is at work here is followed to its end", self._another)
        return bool(self._another)

    def _step(self) -> None:
        """One round: what came in, what is over, what was left behind, and who wants something to do."""
        if self._is_due("queue", QUEUE_EVERY_S):
            self._look_at_queue()
        self._collect()
        members = self._crew.members()
        answering = frozenset(name for name, member in members.items() if not member.problem)
        if answering - self._answering:
            self._due["leftovers"] = 0.0
        self._answering = answering
        if self._is_due("leftovers", LEFTOVERS_EVERY_S):
            for assignment in self._leftovers.adopted(members):
                self._begin(assignment, members)
            self._leftovers.give_up(members)
            self._leftovers.tidy(members)
        self._hand_out(members)

    def _look_at_queue(self) -> None:
        began = time.monotonic()
        self._company.look()
        self._queue_version += self._pending.refresh()
        self._crew.want(self._pending.models())
        took_s = time.monotonic() - began
        self._due["queue"] = time.monotonic() + max(QUEUE_EVERY_S, took_s / QUEUE_SHARE)

    def _collect(self) -> None:
        for assignment in self._lanes.collect():
            # What was not claimed, or went back, waits again, maybe as another one.
            self._pending.forget(assignment.run_ids)
            self._due["queue"] = 0.0
            if assignment.job is None:
                continue
            self._job_ids.append(assignment.job.id)
            if self._is_due("costs", LEARN_EVERY_S):
                learn(self.place.store)
            self._show(lambda one=assignment: self.report.ended(one))  # type: ignore[misc]

    def _hand_out(self, members: Mapping[str, Member]) -> None:
        """Plan anew if that can change anything, and give each lane that wants one its first batch."""
        places = [(name, index) for name, member in members.items() if member.is_usable for index in range(len(member.slots))]
        # A host without slots starts what it is given at once.
        wanting = [place for place in places if self._lanes.is_free(place, makes_ready=members[place[0]].host.slot_count > 0)]
        if (self._lanes.active and not wanting) or self._is_gathering(members):
            return
        state: object = (
            self._queue_version,
            self._lanes.state(),
            self._company.state,
            wanting,
            {name: member.is_usable for name, member in members.items()},
            self._bench.state,
        )
        if state == self._planned_for and not self._is_due("plan", PLAN_EVERY_S):
            return
        began, self._benched = time.monotonic(), self._bench.state
        for place, batch in self._company.begin_on(wanting, self._plan(members)).items():
            self._begin(Assignment(place, batch.run_ids, batch), members)
        idle = [place for place in wanting if not self._lanes.on(place) and place not in self._company.waiting]
        self._leftovers.recall(idle, members)
        every_s = QUEUE_EVERY_S if self._company.waiting else PLAN_EVERY_S
        took_s = time.monotonic() - began
        self._planned_for, self._due["plan"] = state, time.monotonic() + max(every_s, took_s / QUEUE_SHARE)

    def _plan(self, members: Mapping[str, Member]) -> Prospect:
        store = self.place.store
        costs = known_costs(store)
        slots = SlotView(store, self._lanes, self._bench, store.recent_jobs(limit=RECENT_JOBS)).slots(members)
        ready = self._pending.ready(self._lanes.taken)
        now_s = utc_now().timestamp()
        plan = planning.plan(ready, slots, costs, now_s=now_s, options=self.options)
        left_out = [*self._bench.reasons, *left_out_of(members)]
        self._waiting = {run_id: "; ".join([*left_out, why]) for run_id, why in plan.waiting.items()}
        prospect = Prospect(plan, ready, slots, costs, self._pending.settings, now_s)
        self._show(lambda: self.report.planned(prospect))
        return prospect

    @staticmethod
    def _show(step: Callable[[], None]) -> None:
        """What is only shown must not harm the work."""
        try:
            step()
        except Exception as error:  # noqa: BLE001
            tell(error, "What a dispatch does cannot be shown: {}", error)

    def _begin(self, assignment: Assignment, members: Mapping[str, Member]) -> None:
        self._lanes.add(assignment)
        self._lives.begin(assignment, members[assignment.place[0]])

    def _is_gathering(self, members: Mapping[str, Member]) -> bool:
        """Whether some host may still answer the first look."""
        is_early = time.monotonic() - self._started_at < GATHER_S
        return is_early and not all(member.was_seen for member in members.values())

    def _is_done(self) -> bool:
        """Whether no lane has anything to do and no run that waits can be placed, now that all hosts were looked at."""
        is_bench_old = self._bench.state != self._benched
        if self._lanes.active or (self._waiting and (self._bench.is_worth_waiting or is_bench_old)):
            return False
        waits = self._pending.known() - self._waiting.keys() - self._pending.unreadable.keys()
        unseen = [member for member in self._crew.members().values() if not member.was_seen]
        is_early = time.monotonic() - self._started_at < FIRST_LOOK_LIMIT_S
        if waits or (self._waiting and unseen and is_early):
            return False
        return not self._leftovers.is_any(self._crew.members())

    def _is_due(self, what: str, every_s: float) -> bool:
        if time.monotonic() < self._due.get(what, 0.0):
            return False
        self._due[what] = time.monotonic() + every_s
        return True

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
