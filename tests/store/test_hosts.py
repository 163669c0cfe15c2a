"""What the store remembers of hosts: who waits for a slot, what is to stop, what failed, and whose containers are whose."""

import json

import pytest

from cosmos_ops.runs import Phase, RunStatus

from .builders import START, a_job, make_store, open_store, queued_runs

OPEN = {"owner": "me", "lease_s": 60}


def open_jobs(store, count, host="gpu1"):
    jobs = [a_job(run.id) for run in queued_runs(store, count)]
    for job in jobs:
        assert store.open_job(job, host=host, **OPEN)
    return [job.id for job in jobs]


# Waiting for a slot


def test_jobs_wait_in_the_order_in_which_they_asked(store, clock):
    first, second, third = open_jobs(store, 3)
    assert store.wait_for_slot(second) == 0
    clock.advance(1)
    assert store.wait_for_slot(third) == 1
    clock.advance(1)
    assert store.wait_for_slot(first) == 2
    assert [store.wait_for_slot(job) for job in (first, second, third)] == [2, 0, 1]


def test_who_got_a_slot_or_ended_is_waited_for_no_more(store, clock):
    jobs = open_jobs(store, 3)
    for job in jobs:
        store.wait_for_slot(job)
        clock.advance(1)
    store.got_slot(jobs[0])
    assert store.wait_for_slot(jobs[2]) == 1
    store.end_job(jobs[1])
    assert store.wait_for_slot(jobs[2]) == 0


def test_nobody_waits_for_a_job_whose_owner_stopped_renewing_or_for_another_host(store, clock):
    (dead,) = open_jobs(store, 1)
    store.wait_for_slot(dead)
    (elsewhere,) = open_jobs(store, 1, host="gpu2")
    store.wait_for_slot(elsewhere)
    clock.advance(61)
    (mine,) = open_jobs(store, 1)
    assert store.wait_for_slot(mine) == 0


# Stopping


def test_a_run_in_the_queue_ends_at_once(store):
    run, other = queued_runs(store, 2)
    assert store.request_stop([run.id]) == []
    assert (store.run(run.id).status, store.run(other.id).status) == (RunStatus.CANCELLED, RunStatus.QUEUED)


def test_a_running_run_is_to_stop_and_its_neighbours_are_not(store, clock):
    run, neighbour = queued_runs(store, 2)
    job = a_job(run.id, neighbour.id)
    store.open_job(job, host="gpu1", **OPEN)
    clock.advance(5)
    assert store.request_stop([run.id]) == [run.id]
    clock.advance(5)
    store.request_stop([run.id])

    assert store.to_stop(job.id) == {run.id}
    assert (store.run(run.id).stop_requested_at - START).total_seconds() == 5
    assert store.run(run.id).status is RunStatus.RUNNING
    assert store.run(neighbour.id).stop_requested_at is None


def test_what_is_to_stop_ends_instead_of_going_back_into_the_queue(store):
    run, neighbour = queued_runs(store, 2)
    job = a_job(run.id, neighbour.id)
    store.open_job(job, host="gpu1", **OPEN)
    store.request_stop([run.id])

    assert store.requeue([run.id, neighbour.id], job_id=job.id) == 1
    assert [store.run(one.id).status for one in (run, neighbour)] == [RunStatus.CANCELLED, RunStatus.QUEUED]
    assert store.to_stop(job.id) == frozenset()


def test_a_final_run_cannot_be_stopped(store):
    (run,) = queued_runs(store, 1)
    store.finish(run.id, RunStatus.COMPLETED)
    assert store.request_stop([run.id]) == []
    assert store.run(run.id).status is RunStatus.COMPLETED


def test_a_phase_says_since_when(store, clock):
    (run,) = queued_runs(store, 1)
    job = a_job(run.id)
    store.open_job(job, host="gpu1", **OPEN)
    assert store.run(run.id).phase_since == START
    clock.advance(7)
    store.set_phase([run.id], Phase.LOST_CONTACT, job_id=job.id)
    clock.advance(7)
    store.set_phase([run.id], Phase.LOST_CONTACT, job_id=job.id)
    assert (store.run(run.id).phase_since - START).total_seconds() == 7


# Faults


def test_faults_are_counted_within_a_time_and_forgotten_when_the_host_works(store, clock):
    for message in ("one", "two", "three"):
        store.note_fault("gpu1", message)
        clock.advance(100)
    store.note_fault("gpu2", "other")
    assert store.faults("gpu1", within_s=600) == ["three", "two", "one"]
    assert store.faults("gpu1", within_s=150) == ["three"]
    store.clear_faults("gpu1")
    assert (store.faults("gpu1", within_s=600), store.faults("gpu2", within_s=600)) == ([], ["other"])


# The store itself


def test_a_store_keeps_its_id_and_no_two_have_the_same(store, url, tmp_path):
    with open_store(url) as again, open_store(f"sqlite:///{tmp_path}/other.db") as other:
        assert again.id == store.id
        assert store.id.startswith("st_")
        assert other.id != store.id


def test_a_store_of_the_first_version_is_brought_up_to_date_with_all_that_is_in_it(url, tmp_path):
    (tmp_path / "data").mkdir()
    make_store(url, "0001", FIRST_VERSION)
    with open_store(url) as store:
        assert store.run("rs_1").phase is Phase.SAMPLING
        assert store.run("rs_1").stop_requested_at is None
        assert store.job("jb_1").job.container.gpu_count == 1
        assert store.wait_for_slot("jb_1") == 0


MOMENT = "2030-01-02 03:04:05.000000"
FIRST_VERSION = {
    "prompts": {"id": "ps_1", "created_at": MOMENT, "name": "", "text": "a car", "details": "{}"},
    "runs": {
        "id": "rs_1",
        "created_at": MOMENT,
        "prompt_id": "ps_1",
        "operation": "inference",
        "family": "preview",
        "status": "running",
        "request_key": "rq",
        "job_id": "jb_1",
        "params": "{}",
        "state": json.dumps({"owner": "me", "phase": "sampling", "started_at": None, "outputs": {}, "failure": None}),
    },
    "jobs": {
        "id": "jb_1",
        "created_at": MOMENT,
        "host": "gpu1",
        "owner": "me",
        "lease_until": MOMENT,
        "job": json.dumps(
            {
                "id": "jb_1",
                "operation": "inference",
                "family": "preview",
                "container": {"image": "preview", "argv": ["python"], "env": {}},
                "inputs": [],
                "files": [],
                "items": [{"run_id": "rs_1", "folder": "out", "marker": "out/done"}],
                "stall_limit_s": 60.0,
            }
        ),
    },
}
"""Rows as version 0.1.0 wrote them."""


def test_a_job_that_is_not_there_cannot_wait(store):
    with pytest.raises(KeyError, match="no job"):
        store.wait_for_slot("jb_none")
