"""Opening a store: what is made, what is found again, and what is said when it cannot be opened."""

import sqlite3
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from cosmos_ops.errors import InputError, RecordInvalidError, StoreError, StoreUnreachableError
from cosmos_ops.store import schema
from cosmos_ops.store.tables import Table

from .builders import a_job, a_prompt, a_run, open_store, queued_runs

SECRET = "s3cret"


def execute(url, statement, **values):
    """Reach around the store."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(statement), values)
    engine.dispose()


def test_reopening_keeps_everything(url):
    with open_store(url) as store:
        runs = queued_runs(store, 3)
        job = a_job(runs[0].id)
        store.open_job(job, host="h", owner="o", lease_s=1)
        before = store.runs(limit=10), store.prompts(limit=10), store.open_jobs()
    with open_store(url) as store:
        assert (store.runs(limit=10), store.prompts(limit=10), store.open_jobs()) == before


def test_migrations_make_the_tables_of_the_code(url):
    open_store(url).close()
    engine = create_engine(url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Table.metadata) == []
    engine.dispose()


def test_the_revision_in_the_code_is_the_newest_migration():
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == schema.REVISION


def test_opening_a_current_store_does_not_import_alembic(sqlite_url):
    open_store(sqlite_url).close()
    script = (
        "import sys; from cosmos_ops.store import Store;"
        f"Store.open({sqlite_url!r}, read_params=None).close(); sys.exit('alembic' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[2])


def test_a_newer_schema_is_refused_with_a_way_on(url):
    open_store(url).close()
    execute(url, "UPDATE alembic_version SET version_num = '9999'")
    words = rf"newer version \(schema '9999', known up to '{schema.REVISION}'\); upgrade cosmos-ops"
    with pytest.raises(StoreError, match=words):
        open_store(url)


def test_sqlite_writes_ahead_and_makes_its_folder(sqlite_url, tmp_path):
    open_store(sqlite_url).close()
    connection = sqlite3.connect(tmp_path / "data" / "store.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_a_locked_database_can_be_tried_again(sqlite_url, tmp_path):
    with open_store(f"{sqlite_url}?timeout=0.05") as store:
        blocker = sqlite3.connect(tmp_path / "data" / "store.db", isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnreachableError, match=r"store\.db does not answer: database is locked"):
            store.add_prompt(a_prompt())
        assert store.prompts(limit=1) == []
        blocker.close()


def test_a_refused_connection_can_be_tried_again():
    with pytest.raises(
        StoreUnreachableError, match=r"postgresql\+psycopg://me:\*\*\*@127\.0\.0\.1:1/x does not answer"
    ) as caught:
        open_store(f"postgresql://me:{SECRET}@127.0.0.1:1/x")
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_wrong_password_is_not_shown(postgresql):
    with pytest.raises(StoreUnreachableError, match="password authentication failed") as caught:
        open_store(postgresql.url("postgres", password=SECRET))
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "url", ["", "store.db", "sqlite://", "sqlite:///:memory:", f"nosuch://u:{SECRET}@h/x", f"{SECRET}@@:::/"]
)
def test_a_url_that_cannot_be_meant_is_refused(url):
    with pytest.raises(InputError) as caught:
        open_store(url)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "store.db").write_text("not a database at all " * 100)
    with pytest.raises(StoreError, match=r"store\.db failed: file is not a database"):
        open_store(f"sqlite:///{tmp_path}/store.db")


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be made"):
        open_store(f"sqlite:///{tmp_path}/file/store.db")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("params", '{"seed": 1000}'),
        ("params", "[]"),
        ("params", '{"sede": 1}'),
        ("state", '{"phase": "dreaming"}'),
        ("state", "3"),
    ],
)
def test_a_run_that_does_not_fit_is_named(store, url, column, value):
    run = queued_runs(store, 1)[0]
    json_type = "text" if url.startswith("sqlite") else "json"
    execute(url, f"UPDATE runs SET {column} = CAST(:value AS {json_type})", value=value)
    with pytest.raises(RecordInvalidError, match=rf"table 'runs', row '{run.id}', field '{column}': "):
        store.runs(limit=10)


def test_a_status_and_a_family_that_nobody_knows_are_named(store, url):
    prompt = store.add_prompt(a_prompt())
    with pytest.raises(RecordInvalidError, match="field 'params': there is no family 'gone'"):
        store.run(store.add_run(a_run(prompt.id, family="gone")).id)
    run = store.add_run(a_run(prompt.id))
    execute(url, "UPDATE runs SET status = 'lost'")
    with pytest.raises(RecordInvalidError, match="field 'status'"):
        store.run(run.id)


@pytest.mark.parametrize(("table", "column"), [("prompts", "details"), ("runs", "params"), ("runs", "state"), ("jobs", "job")])
def test_what_is_no_json_is_named(sqlite_url, table, column):
    with open_store(sqlite_url) as store:
        run = queued_runs(store, 1)[0]
        job = a_job(run.id)
        store.open_job(job, host="h", owner="o", lease_s=1)
        execute(sqlite_url, f"UPDATE {table} SET {column} = '{{broken'")
        read = {
            "prompts": lambda: store.prompt(run.prompt_id),
            "runs": lambda: store.run(run.id),
            "jobs": lambda: store.job(job.id),
        }
        with pytest.raises(RecordInvalidError, match=rf"table '{table}', row '\w+', field '{column}': "):
            read[table]()
