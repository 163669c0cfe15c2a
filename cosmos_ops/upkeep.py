"""Makes records agree with machines: brings home what is finished, closes what nobody carries out, removes what nobody owns."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone

from cosmos_ops.errors import (
    CosmosError,
    HostError,
    HostUnreachableError,
    InterruptedRunError,
    RecordInvalidError,
    RecordNotFoundError,
    RunCancelledError,
    StoreUnreachableError,
)
from cosmos_ops.execution import is_removed
from cosmos_ops.following import LEASE_S, STORE_LABEL, Follower
from cosmos_ops.homecoming import complete, end
from cosmos_ops.job import host_folder
from cosmos_ops.log import tell
from cosmos_ops.owners import is_gone
from cosmos_ops.remote.host import JOB_LABEL, ContainerState
from cosmos_ops.runs import Run, RunFailure, RunStatus
from cosmos_ops.store import JobRecord, Store
from cosmos_ops.workplace import Workplace


@dataclass(frozen=True)
class Reconciled:
    """What was found and done; the runs as they are afterwards."""

    brought_home: tuple[Run, ...] = ()
    """They have a final status now."""
    interrupted: tuple[Run, ...] = ()
    """Nothing is left of them to bring home."""
    still_computing: tuple[str, ...] = ()
    """Jobs whose container goes on without anybody following it; a later reconcile brings them home."""
    removed: tuple[str, ...] = ()
    """Containers that no open job owned."""
    unreachable: tuple[str, ...] = ()
    """Jobs whose host does not answer."""

    @property
    def flow_run_ids(self) -> frozenset[str]:
        """The flow runs whose process is gone."""
        return frozenset(run.flow_run_id for run in (*self.brought_home, *self.interrupted) if run.flow_run_id)

    def __add__(self, other: "Reconciled") -> "Reconciled":
        """Both together."""
        return Reconciled(
            self.brought_home + other.brought_home,
            self.interrupted + other.interrupted,
            self.still_computing + other.still_computing,
            self.removed + other.removed,
            self.unreachable + other.unreachable,
        )


def reconcile(place: Workplace, *, leave: Callable[[Run], bool] = lambda _: False, waits: bool = True) -> Reconciled:
    """Look after the jobs of a host whose process is gone, and after the runs of processes that are gone and have no job.

    Args:
        place: The store, the results and the host.
        leave: Runs that somebody else resumes.
        waits: Whether to follow containers that still compute to their end; else they are left for a later time.
    """
    found = _Found(place, leave, waits)
    abandoned = [run for run in place.store.unfinished_runs() if run.owner and is_gone(run.owner) and not leave(run)]
    for job in place.store.open_jobs():
        if job.host == place.host.name and is_abandoned(job):
            found.look_after(job)
    with suppress(HostUnreachableError):
        found.removed += remove_unowned(place)
        place.host.tidy()
    return found.report(abandoned)


def stop(place: Workplace, job: JobRecord) -> None:
    """End a job that nobody follows: its container is stopped, what its runs left comes home, they end as cancelled.

    Raises:
        HostUnreachableError: Its host does not answer; the stop stays requested, and `reconcile` carries it out.
    """
    place.store.request_stop(item.run_id for item in job.job.items)
    stop_requested(place, job)


def stop_requested(place: Workplace, job: JobRecord) -> None:
    """As `stop`, for those runs of a job whose end was asked for; the unfinished ones beside them go back into the queue."""
    containers = place.host.find({JOB_LABEL: job.job.id})
    if containers and containers[0].is_started:
        complete(Follower(place, job.job, is_stopping=lambda: False, may_have_started=True))
        return
    for state in containers:
        place.host.stop(state.name, grace_s=0)
    is_removed(job.job.host_folder, place.host)
    # To the queue; those that are to end do so on the way.
    place.store.requeue((item.run_id for item in job.job.items), job_id=job.job.id)
    place.store.end_job(job.job.id)


def take_over(store: Store, job: JobRecord, owner: str) -> bool:
    """Become the owner of an abandoned job; false if somebody else was quicker, or if its owner has renewed its lease since."""
    return store.take_over(job.job.id, from_owner=job.owner, owner=owner, lease_s=LEASE_S, seen_lease=job.lease_until)


def is_abandoned(job: JobRecord) -> bool:
    """Whether nobody looks after a job: its process is gone, or on another machine and has not renewed its lease."""
    return is_gone(job.owner) or job.lease_until < datetime.now(timezone.utc)


@dataclass
class _Found:
    place: Workplace
    leave: Callable[[Run], bool]
    waits: bool
    looked_after: list[str] = field(default_factory=list)
    interrupted: list[str] = field(default_factory=list)
    still_computing: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    unreachable: list[str] = field(default_factory=list)

    def look_after(self, job: JobRecord) -> None:
        """Bring home what a job left, or leave it to compute."""
        place, run_ids = self.place, [item.run_id for item in job.job.items]
        try:
            if any(self.leave(run) for run in _runs_of(place, job)):
                return
            containers = place.host.find({JOB_LABEL: job.job.id})
            is_to_stop = bool(place.store.to_stop(job.job.id))
            if containers and containers[0].exit is None and containers[0].is_started and not (self.waits or is_to_stop):
                self.still_computing.append(job.job.id)
                return
            if not take_over(place.store, job, place.owner):
                return
            if containers and containers[0].is_started:
                complete(Follower(place, job.job, is_stopping=lambda: False))
                self.looked_after += run_ids
            else:
                self._close(job, containers)
        except HostUnreachableError:
            self.unreachable.append(job.job.id)
        except StoreUnreachableError:
            raise
        except Exception as error:  # noqa: BLE001
            tell(error, "Job {} could not be looked after, a later reconcile tries again: {}", job.job.id, error)

    def report(self, abandoned: Iterable[Run]) -> Reconciled:
        """Close the runs that nobody carries out, and say what became of all."""
        store = self.place.store
        for run in abandoned:
            now = store.run(run.id)
            # Another process may have taken it over meanwhile, or its job waits for its host.
            if not now.status.is_final and now.job_id is None and now.owner and is_gone(now.owner):
                store.finish(run.id, RunStatus.FAILED, failure=RunFailure.of(_gone()))
                self.interrupted.append(run.id)
        brought = tuple(store.run(run_id) for run_id in self.looked_after)
        return Reconciled(
            brought_home=tuple(run for run in brought if run.status.is_final),
            interrupted=tuple(store.run(run_id) for run_id in self.interrupted),
            still_computing=tuple(self.still_computing),
            removed=tuple(self.removed),
            unreachable=tuple(self.unreachable),
        )

    def _close(self, job: JobRecord, containers: list[ContainerState]) -> None:
        """A job without a container that ran: nothing was computed, or somebody removed it all."""
        for state in containers:
            self.place.host.stop(state.name, grace_s=0)
        run_ids = [item.run_id for item in job.job.items]
        if any(run.queueing is not None for run in _runs_of(self.place, job)):
            # Whoever was to carry them out is gone; the next dispatch does it.
            self.place.store.requeue(run_ids, job_id=job.job.id)
            self.place.store.end_job(job.job.id)
            is_removed(job.job.host_folder, self.place.host)
            return
        to_stop = self.place.store.to_stop(job.job.id)
        end(
            Follower(self.place, job.job, is_stopping=lambda: False, may_have_started=True),
            {run_id: RunCancelledError("cancelled") if run_id in to_stop else _gone() for run_id in run_ids},
        )
        self.interrupted += run_ids


def remove_unowned(place: Workplace, *, running_only: bool = False) -> list[str]:
    """Stop and remove the containers of this store whose job has ended or is not recorded.

    Args:
        place: The store and the host.
        running_only: Whether to leave those that have ended, which somebody may be about to clean up.

    Returns:
        Their names.
    """
    removed = []
    for state in place.host.find({STORE_LABEL: place.store.id}):
        job_id = state.labels.get(JOB_LABEL, "")
        if not _is_open(place.store, job_id) and not (running_only and state.exit is not None):
            try:
                place.host.stop(state.name, grace_s=0)
                place.host.remove_folder(host_folder(job_id))
                place.host.remove(state.name)
                removed.append(state.name)
            except HostUnreachableError:
                raise
            except HostError as error:
                tell(error, "What is left of job {} stays: {}", job_id, error)
    return removed


def _is_open(store: Store, job_id: str) -> bool:
    try:
        return store.job(job_id).ended_at is None
    except RecordNotFoundError:
        return False
    except RecordInvalidError:
        # Nobody knows; its container may hold the only results.
        return True


def _gone() -> CosmosError:
    return InterruptedRunError("the process that was to carry it out is gone; run it again")


def _runs_of(place: Workplace, job: JobRecord) -> list[Run]:
    return [place.store.run(item.run_id) for item in job.job.items]
