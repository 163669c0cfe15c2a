"""The questions that the store answers, as statements; executed in `cosmos_ops.store.store`."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Delete, Executable, Select, and_, delete, func, or_, select, text, union_all

from cosmos_ops.errors import InputError
from cosmos_ops.runs import RunStatus
from cosmos_ops.store.tables import WAITING, CostRow, HostFaultRow, JobRow, LeaseRow, PromptRow, RunRow, StoreRow

IDS_AT_ONCE = 500
"""In one statement; SQLite takes some thousands."""


@dataclass(frozen=True)
class RunFilter:
    """Which runs are meant; what is left out does not matter."""

    status: tuple[RunStatus, ...] = ()
    """Any of these; none given means any at all."""
    operation: str | None = None
    family: str | None = None
    prompt_id: str | None = None
    parent_id: str | None = None
    flow_run_id: str | None = None
    job_id: str | None = None


def prompt_page(search: str, *, limit: int, before: str | None) -> Select[tuple[PromptRow]]:
    """Prompts whose text or name contains the search, newest first."""
    page = select(PromptRow).order_by(PromptRow.id.desc()).limit(_checked(limit))
    if before is not None:
        page = page.where(PromptRow.id < before)
    if search:
        contains = [column.icontains(search, autoescape=True) for column in (PromptRow.text, PromptRow.name)]
        page = page.where(or_(*contains))
    return page


def run_page(filter: RunFilter, *, limit: int, before: str | None) -> Select[tuple[RunRow]]:  # noqa: A002
    """Runs that fit the filter, newest first.

    Several statuses are one page each, joined: every part stays a walk along the index, where `status IN (...)`
    would sort all runs of these statuses before the first one comes out.
    """
    conditions = _conditions(filter)
    if before is not None:
        conditions.append(RunRow.id < before)
    newest_first = select(RunRow).order_by(RunRow.id.desc()).limit(_checked(limit))
    if len(filter.status) <= 1:
        return newest_first.where(*conditions, *(RunRow.status == status.value for status in filter.status))
    ids = select(RunRow.id).where(*conditions).order_by(RunRow.id.desc()).limit(limit)
    pages = [ids.where(RunRow.status == status.value).subquery() for status in dict.fromkeys(filter.status)]
    return newest_first.where(RunRow.id.in_(union_all(*(select(page.c.id) for page in pages))))


def run_counts(filter: RunFilter) -> Executable:  # noqa: A002
    """How many runs of each status fit the filter."""
    counts = select(RunRow.status, func.count()).where(*_conditions(filter)).group_by(RunRow.status)
    return counts.where(RunRow.status.in_([status.value for status in filter.status])) if filter.status else counts


def run_with_key(request_key: str) -> Select[tuple[RunRow]]:
    """The run that a request made."""
    return select(RunRow).where(RunRow.request_key == request_key)


def in_parts(run_ids: Iterable[str]) -> Iterator[Sequence[str]]:
    """Ids in order, each once, in parts that one statement can take."""
    ids = sorted(set(run_ids))
    return (ids[start : start + IDS_AT_ONCE] for start in range(0, len(ids), IDS_AT_ONCE))


def runs_to_change(run_ids: Iterable[str]) -> Select[tuple[RunRow]]:
    """The runs of these ids, locked, always in the same order, so that two writers never wait for each other."""
    # key_share: adding a run that names one of these as its parent need not wait.
    return select(RunRow).where(RunRow.id.in_(set(run_ids))).order_by(RunRow.id).with_for_update(key_share=True)


def jobs_not_ended() -> Select[tuple[JobRow]]:
    """The jobs that somebody carries out or should, oldest first."""
    return select(JobRow).where(JobRow.ended_at.is_(None)).order_by(JobRow.id)


def newest_jobs(limit: int) -> Select[tuple[JobRow]]:
    """Jobs, newest first."""
    return select(JobRow).order_by(JobRow.id.desc()).limit(_checked(limit))


def waiting_runs() -> Executable:
    """Id, priority and parent of the runs that wait in the shared queue, oldest first."""
    # In the words of the index that holds them.
    return select(RunRow.id, RunRow.priority, RunRow.parent_id).where(text(WAITING)).order_by(RunRow.id)


def unfinished_runs(run_ids: Iterable[str]) -> Executable:
    """Those of these ids whose runs have not ended."""
    unfinished = [status for status in RunStatus if not status.is_final]
    return select(RunRow.id).where(RunRow.id.in_(set(run_ids)), RunRow.status.in_(unfinished))


def runs_of_ids(run_ids: Iterable[str]) -> Select[tuple[RunRow]]:
    """The runs of these ids, oldest first."""
    return select(RunRow).where(RunRow.id.in_(set(run_ids))).order_by(RunRow.id)


def lease(name: str) -> Select[tuple[LeaseRow]]:
    """A lease, as it is after whoever lets go of it right now has done so."""
    # Of all locks this is the weakest that conflicts with that of `lease_to_end`.
    return select(LeaseRow).where(LeaseRow.name == name).with_for_update(read=True, key_share=True)


def lease_to_end(name: str) -> Select[tuple[LeaseRow]]:
    """A lease, locked against all who want to take it or to know who has it."""
    return select(LeaseRow).where(LeaseRow.name == name).with_for_update()


def runs_of_request(key: str) -> Select[tuple[RunRow]]:
    """The runs whose request key begins with a key and a slash, oldest first."""
    # "0" is the character after "/": a walk along the unique index, which LIKE would not be everywhere.
    return select(RunRow).where(RunRow.request_key > f"{key}/", RunRow.request_key < f"{key}0").order_by(RunRow.id)


def fitted_costs() -> Select[tuple[CostRow]]:
    """All that is known of costs."""
    return select(CostRow).order_by(CostRow.model, CostRow.gpu_type)


def store_ids() -> Select[tuple[str]]:
    """The id of the store."""
    return select(StoreRow.id)


def jobs_ahead(job: JobRow, now: datetime) -> Select[tuple[int]]:
    """How many jobs wait for the same host for longer, of those that somebody still looks after."""
    return (
        select(func.count())
        .select_from(JobRow)
        .where(
            JobRow.host == job.host,
            JobRow.waiting_since.is_not(None),
            JobRow.ended_at.is_(None),
            JobRow.lease_until > now,
            or_(JobRow.waiting_since < job.waiting_since, and_(JobRow.waiting_since == job.waiting_since, JobRow.id < job.id)),
        )
    )


def faults_of(host: str, since: datetime) -> Select[tuple[HostFaultRow]]:
    """The faults of a host since a moment, the newest first."""
    wanted = select(HostFaultRow).where(HostFaultRow.host == host, HostFaultRow.happened_at >= since)
    return wanted.order_by(HostFaultRow.happened_at.desc())


def clear_faults(host: str) -> Delete:
    """Forget the faults of a host."""
    return delete(HostFaultRow).where(HostFaultRow.host == host)


def _conditions(filter: RunFilter) -> list[ColumnElement[bool]]:  # noqa: A002
    """All of the filter but the status."""
    wanted = {
        RunRow.operation: filter.operation,
        RunRow.family: filter.family,
        RunRow.prompt_id: filter.prompt_id,
        RunRow.parent_id: filter.parent_id,
        RunRow.flow_run_id: filter.flow_run_id,
        RunRow.job_id: filter.job_id,
    }
    return [column == value for column, value in wanted.items() if value is not None]


def _checked(limit: int) -> int:
    if limit < 1:
        raise InputError(f"a page holds at least 1 record, not {limit}")
    return limit
