"""The tables as typed mappings: a value is a column if a query filters or sorts by it, the rest is JSON."""

from datetime import datetime, timezone

from pydantic import JsonValue
from sqlalchemy import JSON, DateTime, Dialect, ForeignKey, Index, MetaData, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from cosmos_ops.errors import InputError

JsonObject = dict[str, JsonValue]

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


def storable(text: str) -> str:
    """Give the text back if every database can keep it.

    Raises:
        InputError: It holds a NUL character (PostgreSQL refuses it) or half of a surrogate pair (it has no UTF-8).
    """
    if "\0" in text:
        raise InputError(f"the text {_excerpt(text)} holds a NUL character, which cannot be stored; remove it")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError(f"the text {_excerpt(text)} is not valid Unicode and cannot be stored; write it again") from None
    return text


class StorableText(TypeDecorator[str]):
    """Text of which every database gives back every character."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Refuse what the databases would treat differently, in what is written and in what is searched for."""
        return None if value is None else storable(value)


FREE_TEXT = StorableText()
"""What people write, in the collation of the database, which knows upper and lower case."""

WORD = StorableText().with_variant(StorableText(collation="C"), "postgresql")
"""An id or a name of ours: compared byte by byte on every database (SQLite does so untold), so that ids sort by time."""


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: stored in UTC, and timezone-aware when it comes back, on SQLite too."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Refuse a naive moment, because nobody can say which one it means."""
        if value is not None and value.tzinfo is None:
            raise InputError(f"the time {value} lacks a timezone; write datetime.now(timezone.utc)")
        return None if value is None else value.astimezone(timezone.utc)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """SQLite gives back naive UTC, PostgreSQL the timezone of the connection."""
        if value is None:
            return None
        return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)


WAITING = "status = 'queued' AND priority IS NOT NULL"
"""A run that waits in the shared queue."""


class Table(DeclarativeBase):
    """Base of all tables."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    # Of a column that may be empty, None is NULL and no JSON text.
    type_annotation_map = {str: WORD, datetime: UtcDateTime(), JsonObject: JSON(none_as_null=True)}  # noqa: RUF012


class PromptRow(Table):
    """One prompt."""

    __tablename__ = "prompts"

    id: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[datetime]
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("prompts.id"), index=True)
    name: Mapped[str] = mapped_column(FREE_TEXT)
    text: Mapped[str] = mapped_column(FREE_TEXT)
    details: Mapped[JsonObject]
    """`records.PromptDetails`."""


class RunRow(Table):
    """One run."""

    __tablename__ = "runs"
    # One per filter, each with the id behind it: a page is a walk along the index from its newest end.
    __table_args__ = (
        Index(None, "operation", "id"),
        Index(None, "family", "id"),
        Index(None, "status", "id"),
        Index(None, "prompt_id", "id"),
        Index(None, "flow_run_id", "id"),
        Index(None, "parent_id", "id"),
        Index(None, "job_id", "id"),
        # What waits in the shared queue, however many runs there are beside it.
        Index("ix_runs_waiting", "id", "priority", "parent_id", sqlite_where=text(WAITING), postgresql_where=text(WAITING)),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[datetime]
    prompt_id: Mapped[str] = mapped_column(ForeignKey("prompts.id"))
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("runs.id"))
    operation: Mapped[str]
    family: Mapped[str]
    status: Mapped[str]
    request_key: Mapped[str] = mapped_column(unique=True)
    job_id: Mapped[str | None]
    flow_run_id: Mapped[str | None]
    params: Mapped[JsonObject]
    state: Mapped[JsonObject]
    """`records.RunState`."""
    priority: Mapped[int | None]
    """In the shared queue; NULL for a run that its own flow carries out."""
    queueing: Mapped[JsonObject | None]
    """`runs.Queueing`, for a run of the shared queue."""


class JobRow(Table):
    """One job, who carries it out, and until when nobody else may."""

    __tablename__ = "jobs"
    __table_args__ = (Index(None, "ended_at", "id"), Index(None, "host", "waiting_since"))

    id: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[datetime]
    host: Mapped[str]
    owner: Mapped[str]
    lease_until: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    waiting_since: Mapped[datetime | None]
    """Since when it waits for a GPU slot of its host."""
    job: Mapped[JsonObject]
    timing: Mapped[JsonObject | None]
    """`timing.JobTiming`."""


class HostFaultRow(Table):
    """One failure of a host that had nothing to do with the job."""

    __tablename__ = "host_faults"
    __table_args__ = (Index(None, "host", "happened_at"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    host: Mapped[str]
    happened_at: Mapped[datetime]
    message: Mapped[str] = mapped_column(FREE_TEXT)


class CostRow(Table):
    """What is known of the seconds of one model on one type of GPU."""

    __tablename__ = "costs"

    model: Mapped[str] = mapped_column(primary_key=True)
    gpu_type: Mapped[str] = mapped_column(primary_key=True)
    coefficients: Mapped[JsonObject]


class LeaseRow(Table):
    """Something that one process at a time may do, who does it, and until when nobody else may."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    until: Mapped[datetime]


class StoreRow(Table):
    """The store itself: one row, whose id tells its containers from those of other stores."""

    __tablename__ = "store"

    id: Mapped[str] = mapped_column(primary_key=True)


def _excerpt(text: str) -> str:
    return ascii(text if len(text) <= 40 else text[:40] + "...")
