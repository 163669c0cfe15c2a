"""How a job ends: its outputs and its log come home, what became of each run is recorded, and the host is cleaned up."""

import time
from collections import deque
from collections.abc import Mapping
from contextvars import copy_context
from dataclasses import replace
from queue import Queue
from threading import Thread

from loguru import logger

from cosmos_ops import execution
from cosmos_ops.errors import (
    CosmosError,
    HostUnreachableError,
    JobTakenOverError,
    RunCancelledError,
    SampleBlockedError,
    StoreUnreachableError,
    as_ours,
)
from cosmos_ops.execution import Computation
from cosmos_ops.following import Follower, Porter
from cosmos_ops.intake import storable
from cosmos_ops.job import Completed, ContainerExit, Job, JobItem, NotCompleted, NotRun, Outcome, SampleEnded
from cosmos_ops.log import LineLog, tell
from cosmos_ops.operations import find_operation
from cosmos_ops.queueing import queue_what_follows
from cosmos_ops.remote.host import JOB_LABEL
from cosmos_ops.runs import Prompt, RunFailure, RunOutputs, RunStatus
from cosmos_ops.settling import settled
from cosmos_ops.staging_out import bring_home, bring_one_home, brought_before, is_ours, log_alone
from cosmos_ops.store import Broke
from cosmos_ops.workplace import Workplace

CLEAN_UP_LIMIT_S = 60.0


def complete(follower: Follower) -> None:
    """Follow a job whose container is there to its end, bring home what it left, and record it."""
    follower.porter = EarlyPorter(follower)
    with follower.kept():
        computation = follower.compute()
        outcomes = _settled(follower, follower.judge(computation))
        record(follower, outcomes, bring_home(follower, outcomes))


def _settled(follower: Follower, outcomes: dict[str, Outcome]) -> dict[str, Outcome]:
    """Runs of the shared queue go back there if a retry may help; those of a flow have nobody who would try again."""
    store, job = follower.place.store, follower.job
    is_queued = all(store.run(item.run_id).queueing is not None for item in job.items)
    return settled(store, job, outcomes) if is_queued else outcomes


def fail(follower: Follower, error: CosmosError) -> None:
    """End a job that cannot be carried out: its container is stopped, its log brought home, what is not complete gets the error.

    What was blocked stays so, and what somebody asked to end is cancelled.

    Raises:
        HostUnreachableError: The host does not answer, and a container may be there; nothing is changed.
    """
    job, host = follower.job, follower.place.host
    run_ids = [item.run_id for item in job.items]
    to_stop = follower.place.store.to_stop(job.id)
    if not _has_container(follower):
        cancelled = RunCancelledError("cancelled before it was started")
        end(follower, {run_id: cancelled if run_id in to_stop else error for run_id in run_ids})
        return
    host.stop(job.container_name, grace_s=execution.GRACE_S)
    judged = follower.judge(follower.compute())
    outcomes = {
        run_id: one if _stands(one, is_to_stop=run_id in to_stop) else NotCompleted(error) for run_id, one in judged.items()
    }
    record(follower, outcomes, bring_home(follower, outcomes))


def _stands(outcome: Outcome, *, is_to_stop: bool) -> bool:
    if isinstance(outcome, NotCompleted):
        # Whoever ends a job in haste has all of it stopped, which cancels nothing.
        return isinstance(outcome.error, SampleBlockedError) or (is_to_stop and isinstance(outcome.error, RunCancelledError))
    return isinstance(outcome, Completed)


def end(follower: Follower, errors: Mapping[str, CosmosError]) -> None:
    """End a job without a container: each run with its error; the log says so where it says nothing else."""
    log = follower.place.results.job_log(follower.job.id)
    if not log.exists() or not log.stat().st_size:
        with LineLog(log) as file:
            for why in dict.fromkeys(map(str, errors.values())):
                file.add(f"This job never started: {why}")
    outcomes: dict[str, Outcome] = {run_id: NotCompleted(error) for run_id, error in errors.items()}
    record(follower, outcomes, bring_home(follower, outcomes))


def _has_container(follower: Follower) -> bool:
    try:
        return bool(follower.place.host.find({JOB_LABEL: follower.job.id}))
    except HostUnreachableError:
        if follower.may_have_started:
            raise
        return False


def record(follower: Follower, outcomes: Mapping[str, Outcome], home: Mapping[str, RunOutputs | CosmosError]) -> None:
    """Write what became of each run of a job, put those that never started back into the queue, and end the job."""
    place, job = follower.place, follower.job
    follower.hold()
    has_all_logs = True
    follower.times.home({run_id for run_id, outcome in outcomes.items() if isinstance(outcome, Completed)})
    for item in job.items:
        outcome = outcomes[item.run_id]
        if isinstance(outcome, NotRun):
            broke = Broke.NOT if not outcome.broke_process else Broke.ALONE if len(job.items) == 1 else Broke.WITH_OTHERS
            place.store.requeue([item.run_id], job_id=job.id, broke=broke)
            has_all_logs = has_all_logs and place.results.kept_log(item.run_id, job.id).exists()
            continue
        if item.run_id not in home:
            continue
        brought = home[item.run_id]
        if isinstance(brought, CosmosError):
            outcome, brought = NotCompleted(brought), log_alone(follower, item)
        _record_one(follower, item.run_id, outcome, brought)
        has_all_logs = has_all_logs and brought.log is not None
    place.store.end_job(job.id)
    # Where something could not be brought home, the host's copy is the only one; and the job's of a log that found no place.
    keeps_files = any(isinstance(brought, CosmosError) for brought in home.values())
    _clean_up(follower, keeps_files=keeps_files, keeps_log=not has_all_logs)


