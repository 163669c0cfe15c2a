"""Many at once: threads and processes that want the same thing get it once."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from itertools import chain

import pytest

from cosmos_ops.runs import RunStatus
from cosmos_ops.store import RunFilter

from .builders import a_job, a_prompt, a_run, open_store, queued_runs

OPEN = {"host": "gpu1", "lease_s": 60}


@pytest.fixture
def processes():
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


def claim_all(store, run_ids, owner):
    """Claim runs one by one and in pairs, and say which ones were won."""
    won = []
    for n, run_id in enumerate(run_ids):
        wanted = run_ids[n : n + 1 + n % 2]
        if store.open_job(a_job(*reversed(wanted)), owner=owner, **OPEN):
            won += wanted
        elif store.open_job(a_job(run_id), owner=owner, **OPEN):
            won.append(run_id)
    return won


def claim_in_a_process(url, run_ids, owner):
    with open_store(url) as store:
        return claim_all(store, run_ids, owner)


def open_fresh(url):
    with open_store(url) as store:
        return store.add_prompt(a_prompt()).id


def test_eight_threads_make_one_run_of_one_request(store):
    prompt = store.add_prompt(a_prompt())
    with ThreadPoolExecutor(8) as pool:
        for attempt in range(5):
            made = list(pool.map(lambda n: store.add_run(a_run(prompt.id, seed=n, request_key=f"k{attempt}")), range(8)))  # noqa: B023
            assert len({run.id for run in made}) == 1
            assert len(set(made)) == 1
    assert len(store.runs(limit=100)) == 5


def test_threads_claim_each_run_once(store):
    run_ids = [run.id for run in queued_runs(store, 20)]
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda n: claim_all(store, run_ids, str(n)), range(8)))
    assert sorted(chain.from_iterable(won)) == sorted(run_ids)
    assert sum(len(record.job.items) for record in store.open_jobs()) == 20


def test_processes_claim_each_run_once(url, store, processes):
    run_ids = [run.id for run in queued_runs(store, 20)]
    won = [processes.submit(claim_in_a_process, url, run_ids, str(n)) for n in range(4)]
    assert sorted(chain.from_iterable(future.result() for future in won)) == sorted(run_ids)
    assert store.count_runs()[RunStatus.RUNNING] == 20


def test_one_final_status_wins(store):
    runs = queued_runs(store, 10)
    ends = [RunStatus.COMPLETED, RunStatus.CANCELLED, RunStatus.FAILED, RunStatus.BLOCKED]
    with ThreadPoolExecutor(4) as pool:
        for run in runs:
            took_effect = list(pool.map(lambda status: store.finish(run.id, status), ends))  # noqa: B023
            assert store.run(run.id).status is ends[took_effect.index(True)]
            assert took_effect.count(True) == 1


def test_processes_that_open_a_fresh_database_at_once_all_succeed(url, processes):
    made = {future.result() for future in [processes.submit(open_fresh, url) for _ in range(8)]}
    with open_store(url) as store:
        assert {prompt.id for prompt in store.prompts(limit=100)} == made


def test_threads_that_open_a_fresh_database_at_once_all_succeed(url):
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: open_fresh(url), range(8)))) == 8


def test_readers_and_writers_do_not_disturb_each_other(store):
    prompt = store.add_prompt(a_prompt())
    with ThreadPoolExecutor(8) as pool:
        writers = [pool.submit(store.add_run, a_run(prompt.id)) for _ in range(100)]
        readers = [pool.submit(store.runs, RunFilter(prompt_id=prompt.id), limit=200) for _ in range(100)]
        seen = [len(reader.result()) for reader in readers]
    assert all(0 <= n <= 100 for n in seen)
    assert len({writer.result().id for writer in writers}) == 100 == len(store.runs(limit=200))
