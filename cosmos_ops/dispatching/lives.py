"""The life of a batch, in a thread of its own: claimed, staged in, computed, brought home; and how it ends when that fails."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import copy_context
from functools import partial

from loguru import logger

from cosmos_ops.dispatching.assignments import Assignment
from cosmos_ops.dispatching.bench import ANY_FAMILY, Bench
from cosmos_ops.dispatching.crew import Member
from cosmos_ops.dispatching.opening import expected, open_batch
from cosmos_ops.dispatching.work import Carrier, Work, carry_out
from cosmos_ops.errors import (
    CheckpointMissingError,
    CosmosError,
    HostError,
    HostGivenUpError,
    HostUnreachableError,
    JobTakenOverError,
    PrefectAwayError,
    RunCancelledError,
    StoreUnreachableError,
    as_ours,
)
from cosmos_ops.following import Follower, when_it_answers
from cosmos_ops.homecoming import EarlyPorter, fail
from cosmos_ops.job import Job
from cosmos_ops.log import tell
from cosmos_ops.remote.host import JOB_LABEL
from cosmos_ops.settling import settled
from cosmos_ops.workplace import Records, Workplace


class Lives:
    """Begins the lives of batches."""

    def __init__(
        self,
        place: Records,
        owner: str,
        carrier: Callable[[Work], Carrier],
        is_stopping: Callable[[], bool],
        bench: Bench,
        on_change: Callable[[], None],
        *,
        flow_run_id: str,
    ) -> None:
        self._place = place
        self._owner = owner
        self._carrier = carrier
        self._is_stopping = is_stopping
        self._bench = bench
        self._on_change = on_change
        self._flow_run_id = flow_run_id

    def begin(self, assignment: Assignment, member: Member) -> None:
        """Carry out a batch in the background, or the job that it has already."""
        life = partial(self._live, assignment, member)
        name = f"lane {member.name} {assignment.place[1]}"
        threading.Thread(target=copy_context().run, args=(life,), name=name, daemon=True).start()

    def _live(self, assignment: Assignment, member: Member) -> None:
        place = Workplace(self._place.store, self._place.results, member.host, self._owner)
        try:
            if assignment.job is None:
                self._open(assignment, place, member)
            if assignment.job is not None:
                self._carry_out(assignment, place)
        except (JobTakenOverError, PrefectAwayError, StoreUnreachableError) as error:
            # The host is well. What was begun goes on, and its job is taken up again once its lease has run out.
            logger.warning("A batch on host {} is left alone: {}", member.name, error)
        except CosmosError as error:
            logger.error("A batch on host {} was not begun: {}", member.name, error)
            self._bench.put(member.name, ANY_FAMILY, str(error))
        except Exception as error:  # noqa: BLE001
            # One lane must not end the others; the lease of its job runs out, and it is taken up again.
            tell(error, "A batch on host {} broke off: {}", member.name, error)
        finally:
            assignment.is_computed = assignment.is_over = True
            self._on_change()

    def _open(self, assignment: Assignment, place: Workplace, member: Member) -> None:
        known = {run.id: run for run in place.store.runs_of_ids(assignment.run_ids)}
        runs = [known[run_id] for run_id in assignment.run_ids]
        gpu_type = member.slots[assignment.place[1]].gpu_type
        assert assignment.batch is not None
        expect = partial(expected, place, assignment.batch.signature, gpu_type)
        assignment.job = open_batch(place, runs, expect=expect, flow_run_id=self._flow_run_id or None)

    def _carry_out(self, assignment: Assignment, place: Workplace) -> None:
        assert assignment.job is not None
        job = assignment.job
        follower = Follower(
            place,
            job,
            self._is_stopping,
            flow_run_id=self._flow_run_id,
            may_have_started=assignment.batch is None and _may_have_container(place, job),
        )
        follower.porter = EarlyPorter(follower)
        assignment.follower = follower
        work = Work(follower, partial(settled, place.store, job))

        def on_staged() -> None:
            assignment.staged_at = time.monotonic()

        def on_computed() -> None:
            assignment.is_computed = True
            self._on_change()

        try:
            carry_out(work, self._carrier(work), on_staged=on_staged, on_computed=on_computed)
            self._bench.clear(place.host.name, job.family)
        except (JobTakenOverError, PrefectAwayError, StoreUnreachableError):
            raise
        except Exception as error:  # noqa: BLE001
            if not isinstance(error, CosmosError):
                tell(error, "Job {} broke off: {}", job.id, error)
            self._failed(follower, as_ours(error))

    def _failed(self, follower: Follower, error: CosmosError) -> None:
        """The whole job failed, retries included."""
        place, job = follower.place, follower.job
        run_ids = [item.run_id for item in job.items]
        if isinstance(error, HostError | CheckpointMissingError) and not follower.may_have_started:
            is_away = isinstance(error, HostUnreachableError)
            self._bench.put(place.host.name, ANY_FAMILY if is_away else job.family, str(error))
            logger.warning("Job {} cannot run on host {}, its runs wait again: {}", job.id, place.host.name, error)
            self._undo(place, job.id, run_ids)
            with suppress(CosmosError):
                place.host.remove_folder(job.host_folder)
            return
        if isinstance(error, HostGivenUpError):
            logger.warning("Job {}: {}", job.id, error)
            self._undo(place, job.id, run_ids)
            with suppress(CosmosError):
                # One that was only created is gone after this; one on a host that is away is removed when that is back.
                place.host.stop(job.container_name, grace_s=0)
                place.host.remove_folder(job.host_folder)
            return

        if isinstance(error, HostError):
            when_it_answers(lambda: place.store.note_fault(place.host.name, str(error)), self._is_stopping)
        reason = RunCancelledError("cancelled before it was complete") if self._is_stopping() else error
        try:
            when_it_answers(lambda: fail(follower, reason), self._is_stopping)
        except (JobTakenOverError, StoreUnreachableError):
            raise
        except HostUnreachableError:
            # Nobody knows what its container does; it is looked after when the host answers.
            logger.warning("Host {} does not answer; job {} is looked after when it does", place.host.name, job.id)
        except Exception as another:  # noqa: BLE001
            tell(another, "Job {} could not be ended, and is taken up again: {}", job.id, another)
            self._bench.put(place.host.name, ANY_FAMILY, str(as_ours(another)))

    def _undo(self, place: Records, job_id: str, run_ids: Sequence[str]) -> None:
        when_it_answers(lambda: place.store.requeue(run_ids, job_id=job_id), self._is_stopping)
        when_it_answers(lambda: place.store.end_job(job_id), self._is_stopping)


def _may_have_container(place: Workplace, job: Job) -> bool:
    """Of a job that another process began."""
    try:
        return bool(place.host.find({JOB_LABEL: job.id}))
    except HostUnreachableError:
        return True
