"""How runs and jobs change: under a lock, and only if they still are what they must be, so that a late event does nothing."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import Enum, auto

from pydantic import JsonValue
from sqlalchemy import or_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from cosmos_ops.runs import Phase, RunFailure, RunOutputs, RunStatus
from cosmos_ops.store.queries import in_parts, runs_to_change
from cosmos_ops.store.records import JobRecord, RunState, job_row, read_job, read_state, read_status
from cosmos_ops.store.tables import CostRow, JobRow, LeaseRow, RunRow, Table


class Broke(Enum):
    """Whether a run broke its process when it went back to the queue."""

    NOT = auto()
    WITH_OTHERS = auto()
    ALONE = auto()


def open_job(session: Session, record: JobRecord, *, flow_run_id: str | None) -> bool:
    """Add the job and start all of its runs, or change nothing if one of them is not queued any more."""
    run_ids = {item.run_id for item in record.job.items}
    runs = _runs(session, run_ids)
    if len(runs) < len(run_ids) or any(read_status(run) is not RunStatus.QUEUED for run in runs):
        return False
    session.add(job_row(record))
    for run in runs:
        run.status = RunStatus.RUNNING.value
        run.job_id = record.job.id
        run.flow_run_id = flow_run_id or run.flow_run_id
        now = {"phase": Phase.STAGING_IN, "phase_since": record.created_at, "started_at": record.created_at}
        _set_state(run, read_state(run).model_copy(update={"owner": record.owner, **now}))
    return True


def hold(session: Session, name: str, *, owner: str, from_owner: str | None, until: datetime, now: datetime) -> bool:
    """Make a lease or take it, if it is free: in one statement, because whoever has it may delete it at any time."""
    free = or_(LeaseRow.owner.in_({owner, from_owner or owner}), LeaseRow.until < now)
    change = {"owner": owner, "until": until}
    statement = _insert(session, LeaseRow).values(name=name, **change)
    statement = statement.on_conflict_do_update(index_elements=[LeaseRow.name], set_=change, where=free)
    return session.scalar(statement.returning(LeaseRow.name)) is not None


def save_costs(session: Session, model: str, gpu_type: str, coefficients: Mapping[str, JsonValue]) -> None:
    """Keep coefficients in the place of those of before; of two who do so at once the later one counts."""
    change = {"coefficients": dict(coefficients)}
    statement = _insert(session, CostRow).values(model=model, gpu_type=gpu_type, **change)
    statement = statement.on_conflict_do_update(index_elements=[CostRow.model, CostRow.gpu_type], set_=change)
    session.execute(statement)


def _insert(session: Session, table: type[Table]) -> postgresql.Insert | sqlite.Insert:
    return postgresql.insert(table) if session.connection().dialect.name == "postgresql" else sqlite.insert(table)


def set_phase(session: Session, run_ids: Iterable[str], phase: Phase, *, job_id: str | None, now: datetime) -> None:
    """Set the phase of those that are running and in another one."""
    for run in _running(session, run_ids, job_id):
        state = read_state(run)
        if state.phase is not phase:
            _set_state(run, state.model_copy(update={"phase": phase, "phase_since": now}))


def request_stop(session: Session, run_ids: Iterable[str], now: datetime) -> list[RunRow]:
    """Note that these runs are to end; those that wait in the queue end at once. Returns those that are running."""
    running = []
    for run in _runs(session, run_ids):
        if read_status(run) is RunStatus.QUEUED:
            _end_queued(run, now)
        elif read_status(run) is RunStatus.RUNNING:
            running.append(run)
            state = read_state(run)
            _set_state(run, state.model_copy(update={"stop_requested_at": state.stop_requested_at or now}))
    return running


def _end_queued(run: RunRow, ended_at: datetime) -> None:
    finish(run, RunStatus.CANCELLED, outputs=RunOutputs(), failure=None, job_id=None, ended_at=ended_at)


def finish(
    run: RunRow,
    status: RunStatus,
    *,
    outputs: RunOutputs,
    failure: RunFailure | None,
    job_id: str | None,
    ended_at: datetime,
) -> bool:
    """Give a run its final status, unless it has one or has gone to another job."""
    if read_status(run).is_final or job_id not in (None, run.job_id):
        return False
    run.status = status.value
    _set_state(run, _fresh(read_state(run)).model_copy(update={"ended_at": ended_at, "outputs": outputs, "failure": failure}))
    return True


def requeue(session: Session, run_ids: Iterable[str], *, job_id: str | None, broke: Broke, now: datetime) -> int:
    """Put those that are running back into the queue, and count them; one that is to stop ends instead."""
    back = 0
    for run in _running(session, run_ids, job_id):
        state = read_state(run)
        if state.stop_requested_at is not None:
            _end_queued(run, now)
            continue
        run.status = RunStatus.QUEUED.value
        run.job_id = None
        fresh = _fresh(state).model_copy(update={"started_at": None})
        if run.queueing is None:
            fresh = fresh.model_copy(update={"owner": state.owner})
        else:
            # Whoever takes it next makes it his.
            run.flow_run_id = None
        counted = {"breaks": state.breaks + (broke is not Broke.NOT), "breaks_alone": state.breaks_alone + (broke is Broke.ALONE)}
        _set_state(run, fresh.model_copy(update=counted))
        back += 1
    return back


def set_priority(session: Session, run_ids: Iterable[str], priority: int) -> int:
    """Give a priority to those of the shared queue that wait there, and count them."""
    waiting = [run for run in _runs(session, run_ids) if run.queueing is not None and read_status(run) is RunStatus.QUEUED]
    for run in waiting:
        run.priority = priority
    return len(waiting)


def _fresh(state: RunState) -> RunState:
    """What stays of a state when a run ends or waits again."""
    return RunState(started_at=state.started_at, breaks=state.breaks, breaks_alone=state.breaks_alone)


def take_up(run: RunRow, *, flow_run_id: str, owner: str) -> None:
    """Make a run part of another flow run, carried out by another process; what became of it stays."""
    run.flow_run_id = flow_run_id
    if not read_status(run).is_final:
        _set_state(run, read_state(run).model_copy(update={"owner": owner}))


def take_over(
    session: Session,
    job: JobRow,
    *,
    from_owner: str,
    seen_lease: datetime | None,
    owner: str,
    lease_until: datetime,
) -> bool:
    """Give a job and its running runs a new owner, and a new lease, unless it is no longer as it was seen."""
    if job.ended_at is not None or job.owner != from_owner or seen_lease not in (None, job.lease_until):
        return False
    job.owner = owner
    job.lease_until = lease_until
    if owner != from_owner:
        for run in _running(session, [item.run_id for item in read_job(job).job.items], job.id):
            _set_state(run, read_state(run).model_copy(update={"owner": owner}))
    return True


def _runs(session: Session, run_ids: Iterable[str]) -> list[RunRow]:
    return [run for part in in_parts(run_ids) for run in session.scalars(runs_to_change(part))]


def _running(session: Session, run_ids: Iterable[str], job_id: str | None) -> list[RunRow]:
    return [run for run in _runs(session, run_ids) if read_status(run) is RunStatus.RUNNING and job_id in (None, run.job_id)]


def _set_state(run: RunRow, state: RunState) -> None:
    run.state = state.model_dump(mode="json")
