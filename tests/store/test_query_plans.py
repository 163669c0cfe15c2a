"""With a million runs a page is still a walk along an index: no scan of the table, no sorting."""

import sqlite3

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.dialects import sqlite

from cosmos_ops.runs import RunStatus
from cosmos_ops.store import RunFilter, queries

from .builders import open_store, queued

QUEUED, FAILED = (RunStatus.QUEUED,), (RunStatus.FAILED,)


@pytest.fixture
def plan(sqlite_url, tmp_path):
    open_store(sqlite_url).close()
    connection = sqlite3.connect(tmp_path / "data" / "store.db")

    def explain(statement):
        sql = str(statement.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
        return "\n".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}"))

    yield explain
    connection.close()


FILTERS = {
    "operation": RunFilter(operation="x"),
    "family": RunFilter(family="x"),
    "status": RunFilter(status=QUEUED),
    "prompt_id": RunFilter(prompt_id="x"),
    "parent_id": RunFilter(parent_id="x"),
    "flow_run_id": RunFilter(flow_run_id="x"),
    "job_id": RunFilter(job_id="x"),
}


@pytest.mark.parametrize("before", [None, "rs_5"])
@pytest.mark.parametrize("column", FILTERS)
def test_a_page_of_one_filter_walks_its_index(plan, column, before):
    steps = plan(queries.run_page(FILTERS[column], limit=50, before=before))
    assert f"USING INDEX ix_runs_{column}_id ({column}=?" in steps
    assert "SCAN" not in steps
    assert "TEMP B-TREE" not in steps


@pytest.mark.parametrize(
    ("wanted", "column"),
    [
        (RunFilter(status=QUEUED, operation="x", family="x"), "status"),
        (RunFilter(status=QUEUED, operation="x", family="x", prompt_id="x"), "prompt_id"),
        (RunFilter(status=QUEUED, job_id="x"), "job_id"),
    ],
)
def test_the_most_selective_filter_leads(plan, wanted, column):
    steps = plan(queries.run_page(wanted, limit=50, before="rs_5"))
    assert f"USING INDEX ix_runs_{column}_id" in steps
    assert "TEMP B-TREE" not in steps


def test_several_statuses_are_one_short_walk_each(plan):
    steps = plan(queries.run_page(RunFilter(status=QUEUED + FAILED), limit=50, before="rs_5"))
    assert steps.count("ix_runs_status_id (status=? AND id<?)") == 2
    assert "SCAN runs" not in steps
    assert "TEMP B-TREE" not in steps


def test_the_newest_runs_and_prompts_are_read_from_the_end_of_the_key(plan):
    for statement in (queries.run_page(RunFilter(), limit=50, before=None), queries.prompt_page("", limit=50, before=None)):
        assert "sqlite_autoindex" in plan(statement)
        assert "TEMP B-TREE" not in plan(statement)


def test_a_request_key_and_the_open_jobs_are_searched(plan):
    assert "SEARCH runs USING INDEX" in plan(queries.run_with_key("x"))
    steps = plan(queries.jobs_not_ended())
    assert "SEARCH jobs USING INDEX ix_jobs_ended_at_id" in steps
    assert "TEMP B-TREE" not in steps


def test_the_runs_that_wait_in_the_queue_are_searched_however_many_others_there_are(plan):
    steps = plan(queries.waiting_runs())
    assert "SEARCH runs USING INDEX ix_runs_status_id (status=?)" in steps
    assert "TEMP B-TREE" not in steps


def test_postgresql_searches_them_too(postgresql):
    url = postgresql.new_database()
    with open_store(url) as store:
        (run,) = queued(store, 1)
    engine = create_engine(url)
    with engine.begin() as connection:
        others = """
            INSERT INTO runs
            SELECT (jsonb_populate_record(runs, jsonb_build_object('id', 'rx_' || n, 'request_key', n, 'status', 'completed'))).*
            FROM runs, generate_series(1, 20000) AS n WHERE id = :id
        """
        connection.execute(text(others), {"id": run.id})
        connection.execute(text("ANALYZE runs"))
        sql = str(queries.waiting_runs().compile(connection, compile_kwargs={"literal_binds": True}))
        steps = "\n".join(row[0] for row in connection.execute(text(f"EXPLAIN {sql}")))
    engine.dispose()
    assert "Index Only Scan using ix_runs_waiting on runs" in steps
    assert "Sort" not in steps


def test_the_runs_of_a_request_are_a_range_of_the_keys(plan):
    steps = plan(queries.runs_of_request("x"))
    assert "(request_key>? AND request_key<?)" in steps
    assert "SCAN" not in steps
