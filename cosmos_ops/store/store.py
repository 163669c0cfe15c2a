"""The run store: what users made and what became of it; its sessions are short, and no host is called inside one."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timezone
from types import TracebackType

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from typing_extensions import Self

from cosmos_ops.errors import CosmosError, StoreError
from cosmos_ops.runs import Phase, Prompt, Run, RunFailure, RunOutputs, RunStatus
from cosmos_ops.store import changes, queries
from cosmos_ops.store.changes import Broke
from cosmos_ops.store.database import Database
from cosmos_ops.store.job_store import get_row, not_found
from cosmos_ops.store.queries import RunFilter
from cosmos_ops.store.queue_store import QueueStore
from cosmos_ops.store.records import ReadParams, prompt_row, read_prompt, read_run, read_state, run_row
from cosmos_ops.store.schema import bring_up_to_date
from cosmos_ops.store.tables import PromptRow, RunRow, Table

ANY_RUN = RunFilter()
UNFINISHED = RunFilter(status=(RunStatus.QUEUED, RunStatus.RUNNING))
UNFINISHED_PAGE = 500
NO_OUTPUTS = RunOutputs()
BATCH_PAGE = 1000
"""More runs than any batch has."""


def utc_now() -> datetime:
    """The clock of this machine."""
    return datetime.now(timezone.utc)


class Store(QueueStore):
    """Prompts, runs and jobs in one database; safe to share among threads, each process opens its own."""

    def __init__(self, database: Database, read_params: ReadParams, now: Callable[[], datetime]) -> None:
        super().__init__(database, now)
        self._read_params = read_params

    @classmethod
    def open(cls, url: str, *, read_params: ReadParams, now: Callable[[], datetime] = utc_now) -> Self:
        """Open a store, make it if it is not there, and bring its tables up to date.

        Args:
            url: `sqlite:///<path>` or `postgresql+psycopg://<user>:<password>@<host>/<database>`.
            read_params: Makes parameters of operation, family and stored JSON; may raise any `CosmosError`.
            now: The clock.

        Raises:
            InputError: The URL cannot be read.
            StoreUnreachableError: The database does not answer.
            StoreError: The database is of a newer version, or cannot be made.
        """
        database = Database(url)
        try:
            bring_up_to_date(database)
        except CosmosError:
            database.close()
            raise
        return cls(database, read_params, now)

    def close(self) -> None:
        """Close all connections; calling it twice does no harm."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def add_prompt(self, prompt: Prompt) -> Prompt:
        """Add a prompt; one of the same id that is there already stays, and is returned.

        Raises:
            InputError: A text holds what no database can keep, such as a NUL character.
            RecordNotFoundError: Its parent is not there.
        """
        with self._database.write() as session:
            if _are_added(session, [prompt_row(prompt)]):
                return prompt
            known = session.get(PromptRow, prompt.id)
            if known is None:
                raise not_found(PromptRow, str(prompt.parent_id))
            return read_prompt(known)

    def prompt(self, prompt_id: str) -> Prompt:
        """Find one prompt."""
        with self._database.read() as session:
            return read_prompt(get_row(session, PromptRow, prompt_id))

    def prompts(self, *, limit: int, before: str | None = None, search: str = "") -> list[Prompt]:
        """A page of prompts, newest first.

        Args:
            limit: Length of the page.
            before: Id of the last prompt of the page before.
            search: Part of text or name, upper or lower case; no character has a special meaning.
        """
        with self._database.read() as session:
            return [read_prompt(row) for row in session.scalars(queries.prompt_page(search, limit=limit, before=before))]

    def add_run(self, run: Run) -> Run:
        """Add a run; if its request was made before, nothing is added and the run of that time is returned.

        Raises:
            RecordNotFoundError: Its prompt or its parent is not there.
        """
        return self.add_runs([run])[0]

    def add_runs(self, runs: Iterable[Run]) -> list[Run]:
        """Add runs as `add_run` does, all of them at the same moment, or none."""
        new = list(runs)
        with self._database.write() as session:
            # Together is some times quicker than one by one, and mostly none is there yet.
            if _are_added(session, [run_row(run) for run in new]):
                return new
            return [self._added(session, run) for run in new]

    def _added(self, session: Session, run: Run) -> Run:
        known = session.scalars(queries.run_with_key(run.request_key)).one_or_none()
        if known is None and _are_added(session, [run_row(run)]):
            return run
        known = known or session.scalars(queries.run_with_key(run.request_key)).one_or_none()
        if known is None:
            raise _why_refused(session, run)
        return read_run(known, self._read_params)

    def run(self, run_id: str) -> Run:
        """Find one run."""
        with self._database.read() as session:
            return read_run(get_row(session, RunRow, run_id), self._read_params)

    def runs_of_ids(self, run_ids: Iterable[str]) -> list[Run]:
        """The runs of these ids, oldest first; an id that is not there is left out."""
        with self._database.read() as session:
            found = []
            for part in queries.in_parts(run_ids):
                found += [read_run(row, self._read_params) for row in session.scalars(queries.runs_of_ids(part))]
            return found

    def readable_runs_of_ids(self, run_ids: Iterable[str]) -> list[Run]:
        """As `runs_of_ids`, but a run that cannot be read any more is passed over."""
        with self._database.read() as session:
            parts = (session.scalars(queries.runs_of_ids(part)) for part in queries.in_parts(run_ids))
            return [run for rows in parts for run in self._readable(rows, lambda row: read_run(row, self._read_params))]

    def unfinished_runs(self) -> list[Run]:
        """All runs that are queued or running, newest first; one that cannot be read any more is passed over."""
        runs: list[Run] = []
        before: str | None = None
        with self._database.read() as session:
            while rows := session.scalars(queries.run_page(UNFINISHED, limit=UNFINISHED_PAGE, before=before)).all():
                runs += self._readable(rows, lambda row: read_run(row, self._read_params))
                before = rows[-1].id
        return runs

    def runs_of_request(self, key: str) -> list[Run]:
        """The runs that a request made, and those that followed them, oldest first.

        Args:
            key: What their request keys begin with: the id of a flow run, or of a submission.
        """
        with self._database.read() as session:
            return [read_run(row, self._read_params) for row in session.scalars(queries.runs_of_request(key))]

    def run_by_key(self, request_key: str) -> Run | None:
        """The run that a request made, if it made one."""
        with self._database.read() as session:
            row = session.scalars(queries.run_with_key(request_key)).one_or_none()
            return None if row is None else read_run(row, self._read_params)

    def runs(self, filter: RunFilter = ANY_RUN, *, limit: int, before: str | None = None) -> list[Run]:  # noqa: A002
        """A page of runs, newest first; `before` is the id of the last run of the page before."""
        with self._database.read() as session:
            page = session.scalars(queries.run_page(filter, limit=limit, before=before))
            return [read_run(row, self._read_params) for row in page]

    def count_runs(self, filter: RunFilter = ANY_RUN) -> dict[RunStatus, int]:  # noqa: A002
        """How many runs fit the filter, by status; a status without runs counts 0."""
        with self._database.read() as session:
            counts = {row[0]: row[1] for row in session.execute(queries.run_counts(filter))}
        return {status: counts.get(status.value, 0) for status in RunStatus}

    def take_up(self, run_id: str, *, flow_run_id: str, owner: str) -> Run:
        """Make a run of before part of a flow run that asks for the same again; returns the run as it is then."""
        with self._database.write() as session:
            row = get_row(session, RunRow, run_id, locked=True)
            changes.take_up(row, flow_run_id=flow_run_id, owner=owner)
            return read_run(row, self._read_params)

    def set_phase(self, run_ids: Iterable[str], phase: Phase, *, job_id: str | None = None) -> None:
        """Say what these runs are doing; one that is not running, or not in this job any more, is left as it is."""
        with self._database.write() as session:
            changes.set_phase(session, run_ids, phase, job_id=job_id, now=self._now())

    def request_stop(self, run_ids: Iterable[str]) -> list[str]:
        """Ask for the end of runs: those in the queue are cancelled at once, who carries the others out hears of it.

        Returns:
            Ids of those that are running.
        """
        with self._database.write() as session:
            return [row.id for row in changes.request_stop(session, run_ids, self._now())]

    def to_stop(self, job_id: str) -> frozenset[str]:
        """The runs of a job that are to end and have not."""
        wanted = RunFilter(job_id=job_id, status=(RunStatus.RUNNING,))
        with self._database.read() as session:
            rows = session.scalars(queries.run_page(wanted, limit=BATCH_PAGE, before=None))
            return frozenset(row.id for row in rows if read_state(row).stop_requested_at is not None)

    def finish(
        self,
        run_id: str,
        status: RunStatus,
        *,
        outputs: RunOutputs = NO_OUTPUTS,
        failure: RunFailure | None = None,
        job_id: str | None = None,
    ) -> bool:
        """Give a run its final status.

        Args:
            run_id: A queued or running run.
            status: One of the final ones.
            outputs: What it left.
            failure: Why it did not complete.
            job_id: If given, the run must still belong to this job.

        Returns:
            Whether it took effect; not if the run was final before, or has gone to another job since.
        """
        if not status.is_final:
            raise ValueError(f"'{status.value}' is no final status")
        with self._database.write() as session:
            return changes.finish(
                get_row(session, RunRow, run_id, locked=True),
                status,
                outputs=outputs,
                failure=failure,
                job_id=job_id,
                ended_at=self._now(),
            )

    def requeue(self, run_ids: Iterable[str], *, job_id: str | None = None, broke: Broke = Broke.NOT) -> int:
        """Put running runs back into the queue; one that has gone to another job since is left as it is.

        Args:
            run_ids: The runs.
            job_id: If given, they must still belong to this job.
            broke: Whether they broke their process.

        Returns:
            How many went back.
        """
        with self._database.write() as session:
            return changes.requeue(session, run_ids, job_id=job_id, broke=broke, now=self._now())


def _are_added(session: Session, rows: Sequence[Table]) -> bool:
    """Add rows, unless a constraint forbids one; what else the session has done stays."""
    try:
        with session.begin_nested():
            session.add_all(rows)
    except IntegrityError:
        return False
    return True


def _why_refused(session: Session, run: Run) -> CosmosError:
    if session.get(PromptRow, run.prompt_id) is None:
        return not_found(PromptRow, run.prompt_id)
    if run.parent_id is not None and session.get(RunRow, run.parent_id) is None:
        return not_found(RunRow, run.parent_id)
    return StoreError(f"a run of another request has the id '{run.id}' already")
