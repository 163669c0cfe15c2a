"""The shared queue: who waits in it, in which order, what comes back to it, and what is known of times and costs."""

import json
from dataclasses import replace

import pytest

from cosmos_ops.errors import RecordNotFoundError
from cosmos_ops.runs import Phase, RunStatus
from cosmos_ops.sizes import SampleSize
from cosmos_ops.store import Broke, RunFilter, Waiting
from cosmos_ops.timing import JobTiming, SampleTiming

from .builders import START, a_job, a_prompt, a_run, make_store, open_store, queued, queued_runs, queueing
from .test_hosts import FIRST_VERSION, MOMENT

OPEN = {"host": "gpu1", "owner": "dispatcher", "lease_s": 60}
SIZE = SampleSize(frames=121, chunks=2, steps=35, calls_per_step=2.0, controls=1, pixels=0.5)


def ids(runs):
    return [run.id for run in runs]


def start(store, *run_ids, **values):
    job = a_job(*run_ids)
    assert store.open_job(job, **OPEN, **values)
    return job


# Who waits


def test_what_waits_is_listed_oldest_first_with_its_priority_and_its_parent(store):
    prompt = store.add_prompt(a_prompt())
    for run_id, values in {
        "rs_3": {"priority": 7},
        "rs_1": {},
        "rs_2": {"priority": -2, "parent_id": "rs_1"},
    }.items():
        store.add_run(a_run(prompt.id, id=run_id, queueing=queueing(), **values))
    assert store.waiting() == [Waiting("rs_1", 0, None), Waiting("rs_2", -2, "rs_1"), Waiting("rs_3", 7, None)]


@pytest.mark.parametrize("status", RunStatus)
def test_only_queued_runs_of_the_shared_queue_wait(store, status):
    prompt = store.add_prompt(a_prompt())
    shared = store.add_run(a_run(prompt.id, queueing=queueing(), status=status))
    store.add_run(a_run(prompt.id, status=status))
    assert [waiting.run_id for waiting in store.waiting()] == ([shared.id] if status is RunStatus.QUEUED else [])


def test_who_is_claimed_or_cancelled_waits_no_more(store):
    claimed, cancelled, left = queued(store, 3)
    start(store, claimed.id)
    store.request_stop([cancelled.id])
    assert [waiting.run_id for waiting in store.waiting()] == [left.id]


def test_a_priority_goes_to_those_who_wait_and_to_nobody_else(store):
    claimed, ended, left, other = queued(store, 4, priority=1)
    (direct,) = queued_runs(store, 1)
    start(store, claimed.id)
    store.finish(ended.id, RunStatus.CANCELLED)
    assert store.set_priority([*ids([claimed, ended, left, direct]), "rs_unknown", left.id], 9) == 1
    assert store.set_priority([], 9) == 0
    assert [store.run(run.id).priority for run in (claimed, ended, left, other, direct)] == [1, 1, 9, 1, 0]


@pytest.mark.parametrize("change", ["set_priority", "request_stop", "requeue", "set_phase"])
def test_a_change_takes_more_ids_than_one_statement(store, change):
    first, last = queued(store, 2)
    run_ids = [first.id, *(f"rs_{n}" for n in range(70_000)), last.id]
    arguments = {"set_priority": (run_ids, 3), "set_phase": (run_ids, Phase.SAMPLING)}.get(change, (run_ids,))
    if change in ("requeue", "set_phase"):
        start(store, first.id, last.id)
    getattr(store, change)(*arguments)
    after = [store.run(run.id) for run in (first, last)]
    expected = {
        "set_priority": lambda run: run.priority == 3,
        "request_stop": lambda run: run.status is RunStatus.CANCELLED,
        "requeue": lambda run: run.status is RunStatus.QUEUED,
        "set_phase": lambda run: run.phase is Phase.SAMPLING,
    }[change]
    assert all(expected(run) for run in after)


def test_runs_of_ids_come_once_each_oldest_first(store):
    runs = queued(store, 3)
    asked = [runs[2].id, *(f"rs_{n}" for n in range(2_000)), runs[0].id, runs[2].id, runs[1].id]
    assert store.runs_of_ids(asked) == sorted(runs, key=lambda run: run.id)


# Claimed and back


def test_a_job_makes_the_runs_those_of_its_flow_run_and_of_its_owner(store):
    queued_run, other = queued(store, 2, flow_run_id="submit")
    start(store, queued_run.id, flow_run_id="dispatch")
    start(store, other.id)
    assert [(store.run(run.id).flow_run_id, store.run(run.id).owner) for run in (queued_run, other)] == [
        ("dispatch", "dispatcher"),
        ("submit", "dispatcher"),
    ]


@pytest.mark.parametrize(
    ("brokes", "breaks", "breaks_alone"),
    [
        ([Broke.NOT], 0, 0),
        ([Broke.WITH_OTHERS], 1, 0),
        ([Broke.ALONE], 1, 1),
        ([Broke.WITH_OTHERS, Broke.NOT, Broke.ALONE, Broke.ALONE], 3, 2),
    ],
)
def test_breaks_are_counted_and_stay(store, brokes, breaks, breaks_alone):
    (run,) = queued(store, 1, priority=4)
    for broke in brokes:
        job = start(store, run.id, flow_run_id="dispatch")
        assert store.requeue([run.id], job_id=job.id, broke=broke) == 1
        # A second report of the same failure counts nothing.
        assert store.requeue([run.id], job_id=job.id, broke=broke) == 0
    assert store.run(run.id) == replace(run, breaks=breaks, breaks_alone=breaks_alone)
    assert store.waiting() == [Waiting(run.id, 4, None)]
    store.finish(run.id, RunStatus.FAILED)
    assert (store.run(run.id).breaks, store.run(run.id).breaks_alone) == (breaks, breaks_alone)