def _record_one(follower: Follower, run_id: str, outcome: Completed | NotCompleted, brought: RunOutputs) -> None:
    """Write what became of one run. What nobody foresaw fails this one, and leaves its neighbours alone."""
    place, job = follower.place, follower.job
    if isinstance(outcome, Completed):
        try:
            _complete_run(place, job, run_id, brought)
            return
        except (JobTakenOverError, StoreUnreachableError):
            raise
        except Exception as error:  # noqa: BLE001
            tell(error, "Run {} cannot be completed: {}", run_id, error)
            outcome = NotCompleted(as_ours(error))
    failure = RunFailure.of(outcome.error)
    place.store.finish(run_id, status_of(outcome.error), outputs=brought, failure=failure, job_id=job.id)


def _complete_run(place: Workplace, job: Job, run_id: str, brought: RunOutputs) -> None:
    brought = _with_enhanced_prompt(place, run_id, brought)
    # Before the run counts as completed: whoever dies in between leaves nothing out.
    queue_what_follows(place, place.store.run(run_id), brought)
    place.store.finish(run_id, RunStatus.COMPLETED, outputs=brought, job_id=job.id)


class EarlyPorter(Porter):
    """Brings home and records each run of a batch as soon as its sample has ended; what does not work out is done at the end."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._items = {item.run_id: item for item in follower.job.items}
        self._ended: Queue[str | None] = Queue()
        self._thread: Thread | None = None

    def take(self, run_id: str) -> None:
        """A sample has ended; of a single one the end is near anyway."""
        if len(self._items) < 2 or run_id not in self._items:
            return
        if self._thread is None:
            name = f"porter {self._follower.job.id}"
            self._thread = Thread(target=copy_context().run, args=(self._work,), name=name, daemon=True)
            self._thread.start()
        self._ended.put(run_id)

    def finish(self) -> None:
        """Wait for what is at work."""
        if self._thread is not None:
            self._ended.put(None)
            self._thread.join()
            self._thread = None

    def _work(self) -> None:
        while (run_id := self._ended.get()) is not None:
            try:
                self._bring(self._items[run_id])
            except Exception as error:  # noqa: BLE001
                tell(error, "Run {} comes home with the rest of its batch: {}", run_id, error, level="INFO")

    def _bring(self, item: JobItem) -> None:
        follower = self._follower
        if not is_ours(follower, item) or brought_before(follower, item) is not None:
            return
        place, job = follower.place, replace(follower.job, items=(item,))
        operation = find_operation(job.operation, job.family)
        lines = deque(follower.last_lines)
        ended = Computation(events=[SampleEnded(item.run_id)], last_lines=lines, exit=ContainerExit(0))
        outcome = execution.judge(job, operation, place.host, ended)[item.run_id]
        if isinstance(outcome, Completed):
            _complete_run(place, job, item.run_id, bring_one_home(place, follower.job, item, outcome))


def _clean_up(follower: Follower, *, keeps_files: bool, keeps_log: bool) -> None:
    """Remove what a job left, there and here. It has ended: nothing that goes wrong now may harm anything else."""
    results, job_id = follower.place.results, follower.job.id
    try:
        _clean_up_host(follower, keeps_files=keeps_files)
        if keeps_log:
            logger.warning("What job {} printed stays in {}", job_id, results.job_log(job_id))
        else:
            results.job_log(job_id).unlink(missing_ok=True)
        results.gpu_log(job_id).unlink(missing_ok=True)
    except Exception as error:  # noqa: BLE001
        tell(error, "Job {} is over, but something of it stays: {}", job_id, error)


def _clean_up_host(follower: Follower, *, keeps_files: bool) -> None:
    """A host that is away is waited for a while, after that `reconcile` does it."""
    until = time.monotonic() + CLEAN_UP_LIMIT_S
    while True:
        try:
            execution.clean_up(follower.job, follower.place.host, keeps_files=keeps_files)
            return
        except HostUnreachableError:
            if follower.is_stopping() or not follower.may_have_started or time.monotonic() > until:
                return
            time.sleep(1.0)


def status_of(error: CosmosError) -> RunStatus:
    """The status of a run that ended with an error."""
    if isinstance(error, RunCancelledError):
        return RunStatus.CANCELLED
    return RunStatus.BLOCKED if isinstance(error, SampleBlockedError) else RunStatus.FAILED


def _with_enhanced_prompt(place: Workplace, run_id: str, outputs: RunOutputs) -> RunOutputs:
    """Record the enhanced prompt as a child of its prompt; its id follows from the run's, so that twice makes one."""
    if outputs.prompt is None:
        return outputs
    parent = place.store.prompt(place.store.run(run_id).prompt_id)
    text = storable(place.results.absolute(outputs.prompt).read_text(encoding="utf-8", errors="replace")).strip()
    child = Prompt(
        id=f"ps_{run_id.partition('_')[2]}",
        text=text,
        negative_text=parent.negative_text,
        name=parent.name,
        inputs=parent.inputs,
        parent_id=parent.id,
    )
    return outputs.model_copy(update={"prompt_id": place.store.add_prompt(child).id})
