"""`cosmos costs` shows what is known of costs, and how well the last jobs were predicted."""

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from cosmos_ops.cost_keeping import learn
from cosmos_ops.planning import PUBLISHED
from cosmos_ops.store import Store
from deployments.costs import COLUMNS, JOBS_JUDGED, JOBS_SHOWN, costs_command
from tests.builders import opened_store
from tests.store.builders import START, a_job
from tests.test_cost_keeping import NEEDS, a_timing


def costs(*arguments):
    done = CliRunner().invoke(costs_command, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def finished(store: Store, seconds, **values):
    """A job of one run of transfer25 on an H100 that took so long."""
    job = a_job()
    timing = a_timing(load_s=135.0, samples=[(NEEDS.size, seconds)], **values)
    assert store.open_job(job, host="render-a", owner="me", lease_s=9, timing=timing)
    store.end_job(job.id)
    return job.id


@pytest.fixture
def store(home):
    with opened_store() as opened:
        yield opened


def rows(output):
    """Model and GPU type to the line of the table."""
    table = output.partition("\n\n")[0].splitlines()
    assert table[0].split() == " ".join(COLUMNS).split()
    return {tuple(line[: table[0].index("cold")].split(maxsplit=1)): line for line in table[1:]}


def test_before_the_first_job_the_start_values_are_shown(store):
    output = costs()

    shown = rows(output)
    assert {tuple(part.strip() for part in key) for key in shown} == set(PUBLISHED.known)
    assert all("start value" in line for line in shown.values())
    assert "transfer25: 93 frames of 720p, one chunk, 35 x 2 calls, one control" in output
    assert "No job has finished yet" in output


def test_what_jobs_took_is_shown_beside_what_was_expected(store):
    ids = [finished(store, seconds) for seconds in (365.0, 500.0, 865.0)]

    output = costs()

    told = output.splitlines()[-4:]
    assert told[:3] == [
        f"{ids[2]}  transfer25 on render-a (H100): predicted 635 s, took 1000 s (-36 %)",
        f"{ids[1]}  transfer25 on render-a (H100): predicted 635 s, took 635 s (+0 %)",
        f"{ids[0]}  transfer25 on render-a (H100): predicted 635 s, took 500 s (+27 %)",
    ]
    assert told[3] == "Median error of the last 3 jobs: 27 %"


def test_what_was_learnt_takes_the_place_of_the_start_values(store):
    for _ in range(30):
        finished(store, 1200.0)
    learn(store)

    found = json.loads(costs("--json"))

    (record,) = [one for one in found["costs"] if (one["model"], one["gpu_type"]) == ("transfer25", "H100")]
    prior = PUBLISHED.of("transfer25", "H100")
    assert record["sample_count"] == 30
    assert record["error"] < 0.1
    assert record["cold_load_s"] == pytest.approx(135.0, rel=0.05)
    assert record["warm_load_s"] < record["cold_load_s"]
    assert record["sample_s"] / prior.sample_s(replace(NEEDS.size, frames=93, chunks=1)) == pytest.approx(
        1200.0 / prior.sample_s(NEEDS.size), rel=0.1
    )
    others = [one for one in found["costs"] if one is not record]
    assert {one["sample_count"] for one in others} == {0}
    assert record["coefficients"]["call_s"] > prior.call_s


def test_json_has_the_last_jobs_and_their_median_error(store):
    for _ in range(JOBS_JUDGED):
        finished(store, 1135.0)
    for _ in range(JOBS_SHOWN):
        finished(store, 365.0)

    found = json.loads(costs("--json"))

    assert len(found["jobs"]) == JOBS_JUDGED
    assert {key: found["jobs"][0][key] for key in ("host", "predicted_s", "took_s", "error")} == {
        "host": "render-a",
        "predicted_s": 635.0,
        "took_s": 500.0,
        "error": pytest.approx(0.27),
    }
    assert found["median_error"] == pytest.approx(0.5)


def test_jobs_that_were_not_followed_to_their_end_are_not_shown(store):
    finished(store, 100.0, is_observed=False)
    finished(store, 100.0, ended_at=None)
    finished(store, 100.0, started_at=None)
    finished(store, 100.0, ended_at=START)

    assert "No job has finished yet" in costs()
