"""The connection to the database: its settings, its transactions, and the edge at which SQLAlchemy's errors become ours."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import JsonValue
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    InternalError,
    OperationalError,
    SQLAlchemyError,
    StatementError,
    TimeoutError,  # noqa: A004
)
from sqlalchemy.orm import Session

from cosmos_ops.errors import InputError, StoreError, StoreUnreachableError

WAIT_S = 30
"""Seconds that a writer waits for another one, and that a connection to a server may take; the URL may say otherwise."""


class Database:
    """An engine whose sessions are short and whose errors are `StoreError`s; safe to share among threads."""

    def __init__(self, url: str) -> None:
        self._url = _read_url(url)
        self.shown_url = self._url.set(query={}).render_as_string(hide_password=True)
        with self._translated():
            self._engine = _engine(self._url, self.shown_url)
            self._writing_engine = self._engine.execution_options(writes=True)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that only reads."""
        with self._translated(), Session(self._engine, autoflush=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that is committed at the end; on SQLite it waits for the one writer before it starts."""
        with self._translated(), Session(self._writing_engine, autoflush=False) as session:
            yield session
            session.commit()

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except StatementError as error:
            if isinstance(error.orig, InputError):
                raise error.orig from None
            raise self._store_error(error) from error
        except SQLAlchemyError as error:
            raise self._store_error(error) from error

    def _store_error(self, error: SQLAlchemyError) -> StoreError:
        reason = str(error.orig if isinstance(error, StatementError) and error.orig else error).strip()
        if self._url.password:
            reason = reason.replace(str(self._url.password), "***")
        reason = reason.splitlines()[0] if reason else type(error).__name__
        # An internal error is what a server answers that just became read-only, as in a failover.
        if isinstance(error, OperationalError | InterfaceError | InternalError | TimeoutError) or (
            isinstance(error, DBAPIError) and error.connection_invalidated
        ):
            return StoreUnreachableError(f"the run store {self.shown_url} does not answer: {reason}")
        return StoreError(f"the run store {self.shown_url} failed: {reason}")


def _read_url(text: str) -> URL:
    try:
        url = make_url(text)
    except ArgumentError:
        # The words of SQLAlchemy may repeat the password.
        raise InputError("the URL of the run store cannot be read; write sqlite:///<path> or postgresql+psycopg://...") from None
    if url.drivername == "postgresql":
        # Which driver this means differs between the versions of SQLAlchemy.
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise InputError("the run store needs a file, because every connection has its own memory: sqlite:///<path>")
    return url


def _engine(url: URL, shown_url: str) -> Engine:
    is_sqlite = url.get_backend_name() == "sqlite"
    if is_sqlite:
        _make_folder(Path(str(url.database)).parent)
    try:
        engine = create_engine(
            url,
            connect_args=_connect_args(url),
            json_deserializer=_loads,
            hide_parameters=True,
            pool_pre_ping=not is_sqlite,
        )
    except ArgumentError as error:
        raise InputError(f"the run store {shown_url} cannot be opened: {error}") from error
    except ModuleNotFoundError as error:
        raise StoreError(f"the run store {shown_url} needs '{error.name}'; pip install 'cosmos-ops[postgresql]'") from error
    if is_sqlite:
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _connect_args(url: URL) -> dict[str, int]:
    name = {"sqlite": "timeout", "postgresql": "connect_timeout"}.get(url.get_backend_name())
    return {} if name is None or name in url.query else {name: WAIT_S}


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"the folder {folder} of the run store cannot be made: {error.strerror}") from error


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # None: sqlite3 begins no transactions of its own; `_begin_sqlite` does.
    connection.isolation_level = None
    connection.create_function("lower", 1, _lower, deterministic=True)
    _write_ahead(connection)
    for setting in ("synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {setting}").close()


def _write_ahead(connection: sqlite3.Connection) -> None:
    # Of all statements only this one does not wait, when two connections turn it on in a fresh file at once.
    deadline = time.monotonic() + WAIT_S
    while not _writes_ahead(connection, is_last_try=time.monotonic() > deadline):
        time.sleep(0.02)


def _writes_ahead(connection: sqlite3.Connection, *, is_last_try: bool) -> bool:
    try:
        connection.execute("PRAGMA journal_mode=WAL").close()
    except sqlite3.OperationalError as error:
        if is_last_try or "locked" not in str(error):
            raise
        return False
    return True


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later cannot wait for another writer; it would fail at once.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")


def _lower(text: str | None) -> str | None:
    """SQLite's own lower() knows ASCII only."""
    return None if text is None else text.lower()


def _loads(text: str | bytes) -> JsonValue:
    """Give what is no JSON back as a string, for `records` to say in which row it stands."""
    try:
        value: JsonValue = json.loads(text)
    except ValueError:
        return "no JSON"
    return value
