"""What the run store knows of jobs and of the hosts that carry them out; part of `cosmos_ops.store.store`."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import TypeVar

from loguru import logger
from sqlalchemy.orm import Session

from cosmos_ops.errors import RecordInvalidError, RecordNotFoundError
from cosmos_ops.job import Job
from cosmos_ops.names import new_id
from cosmos_ops.store import changes, queries
from cosmos_ops.store.database import Database
from cosmos_ops.store.records import JobRecord, read_job, timing_json
from cosmos_ops.store.tables import HostFaultRow, JobRow, RunRow, Table
from cosmos_ops.timing import JobTiming

Row = TypeVar("Row", bound=Table)
Record = TypeVar("Record", JobRow, RunRow)
T = TypeVar("T")


class JobStore:
    """Jobs: who carries them out, until when nobody else may, which wait, and which hosts failed."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now
        self._unreadable: set[str] = set()
        with database.read() as session:
            self.id = session.scalars(queries.store_ids()).one()
            """Tells the containers of this store from those of others on the same host."""

    def _readable(self, rows: Iterable[Record], read: Callable[[Record], T]) -> list[T]:
        """What can be read of some rows; each other one is told of once, so that it holds up nothing else."""
        found = []
        for row in rows:
            try:
                found.append(read(row))
            except RecordInvalidError as error:
                if row.id not in self._unreadable:
                    self._unreadable.add(row.id)
                    logger.error("A record is passed over: {}", error)
        return found

    def open_job(
        self,
        job: Job,
        *,
        host: str,
        owner: str,
        lease_s: float,
        timing: JobTiming | None = None,
        flow_run_id: str | None = None,
    ) -> bool:
        """Claim all runs of a job for it: they are running from now on, in its first phase.

        Args:
            job: The job.
            host: Name of the host that it goes to.
            owner: The process that carries it out.
            lease_s: Seconds for which nobody else may.
            timing: What it is expected to take.
            flow_run_id: The flow run to which its runs belong from now on, where that is another one than before.

        Returns:
            Whether it took effect; if one of the runs is not queued any more, nothing is changed.
        """
        now = self._now()
        until = now + timedelta(seconds=lease_s)
        record = JobRecord(job, host, owner, lease_until=until, created_at=now, timing=timing)
        with self._database.write() as session:
            return changes.open_job(session, record, flow_run_id=flow_run_id)

    def set_timing(self, job_id: str, timing: JobTiming) -> None:
        """Note when what happened to a job."""
        with self._database.write() as session:
            get_row(session, JobRow, job_id, locked=True).timing = timing_json(timing)

    def recent_jobs(self, *, limit: int) -> list[JobRecord]:
        """The newest jobs, ended or not, newest first; one that cannot be read is passed over."""
        with self._database.read() as session:
            return self._readable(session.scalars(queries.newest_jobs(limit)), read_job)

    def renew_lease(self, job_id: str, *, owner: str, lease_s: float) -> bool:
        """Keep a job for longer; false if it has ended or somebody else has taken it over."""
        return self.take_over(job_id, from_owner=owner, owner=owner, lease_s=lease_s)

    def take_over(
        self,
        job_id: str,
        *,
        from_owner: str,
        owner: str,
        lease_s: float,
        seen_lease: datetime | None = None,
    ) -> bool:
        """Become the owner of a job.

        Args:
            job_id: The job.
            from_owner: Who has it.
            owner: Who is to have it.
            lease_s: Seconds for which nobody else may.
            seen_lease: Until when the lease lasted that is taken to have run out, where that is the reason.

        Returns:
            Whether it took effect; not if it has ended, is not that owner's any more, or was renewed since it was seen.
        """
        with self._database.write() as session:
            return changes.take_over(
                session,
                get_row(session, JobRow, job_id, locked=True),
                from_owner=from_owner,
                seen_lease=seen_lease,
                owner=owner,
                lease_until=self._now() + timedelta(seconds=lease_s),
            )

    def end_job(self, job_id: str) -> None:
        """Note that nothing more is to be done for a job; the first time counts."""
        with self._database.write() as session:
            row = get_row(session, JobRow, job_id, locked=True)
            row.ended_at = row.ended_at or self._now()

    def job(self, job_id: str) -> JobRecord:
        """Find one job."""
        with self._database.read() as session:
            return read_job(get_row(session, JobRow, job_id))

    def open_jobs(self) -> list[JobRecord]:
        """The jobs that have not ended, oldest first, whatever their lease says; one that cannot be read is passed over."""
        with self._database.read() as session:
            return self._readable(session.scalars(queries.jobs_not_ended()), read_job)

    def wait_for_slot(self, job_id: str) -> int:
        """Note that a job waits for a GPU slot of its host.

        Returns:
            How many wait for the same host for longer.
        """
        now = self._now()
        with self._database.read() as session:
            job = get_row(session, JobRow, job_id)
            if job.waiting_since is not None:
                return session.scalars(queries.jobs_ahead(job, now)).one()
        with self._database.write() as session:
            job = get_row(session, JobRow, job_id, locked=True)
            job.waiting_since = job.waiting_since or now
            session.flush()
            return session.scalars(queries.jobs_ahead(job, now)).one()

    def got_slot(self, job_id: str) -> None:
        """Note that a job waits no more."""
        with self._database.write() as session:
            get_row(session, JobRow, job_id, locked=True).waiting_since = None

    def note_fault(self, host: str, message: str) -> None:
        """Note that a host failed."""
        with self._database.write() as session:
            session.add(HostFaultRow(id=new_id("hf"), host=host, happened_at=self._now(), message=message))

    def faults(self, host: str, *, within_s: float) -> list[str]:
        """What a host failed with lately, the newest first."""
        since = self._now() - timedelta(seconds=within_s)
        with self._database.read() as session:
            return [fault.message for fault in session.scalars(queries.faults_of(host, since))]

    def clear_faults(self, host: str) -> None:
        """Note that a host works again."""
        with self._database.write() as session:
            session.execute(queries.clear_faults(host))


def get_row(session: Session, table: type[Row], row_id: str, *, locked: bool = False) -> Row:
    """One row, locked if it is to change.

    Raises:
        RecordNotFoundError: There is none of that id.
    """
    row = session.get(table, row_id, with_for_update={"key_share": True} if locked else None)
    if row is None:
        raise not_found(table, row_id)
    return row


def not_found(table: type[Table], row_id: str) -> RecordNotFoundError:
    """The error for a row that is not there."""
    records = table.__tablename__
    hint = "" if table is JobRow else f"; `cosmos {records} list` shows what is there"
    return RecordNotFoundError(f"there is no {records.removesuffix('s')} '{row_id}'{hint}")
