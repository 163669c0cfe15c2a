"""Makes records agree with machines: brings home what processes that are gone have left, and closes what nobody carries out."""

from collections.abc import Callable
from dataclasses import dataclass

from cosmos_ops import execution
from cosmos_ops.errors import InterruptedRunError
from cosmos_ops.job import LogLine
from cosmos_ops.operations import find_operation
from cosmos_ops.owners import is_gone
from cosmos_ops.runs import Run, RunFailure, RunStatus
from cosmos_ops.store import JobRecord, RunFilter
from cosmos_ops.workplace import LEASE_S, Follower, Workplace, bring_home, record

PAGE = 500


@dataclass(frozen=True)
class Reconciled:
    """What was found and done; the runs as they are afterwards."""

    brought_home: tuple[Run, ...]
    interrupted: tuple[Run, ...]

    @property
    def flow_run_ids(self) -> frozenset[str]:
        """The flow runs whose process is gone."""
        return frozenset(run.flow_run_id for run in (*self.brought_home, *self.interrupted) if run.flow_run_id)


def reconcile(place: Workplace, *, leave: Callable[[Run], bool] = lambda _: False) -> Reconciled:
    """Look after all unfinished runs whose process is gone.

    A job whose container was started is followed to its end and brought home; all other runs fail as interrupted.

    Args:
        place: Where they were carried out.
        leave: Runs that somebody else resumes.
    """
    abandoned = [run for run in _unfinished(place) if run.owner and is_gone(run.owner) and not leave(run)]
    ids = {run.id for run in abandoned}
    for job in place.store.open_jobs():
        if any(item.run_id in ids for item in job.job.items) and job.host == place.host.name and is_gone(job.owner):
            _adopt(place, job)
    now = [place.store.run(run.id) for run in abandoned]
    interrupted = []
    for run in now:
        # Another process may have taken it over meanwhile.
        if not run.status.is_final and run.owner and is_gone(run.owner):
            failure = RunFailure.of(InterruptedRunError("the process that was to carry it out is gone; run it again"))
            place.store.finish(run.id, RunStatus.FAILED, failure=failure)
            interrupted.append(place.store.run(run.id))
    return Reconciled(tuple(run for run in now if run.status.is_final), tuple(interrupted))


def _adopt(place: Workplace, found: JobRecord) -> None:
    job = found.job
    if not place.store.take_over(job.id, from_owner=found.owner, owner=place.owner, lease_s=LEASE_S):
        return
    if not place.host.find({"cosmos.job": job.id}):
        place.host.remove_folder(job.host_folder)
        place.store.end_job(job.id)
        return
    follower = Follower(place, job, on_line=_ignore_line, on_event=lambda _: None, is_cancelled=lambda: False)
    computation = follower.follow({})
    outcomes = execution.judge(job, find_operation(job.operation, job.family), place.host, computation)
    record(place, job, outcomes, bring_home(place, job, outcomes))


def _ignore_line(line: LogLine) -> None:
    """The log file has it; there is nobody to show it to."""


def _unfinished(place: Workplace) -> list[Run]:
    runs: list[Run] = []
    wanted = RunFilter(status=(RunStatus.QUEUED, RunStatus.RUNNING))
    while page := place.store.runs(wanted, limit=PAGE, before=runs[-1].id if runs else None):
        runs += page
    return runs
