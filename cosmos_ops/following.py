"""Following a job: its lease, the phases of its runs, lost contact, and whether it is to end."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from threading import Event, Thread
from typing import TypeVar

from loguru import logger

from cosmos_ops import execution
from cosmos_ops.errors import (
    HostError,
    HostGivenUpError,
    JobTakenOverError,
    RunCancelledError,
    StoreError,
    StoreUnreachableError,
)
from cosmos_ops.execution import Computation
from cosmos_ops.gpu_watch import watching
from cosmos_ops.job import Event as JobEvent
from cosmos_ops.job import Job, LogLine, NotCompleted, NotRun, Outcome, SampleEnded, SamplePhase, SampleStarted
from cosmos_ops.operations import find_operation
from cosmos_ops.remote.host import JOB_LABEL, ignore_bytes
from cosmos_ops.remote.slots import GPUS_LABEL
from cosmos_ops.runs import Phase
from cosmos_ops.timekeeping import Timekeeper
from cosmos_ops.workplace import Workplace

LEASE_S = 60.0
RENEW_S = 15.0
ASK_S = 1.0
"""How often the store is asked whether a run is to end."""
T = TypeVar("T")
STORE_LABEL = "cosmos.store"
"""On every container: the store that knows its job."""


class Show:
    """Shows what happens to a job to whoever wants to see it; this one shows nothing."""

    def line(self, line: LogLine) -> None:
        """A line of the process."""

    def event(self, event: JobEvent) -> None:
        """What a line tells."""

    def news(self, text: str) -> None:
        """A sentence on what the job waits for."""


class Porter:
    """Is told of each sample that has ended while its container goes on; this one does nothing with it."""

    def take(self, run_id: str) -> None:
        """A sample has ended."""

    def finish(self) -> None:
        """The container has ended; wait for what is at work."""


@dataclass
class Follower:
    """Watches a job: keeps its lease and its times, moves the phases of its runs, hears of lost contact and cancellation."""

    place: Workplace
    job: Job
    is_stopping: Callable[[], bool]
    """Whether all of the job is to end."""
    show: Show = field(default_factory=Show)
    porter: Porter = field(default_factory=Porter)
    flow_run_id: str = ""
    may_have_started: bool = False
    """Whether there may be a container already."""
    times: Timekeeper = field(init=False)
    _lines: deque[str] = field(default_factory=lambda: deque(maxlen=execution.LAST_LINES))
    _phases: dict[str, Phase] = field(default_factory=dict)
    _renewed_at: float = 0.0
    _asked_at: float = 0.0
    _to_stop: frozenset[str] = frozenset()
    _news: str = ""
    _lost_at: float | None = None
    _is_given_up: bool = False
    _is_recalled: bool = False
    _has_started: bool = False
    _is_taken_over: bool = False

    def __post_init__(self) -> None:
        self.times = Timekeeper(self.place.store, self.job.id)

    def stage_in(self, on_sent: Callable[[int], None] = ignore_bytes) -> int:
        """Bring inputs and specs to the host."""
        self.renew()
        self.set_phase(Phase.STAGING_IN)
        self.times.staging_in()
        sent: Callable[[], int] = lambda: execution.stage_in(self.job, self.place.host, self, on_sent=on_sent)  # noqa: E731
        # A host that was there once is waited for; one that never answered is an error, so that another can be tried.
        count = execution.patiently(self, sent) if self.may_have_started else sent()
        self.times.staged_in()
        return count

    def compute(self) -> Computation:
        """Get a slot, compute to the end."""
        self.renew()
        self.may_have_started = True
        operation = find_operation(self.job.operation, self.job.family)
        log = self.place.results.job_log(self.job.id)
        with self._watching_gpus():
            computation = execution.compute(self.job, operation, self.place.host, self, labels=self._labels(), log=log)
        assert computation.exit is not None
        if computation.is_started:
            self.times.ended()
        if self.is_stopping() or self.place.store.to_stop(self.job.id):
            # Whoever stopped it, it was because of that.
            computation.exit = replace(computation.exit, is_cancelled=True)
        return computation

    def _watching_gpus(self) -> AbstractContextManager[None]:
        if not self.job.container.gpu_count:
            return nullcontext()
        file = self.place.results.gpu_log(self.job.id)
        return watching(lambda: self.place.host.gpu_figures(self.job.container_name), file)

    def judge(self, computation: Computation) -> dict[str, Outcome]:
        """The outcome of each run; where only some are to end, their unfinished neighbours have not run."""
        self.porter.finish()
        operation = find_operation(self.job.operation, self.job.family)
        judged: Callable[[], dict[str, Outcome]] = lambda: execution.judge(  # noqa: E731
            self.job, operation, self.place.host, computation
        )
        outcomes = execution.patiently(self, judged)
        if self.is_stopping():
            return outcomes
        to_stop = self.place.store.to_stop(self.job.id)
        for run_id, outcome in outcomes.items():
            if run_id not in to_stop and is_cancelled(outcome):
                outcomes[run_id] = NotRun()
            elif run_id in to_stop and isinstance(outcome, NotRun):
                outcomes[run_id] = NotCompleted(RunCancelledError("cancelled before it was started"))
        return outcomes

    def started(self, *, is_new: bool) -> None:
        """The job waits no more; its model is being loaded."""
        self._has_started = True
        self.times.started(is_new=is_new)
        self.place.store.got_slot(self.job.id)
        self.set_phase(Phase.LOADING)
        with suppress(HostError):
            for state in self.place.host.find({JOB_LABEL: self.job.id}):
                self.times.on(state.labels.get(GPUS_LABEL, ""))

    def line(self, line: LogLine) -> None:
        """Keep and show a line."""
        if not line.is_redraw:
            self._lines.append(line.text)
        self.show.line(line)

    @property
    def last_lines(self) -> list[str]:
        """What the process said lately."""
        return list(self._lines)

    def event(self, event: JobEvent) -> None:
        """Move the phase of a run, note the time, and show the event."""
        if isinstance(event, SampleStarted):
            self.times.sample_started(event.run_id)
            self.set_phase(Phase.SAMPLING, [event.run_id])
        elif isinstance(event, SampleEnded):
            self.times.sample_ended(event.run_id)
            self.porter.take(event.run_id)
        elif isinstance(event, SamplePhase):
            self.set_phase(event.phase, [event.run_id])
        self.show.event(event)

    def is_cancelled(self) -> bool:
        """Whether to stop, and a moment to keep the lease.

        Raises:
            HostGivenUpError: Its host stays away or has no slot, and somebody decided to wait no longer.
            JobTakenOverError: Another process carries it out.
        """
        if self._is_recalled and not self._has_started:
            raise HostGivenUpError(f"host {self.place.host.name} has no free slot, and another has; the runs go there")
        if self._is_given_up:
            away = f"host {self.place.host.name} has not answered for {self.lost_for_s:.0f} s"
            raise HostGivenUpError(f"{away}; its runs go to another host")
        self.renew()
        if self._is_taken_over:
            raise self._taken_over()
        if time.monotonic() - self._asked_at > ASK_S:
            self._asked_at = time.monotonic()
            with suppress(StoreError):
                self._to_stop = self.place.store.to_stop(self.job.id)
        return bool(self._to_stop) or self.is_stopping()

    def is_its_turn(self) -> bool:
        """Whether fewer jobs wait for longer than the host has slots."""
        slots = self.place.host.slot_count
        return slots == 0 or self.place.store.wait_for_slot(self.job.id) < slots

    def waiting(self, reason: str) -> None:
        """Say what the job waits for."""
        self.set_phase(Phase.WAITING)
        self._tell(f"Waiting for a GPU slot: {reason}")

    @property
    def lost_for_s(self) -> float:
        """For how long the host has not answered; 0 while it does."""
        return 0.0 if self._lost_at is None else time.monotonic() - self._lost_at

    def give_up(self) -> None:
        """Wait no longer for a host that is away."""
        self._is_given_up = self._lost_at is not None

    def recall(self) -> None:
        """Do not wait for a slot any more; a container that runs goes on."""
        self._is_recalled = True

    def contact(self, is_there: bool) -> None:
        """Remember that the host was lost, and go back to the phase of before once it is there again."""
        self._lost_at = None if is_there else time.monotonic()
        if not is_there:
            self.times.lost()
        with suppress(StoreError):
            if is_there:
                self._tell(f"Host {self.place.host.name} answers again")
                for run_id, phase in self._phases.items():
                    self.place.store.set_phase([run_id], phase, job_id=self.job.id)
            else:
                self._tell(f"Lost contact to host {self.place.host.name}; the job goes on there, and is followed when it answers")
                self.place.store.set_phase(self._run_ids, Phase.LOST_CONTACT, job_id=self.job.id)
                self.place.store.note_fault(self.place.host.name, "lost contact")

    def set_phase(self, phase: Phase, run_ids: Sequence[str] = ()) -> None:
        """Move runs of the job to a phase, all of them if none is named; while the store is away nobody sees it."""
        moved = [run_id for run_id in run_ids or self._run_ids if self._phases.get(run_id) is not phase]
        if moved:
            with suppress(StoreError):
                self.place.store.set_phase(moved, phase, job_id=self.job.id)
                self._phases |= dict.fromkeys(moved, phase)

    def renew(self) -> None:
        """Keep the lease; a store in trouble must not stop a healthy container."""
        if time.monotonic() - self._renewed_at > RENEW_S:
            self._renewed_at = time.monotonic()
            with suppress(StoreError):
                self._is_taken_over = not self._is_renewed()

    def hold(self) -> None:
        """Keep the lease before something is done that only one process may do.

        Raises:
            JobTakenOverError: Another process carries the job out, or it has ended.
            StoreUnreachableError: Nobody knows.
        """
        if not self._is_renewed():
            self._is_taken_over = True
            raise self._taken_over()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep the lease in the background, however long a step takes inside."""
        is_over = Event()

        def keep() -> None:
            while not is_over.wait(RENEW_S):
                self.renew()

        thread = Thread(target=keep, name=f"lease {self.job.id}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()

    def await_store(self) -> None:
        """Wait until the run store answers again; what computes goes on meanwhile.

        Raises:
            JobTakenOverError: Another process carries the job out meanwhile.
            StoreUnreachableError: The job is to end, and the store is still away.
        """
        self._tell("The run store does not answer; the job goes on, and is followed when it does")
        time.sleep(ASK_S)
        when_it_answers(self.hold, self.is_stopping, say=lambda _: None)
        self._tell("The run store answers again")

    def _is_renewed(self) -> bool:
        return self.place.store.renew_lease(self.job.id, owner=self.place.owner, lease_s=LEASE_S)

    def _taken_over(self) -> JobTakenOverError:
        return JobTakenOverError(f"job {self.job.id} is carried out by another process now, or has ended; it is left to that")

    def _tell(self, text: str) -> None:
        if text != self._news:
            self._news = text
            self.show.news(text)

    @property
    def _run_ids(self) -> list[str]:
        return [item.run_id for item in self.job.items]

    def _labels(self) -> dict[str, str]:
        return {
            "cosmos.runs": ",".join(self._run_ids),
            "cosmos.family": self.job.family,
            "cosmos.flow-run": self.flow_run_id,
            "cosmos.owner": self.place.owner,
            STORE_LABEL: self.place.store.id,
        }


def is_cancelled(outcome: Outcome) -> bool:
    """Whether a run did not complete because somebody cancelled it."""
    return isinstance(outcome, NotCompleted) and isinstance(outcome.error, RunCancelledError)


def when_it_answers(step: Callable[[], T], is_stopping: Callable[[], bool], *, say: Callable[[str], None] = logger.warning) -> T:
    """Do something with the run store as soon as it answers.

    Args:
        step: What to do; it is done again from its beginning.
        is_stopping: Whether not to wait.
        say: Told once, if it is waited for.

    Raises:
        StoreUnreachableError: It is to end, and the store is still away.
    """
    is_said = False
    while True:
        try:
            return step()
        except StoreUnreachableError as error:
            if is_stopping():
                raise
            if not is_said:
                is_said = True
                say(f"It is waited for: {error}")
        time.sleep(ASK_S)
