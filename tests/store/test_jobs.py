"""Jobs: opened with all of their runs or not at all, owned by one, ended once."""

import pytest

from cosmos_ops.errors import RecordNotFoundError
from cosmos_ops.runs import Phase, RunStatus

from .builders import START, a_job, queued_runs

OPEN = {"host": "gpu1", "owner": "me", "lease_s": 60}


def test_an_open_job_starts_all_of_its_runs(store):
    runs = queued_runs(store, 3)
    job = a_job(*(run.id for run in runs))
    assert store.open_job(job, **OPEN)
    for run in runs:
        run = store.run(run.id)
        assert (run.status, run.job_id, run.phase, run.started_at) == (RunStatus.RUNNING, job.id, Phase.STAGING_IN, START)


def test_a_job_comes_back_as_it_was(store):
    job = a_job(queued_runs(store, 1)[0].id)
    store.open_job(job, **OPEN)
    record = store.job(job.id)
    assert record.job == job
    assert (record.host, record.owner, record.created_at, record.ended_at) == ("gpu1", "me", START, None)
    assert (record.lease_until - START).total_seconds() == 60


def test_one_run_that_is_gone_leaves_the_others_in_the_queue(store):
    free, taken = queued_runs(store, 2)
    store.open_job(a_job(taken.id), **OPEN)
    job = a_job(free.id, taken.id)
    assert not store.open_job(job, **OPEN)
    assert not store.open_job(a_job(free.id, "rs_unknown"), **OPEN)
    assert store.run(free.id) == free
    with pytest.raises(RecordNotFoundError, match="no job"):
        store.job(job.id)


def test_open_jobs_are_those_that_have_not_ended(store, clock):
    jobs = [a_job(run.id) for run in queued_runs(store, 3)]
    for job in jobs:
        store.open_job(job, **OPEN)
    store.end_job(jobs[1].id)
    assert {record.job.id for record in store.open_jobs()} == {jobs[0].id, jobs[2].id}
    clock.advance(5)
    store.end_job(jobs[1].id)
    assert store.job(jobs[1].id).ended_at == START


def test_the_owner_renews_its_lease(store, clock):
    job = a_job(queued_runs(store, 1)[0].id)
    store.open_job(job, **OPEN)
    clock.advance(50)
    assert store.renew_lease(job.id, owner="me", lease_s=60)
    assert not store.renew_lease(job.id, owner="you", lease_s=600)
    assert (store.job(job.id).lease_until - START).total_seconds() == 110


def test_a_job_is_taken_over_once(store):
    job = a_job(queued_runs(store, 1)[0].id)
    store.open_job(job, **OPEN)
    assert store.take_over(job.id, from_owner="me", owner="you", lease_s=60)
    assert not store.take_over(job.id, from_owner="me", owner="they", lease_s=60)
    assert not store.renew_lease(job.id, owner="me", lease_s=60)
    assert store.job(job.id).owner == "you"
    # Whoever looks after abandoned runs must see that these are in good hands.
    assert store.run(job.items[0].run_id).owner == "you"


def test_who_renewed_a_lease_in_time_keeps_the_job_from_those_who_saw_it_run_out(store, clock):
    job = a_job(queued_runs(store, 1)[0].id)
    store.open_job(job, **OPEN)
    clock.advance(61)
    seen = store.job(job.id).lease_until
    assert store.renew_lease(job.id, owner="me", lease_s=60)
    assert not store.take_over(job.id, from_owner="me", owner="you", lease_s=60, seen_lease=seen)
    assert store.job(job.id).owner == "me"
    clock.advance(61)
    seen = store.job(job.id).lease_until
    assert store.take_over(job.id, from_owner="me", owner="you", lease_s=60, seen_lease=seen)


def test_an_ended_job_has_no_new_owner(store):
    job = a_job(queued_runs(store, 1)[0].id)
    store.open_job(job, **OPEN)
    store.end_job(job.id)
    assert not store.take_over(job.id, from_owner="me", owner="you", lease_s=60)
    assert not store.renew_lease(job.id, owner="me", lease_s=60)


def test_an_unknown_job_is_named(store):
    with pytest.raises(RecordNotFoundError, match="no job 'jb_x'"):
        store.end_job("jb_x")
