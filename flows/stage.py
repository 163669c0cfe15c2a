"""One stage, whatever its operation: record the runs, regroup them, carry out the batches, tell how it went."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

from prefect import get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Cancelled

from cosmos_ops.cost_keeping import gpu_type_on, learn
from cosmos_ops.dispatching.opening import expected, open_batch
from cosmos_ops.dispatching.work import Work, carry_out
from cosmos_ops.errors import (
    CosmosError,
    HostError,
    HostUnreachableError,
    InputError,
    JobTakenOverError,
    PrefectAwayError,
    RunCancelledError,
    RunsFailedError,
    StoreError,
    StoreUnreachableError,
    as_ours,
)
from cosmos_ops.following import Follower, when_it_answers
from cosmos_ops.homecoming import EarlyPorter, fail
from cosmos_ops.intake import check_request, completed
from cosmos_ops.job import Job, NotCompleted, NotRun, Outcome
from cosmos_ops.operations import family_for, find_operation
from cosmos_ops.params import Params
from cosmos_ops.planning.batches import Batch
from cosmos_ops.runs import Prompt, Run, RunFailure, RunStatus
from cosmos_ops.settings import Settings
from cosmos_ops.store import JobRecord, RunFilter, Store
from cosmos_ops.upkeep import is_abandoned, take_over
from cosmos_ops.workplace import Records, Workplace
from flows import artifacts, tasks
from flows.cancellation import Cancellation, is_over, root_flow_run, this_flow_run
from flows.hosts import connected
from flows.lanes import in_lanes
from flows.observer import current_observer
from flows.workplace import workplace

STANDING = (RunStatus.COMPLETED, RunStatus.BLOCKED)
ATTEMPTS_MAX = 2
"""How often a run is carried out whose failure says that a retry can help."""
NAMES_IN_TITLE = 2
T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """What is asked for one run, before it is recorded."""

    key: str
    prompt: Prompt
    params: Params
    parent_id: str | None = None
    problem: InputError | None = None
    """Found while the request was read; the run is recorded as failed with it."""


@dataclass
class Stage:
    """A stage of one flow run."""

    operation: str
    family: str
    place: Workplace
    cancellation: Cancellation
    _failed_jobs: dict[str, set[str]] = field(default_factory=dict)

    def carry_out(self, requests: Sequence[Request]) -> list[Run]:
        """Record all requests as runs and bring every one to its final status; what fails leaves its neighbours alone."""
        recorded = [self._record(request) for request in requests]
        left_open = [[found] for found in self._jobs_left_open(recorded)]
        in_lanes(left_open, partial(self._take_up, recorded), self.cancellation)
        while queued := self._still_queued(recorded):
            if self.cancellation.is_cancelled():
                break
            title = self._patiently(lambda: title_of(self.place, queued))
            lanes = tasks.regroup(self.place, queued, title, self._patiently)
            in_lanes(lanes, self._carry_out_batch, self.cancellation)
        for run in self._still_queued(recorded):
            self.place.store.finish(run.id, RunStatus.CANCELLED)
        return self._patiently(lambda: [self.place.store.run(run.id) for run in recorded])

    def _patiently(self, step: Callable[[], T]) -> T:
        """Do something with the run store, which is waited for while it does not answer; it may be done twice."""
        return when_it_answers(step, self.cancellation.is_cancelled, say=get_run_logger().warning)

    def _record(self, request: Request) -> Run:
        """The run of a request; one that was made before is taken up again, unless it failed then.

        A guardrail that refused a text refuses it again: such a run stands.
        """
        # Step by step: done again from its beginning, it would take the run that it has made for one of before.
        store, patiently = self.place.store, self._patiently
        earlier = patiently(lambda: attempts(store, request.key))
        if earlier and (not earlier[-1].status.is_final or earlier[-1].status in STANDING):
            return patiently(lambda: store.take_up(earlier[-1].id, flow_run_id=this_flow_run(), owner=self.place.owner))
        prompt = patiently(lambda: store.add_prompt(request.prompt))
        wanted = patiently(lambda: self._new_run(request, prompt, _numbered(request.key, len(earlier) + 1)))
        run = patiently(lambda: store.add_run(wanted))
        problem = request.problem or patiently(lambda: self._problem(run, request.prompt))
        if problem is not None:
            patiently(lambda: store.finish(run.id, RunStatus.FAILED, failure=RunFailure.of(problem)))
            run = patiently(lambda: store.run(run.id))
            current_observer().ended(run)
            get_run_logger().error("Run %s failed: %s", run.id, problem)
        return run

    def _new_run(self, request: Request, prompt: Prompt, key: str) -> Run:
        run = Run(
            prompt_id=prompt.id,
            operation=self.operation,
            family=self.family,
            params=request.params,
            request_key=key,
            parent_id=request.parent_id,
            flow_run_id=this_flow_run(),
            owner=self.place.owner,
        )
        operation = find_operation(self.operation, self.family)
        return replace(run, params=completed(operation, run.params, prompt, self.place.videos_of(run)))

    def _problem(self, run: Run, prompt: Prompt) -> InputError | None:
        try:
            check_request(find_operation(self.operation, self.family), run.params, prompt.text, self.place.videos_of(run))
        except InputError as error:
            return error
        return None

    def _jobs_left_open(self, runs: Sequence[Run]) -> Iterator[JobRecord]:
        """Jobs of an earlier process of this flow run; their containers are attached to, never started twice."""
        wanted = {run.job_id for run in runs if run.status is RunStatus.RUNNING}
        for found in self._patiently(self.place.store.open_jobs):
            if found.job.id in wanted and is_abandoned(found) and self._is_taken_over(found):
                yield found

    def _is_taken_over(self, found: JobRecord) -> bool:
        store, owner = self.place.store, self.place.owner
        # Where the answer was lost, it is ours though the second try finds it taken.
        return self._patiently(lambda: take_over(store, found, owner)) or owner == self._patiently(
            lambda: store.job(found.job.id).owner
        )

    def _take_up(self, recorded: Sequence[Run], found: JobRecord) -> None:
        """A job goes on where it was begun, whatever host new ones go to."""
        runs = [run for run in recorded if run.job_id == found.job.id]
        if found.host == self.place.host.name:
            self._carry_out_job(self.place, found.job, runs, may_have_started=True)
            return
        try:
            with connected(found.host) as host:
                self._carry_out_job(replace(self.place, host=host), found.job, runs, may_have_started=True)
        except (HostError, InputError) as error:
            get_run_logger().error("Job %s is left to `reconcile`: %s", found.job.id, error)

    def _still_queued(self, runs: Sequence[Run]) -> list[Run]:
        ids = [run.id for run in runs]
        now = self._patiently(lambda: self.place.store.runs_of_ids(ids))
        return [run for run in now if run.status is RunStatus.QUEUED]

    def _carry_out_batch(self, batch: Batch) -> None:
        if self.cancellation.is_cancelled():
            return
        expect = partial(expected, self.place, batch.signature, self._gpu_type)
        try:
            job = self._patiently(partial(open_batch, self.place, batch.runs, expect=expect))
        except StoreUnreachableError:
            raise
        except Exception as error:  # noqa: BLE001
            self._not_begun(batch, error)
            return
        if job is not None:
            claimed = {item.run_id for item in job.items}
            self._carry_out_job(self.place, job, [run for run in batch.runs if run.id in claimed])
            with suppress(StoreError):
                # The next one learns from it too.
                learn(self.place.store)

    def _not_begun(self, batch: Batch, error: Exception) -> None:
        """A batch that could not become a job: its runs fail with the reason, other batches go on."""
        get_run_logger().error("A batch of %d runs cannot be begun: %s", len(batch.runs), error, exc_info=_unforeseen(error))
        for run in batch.runs:
            self._patiently(partial(self.place.store.finish, run.id, RunStatus.FAILED, failure=RunFailure.of(as_ours(error))))
            current_observer().ended(self._patiently(partial(self.place.store.run, run.id)))

    @cached_property
    def _gpu_type(self) -> str:
        """Of the host, for what its jobs are expected to take."""
        try:
            return gpu_type_on(self.place.host)
        except HostError:
            # Whoever needs the host next says so.
            return ""

    def _carry_out_job(self, place: Workplace, job: Job, runs: Sequence[Run], *, may_have_started: bool = False) -> None:
        follower = Follower(
            place, job, self.cancellation.is_cancelled, flow_run_id=this_flow_run(), may_have_started=may_have_started
        )
        follower.porter = EarlyPorter(follower)
        title = self._patiently(lambda: title_of(place, runs))
        work, carrier = Work(follower, partial(self._tried_again, job.id)), tasks.TaskCarrier(title)
        try:
            carry_out(work, carrier)
        except StoreUnreachableError:
            # What computes goes on; `reconcile` brings it home.
            raise
        except JobTakenOverError as error:
            get_run_logger().warning("%s", error)
        except PrefectAwayError:
            # No other batch gets through either.
            raise
        except Exception as error:  # noqa: BLE001
            self._fail(follower, error)

    def _tried_again(self, job_id: str, outcomes: Mapping[str, Outcome]) -> dict[str, Outcome]:
        """Failures that a retry can help become "not run", so that they go back to the queue, a bounded number of times."""
        settled = dict(outcomes)
        for run_id, outcome in outcomes.items():
            if isinstance(outcome, NotCompleted) and outcome.error.retry_helps:
                failed = self._failed_jobs.setdefault(run_id, set())
                failed.add(job_id)
                if len(failed) < ATTEMPTS_MAX:
                    get_run_logger().warning("Run %s is tried again: %s", run_id, outcome.error)
                    settled[run_id] = NotRun()
        return settled

    def _fail(self, follower: Follower, error: Exception) -> None:
        """The whole job failed, retries included: its runs fail with the reason, other batches go on."""
        logger, place, job = get_run_logger(), follower.place, follower.job
        reason = RunCancelledError("cancelled before it was complete") if self.cancellation.is_cancelled() else as_ours(error)
        if isinstance(reason, RunCancelledError):
            logger.info("Job %s is cancelled", job.id)
        else:
            logger.error("Job %s failed: %s", job.id, error, exc_info=_unforeseen(error))

        if isinstance(error, HostError):
            self._patiently(lambda: place.store.note_fault(place.host.name, str(error)))
        try:
            self._patiently(lambda: fail(follower, reason))
        except StoreUnreachableError:
            raise
        except HostUnreachableError:
            # Nobody knows what its container does; the runs stay as they are until `reconcile` reaches the host.
            logger.warning("Host %s does not answer; job %s is looked after when it does", place.host.name, job.id)
        except JobTakenOverError as taken_over:
            logger.warning("%s", taken_over)
        except Exception as another:
            logger.error("Job %s could not be ended, `reconcile` does it: %s", job.id, another, exc_info=_unforeseen(another))
        for item in job.items:
            current_observer().ended(self._patiently(partial(place.store.run, item.run_id)))


def _unforeseen(error: Exception) -> Exception | None:
    """What a log shows with its traceback."""
    return None if isinstance(error, CosmosError) else error


@contextmanager
def stage(operation: str, family: str, host: str) -> Iterator[Stage]:
    """Open a stage of the flow run that we are in; a cancellation inside ends its runs as cancelled.

    Raises:
        InputError: Neither the family nor the one that settings name for it has the operation.
    """
    family = family_for(operation, family, Settings().fallback_families)
    with workplace(host, family) as place, Cancellation(place, this_flow_run(), root_flow_run()) as cancellation:
        yield Stage(operation, family, place, cancellation)


def conclude(place: Records, title: str, runs: Sequence[Run]) -> list[str] | State[Any]:
    """Show the results and end the flow: completed with the ids of the runs, cancelled, or failed naming the culprits.

    Raises:
        RunsFailedError: Some run did not complete.
    """
    artifacts.show_results(place, title, runs)
    # Of a flow run that is being cancelled the server takes no other end, though all of its runs may have come through.
    if is_cancelled(runs) or is_over():
        counts = Counter(run.status.value for run in runs)
        return Cancelled(message=f"{title}: {', '.join(f'{count} {status}' for status, count in sorted(counts.items()))}")
    culprits = [run for run in runs if run.status is not RunStatus.COMPLETED]
    if culprits:
        names = "; ".join(f"{run.operation} {run.id} {_named(place, run)} {run.status.value}: {_why(run)}" for run in culprits)
        raise RunsFailedError(f"{len(culprits)} of {len(runs)} runs did not complete: {names}")
    return [run.id for run in runs]


def is_cancelled(runs: Sequence[Run]) -> bool:
    """Whether somebody cancelled some of the runs; what is to stop counts, though its host may have to come back for it."""
    return any(run.status is RunStatus.CANCELLED or run.stop_requested_at is not None for run in runs)


def request_key(flow_run_id: str, operation: str, request: str | int, number: int = 0) -> str:
    """The key of a request in a flow run: equal when Prefect runs the flow run again, so that no run is made twice."""
    return f"{flow_run_id}/{operation}/{request}/{number}"


def attempts(store: Store, key: str) -> list[Run]:
    """The runs that a request has made: one, and one more for each time that the flow run was run again after a failure."""
    runs: list[Run] = []
    while (run := store.run_by_key(_numbered(key, len(runs) + 1))) is not None:
        runs.append(run)
    return runs


def runs_of(place: Records, flow_run_id: str) -> list[Run]:
    """The runs that a flow run made, in the order in which it made them; of several attempts the last one."""
    runs: list[Run] = []
    while page := place.store.runs(RunFilter(flow_run_id=flow_run_id), limit=500, before=runs[-1].id if runs else None):
        runs += page
    return list({run.request_key.partition("#")[0]: run for run in reversed(runs)}.values())


def title_of(place: Records, runs: Sequence[Run]) -> str:
    """What task runs and artifacts call these runs: the first names, and how many more there are."""
    names = list(dict.fromkeys(_named(place, run) for run in runs))
    more = len(names) - NAMES_IN_TITLE
    return (
        ", ".join(names[:NAMES_IN_TITLE])
        + (f" and {more} more" if more > 0 else "")
        + (f" ({len(runs)} runs)" if len(runs) > 1 else "")
    )


def _named(place: Records, run: Run) -> str:
    prompt = place.store.prompt(run.prompt_id)
    name = prompt.name or " ".join(prompt.text.split()[:5]) or Path(str(prompt.inputs.get("video", run.id))).name
    return f"'{' '.join(name.split())[:40]}'"


def _why(run: Run) -> str:
    return run.failure.message if run.failure else "no reason was recorded"


def _numbered(key: str, number: int) -> str:
    return key if number == 1 else f"{key}#{number}"
