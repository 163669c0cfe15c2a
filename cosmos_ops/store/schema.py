"""Brings the tables of a database to the state that this version knows; most times there is nothing to do."""

from pathlib import Path

from sqlalchemy import Connection, column, inspect, select, table, text

from cosmos_ops.errors import StoreError
from cosmos_ops.store.database import Database

REVISION = "0003"
"""The newest migration."""

VERSION_TABLE = "alembic_version"
MIGRATIONS = Path(__file__).parent / "migrations"
# Any number will do, as long as nobody else locks it.
LOCK_ID = 0x436F736D6F73


def bring_up_to_date(database: Database) -> None:
    """Run the migrations that are missing; processes that start at the same moment wait for each other.

    Raises:
        StoreError: The database is of a newer version than this one.
    """
    with database.read() as session:
        if _revision(session.connection()) == REVISION:
            return
    with database.write() as session:
        connection = session.connection()
        # On SQLite the write transaction is the lock.
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:id)"), {"id": LOCK_ID})
        if (revision := _revision(connection)) != REVISION:
            _upgrade(connection, revision, database.shown_url)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.scalar(select(column("version_num")).select_from(table(VERSION_TABLE)))


def _upgrade(connection: Connection, revision: str | None, shown_url: str) -> None:
    # Alembic takes longer to import than all else that a start does, and is hardly ever needed.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        raise StoreError(
            f"the run store {shown_url} is of a newer version (schema '{revision}', known up to '{REVISION}');"
            " upgrade cosmos-ops on this machine"
        )
    command.upgrade(config, REVISION)