def test_a_run_of_the_queue_goes_back_to_nobody_and_a_direct_one_to_its_own(store):
    prompt = store.add_prompt(a_prompt())
    shared = store.add_run(a_run(prompt.id, queueing=queueing(), flow_run_id="submit"))
    direct = store.add_run(a_run(prompt.id, flow_run_id="inference", owner="me"))
    job = start(store, shared.id, direct.id)
    assert store.requeue([shared.id, direct.id], job_id=job.id) == 2
    shared, direct = store.run(shared.id), store.run(direct.id)
    assert (shared.flow_run_id, shared.owner, shared.job_id, shared.started_at) == (None, None, None, None)
    assert (direct.flow_run_id, direct.owner, direct.job_id, direct.started_at) == ("inference", "dispatcher", None, None)
    assert ids(store.runs(RunFilter(flow_run_id="inference"), limit=10)) == [direct.id]


# Times and costs


def test_a_job_keeps_its_times(store, clock):
    (run,) = queued(store, 1)
    timing = JobTiming("transfer1", ("edge",), 1, (SampleTiming(run.id, SIZE, predicted_s=80.5),), predicted_load_s=40.0)
    job = start(store, run.id, timing=timing)
    assert store.job(job.id).timing == timing
    later = replace(timing, gpus="0,1", started_at=START, samples=(SampleTiming(run.id, SIZE, 80.5, START, START),))
    store.set_timing(job.id, later)
    store.end_job(job.id)
    store.set_timing(job.id, replace(later, home_at=START))
    assert store.job(job.id).timing == replace(later, home_at=START)
    assert store.job(job.id).ended_at == START


def test_a_job_without_times_has_none_and_one_that_is_not_there_gets_none(store):
    (run,) = queued(store, 1)
    timing = JobTiming("m", (), 0)
    with pytest.raises(RecordNotFoundError, match="no job 'jb_x'"):
        store.set_timing("jb_x", timing)
    assert store.job(start(store, run.id).id).timing is None


def test_recent_jobs_are_the_newest_whether_they_ended_or_not(store):
    jobs = [start(store, run.id, timing=JobTiming(str(n), (), 0)) for n, run in enumerate(queued(store, 3))]
    store.end_job(jobs[1].id)
    assert [record.job.id for record in store.recent_jobs(limit=2)] == [jobs[2].id, jobs[1].id]
    assert [record.timing.model for record in store.recent_jobs(limit=10)] == ["2", "1", "0"]


def test_costs_are_kept_by_model_and_type_of_gpu(store):
    assert store.costs() == {}
    store.save_costs({("transfer1", "H100"): {"load_s": 1.5}, ("transfer1", "A100"): {"load_s": 3, "more": {"n": [1, None]}}})
    store.save_costs({("transfer1", "H100"): {"load_s": 2.5}, ("ü/super", ""): {}})
    store.save_costs({})
    assert store.costs() == {
        ("transfer1", "H100"): {"load_s": 2.5},
        ("transfer1", "A100"): {"load_s": 3, "more": {"n": [1, None]}},
        ("ü/super", ""): {},
    }


# A store of before


def test_a_store_without_a_queue_gets_one_and_keeps_all_that_is_in_it(url, tmp_path):
    (tmp_path / "data").mkdir()
    make_store(url, "0002", SECOND_VERSION)
    with open_store(url) as store:
        direct, job = store.run("rs_1"), store.job("jb_1")
        assert (direct.status, direct.phase, direct.stop_requested_at) == (RunStatus.RUNNING, Phase.SAMPLING, START)
        assert (direct.queueing, direct.priority, direct.breaks, direct.breaks_alone) == (None, 0, 0, 0)
        assert (job.timing, [item.run_id for item in job.job.items]) == (None, ["rs_1"])
        assert store.faults("gpu1", within_s=1e10) == ["away"]
        assert store.to_stop("jb_1") == {"rs_1"}
        assert (store.waiting(), store.costs(), store.holder("dispatch")) == ([], {}, None)
        assert store.requeue(["rs_1"], job_id="jb_1") == 0
        (run,) = queued(store, 1)
        assert {*ids(store.runs(limit=10))} == {run.id, "rs_1"}
        assert [waiting.run_id for waiting in store.waiting()] == [run.id]


STATE = {"owner": "me", "phase": "sampling", "phase_since": None, "stop_requested_at": START.isoformat(), "started_at": None}
ITEM = {"run_id": "rs_1", "folder": "out", "markers": ["out/done"]}
CONTAINER = {"image": "preview", "argv": ["python"], "env": {}, "gpu_count": 0}
JOB = {"id": "jb_1", "operation": "inference", "family": "preview", "inputs": [], "files": [], "stall_limit_s": 60.0}
SECOND_VERSION = {
    "prompts": FIRST_VERSION["prompts"],
    "runs": {**FIRST_VERSION["runs"], "state": json.dumps({**STATE, "ended_at": None, "outputs": {}, "failure": None})},
    "jobs": {
        **FIRST_VERSION["jobs"],
        "waiting_since": MOMENT,
        "job": json.dumps({**JOB, "container": CONTAINER, "items": [ITEM]}),
    },
    "host_faults": {"id": "hf_1", "host": "gpu1", "happened_at": MOMENT, "message": "away"},
}
"""Rows as the version before this one wrote them."""
