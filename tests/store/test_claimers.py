"""Ten claimers of one queue that are killed and stopped at random: no run is claimed twice at a time, and none is lost."""

import multiprocessing
import os
import random
import signal
import time

import pytest

from cosmos_ops.runs import RunStatus

from .builders import open_store, queued
from .claimers import LEASE_S, Log, Referee, claimer, now, read_logs

RUNS = 300
CLAIMERS = 10
KILLS = 15
STOPS = 2
LIMIT_S = 120


class Claimers:
    """Keeps ten of them alive, whatever happens to them."""

    def __init__(self, url, folder, seed) -> None:
        self.url, self.folder = url, folder
        self.random = random.Random(seed)
        self.log = Log(folder / "referee.log")
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["tests.store.claimers"])
        self.alive = {}
        self.started = 0

    def start(self) -> None:
        values = (self.url, self.folder, self.started, self.random.random())
        self.alive[self.started] = self.context.Process(target=claimer, args=values, daemon=True)
        self.alive[self.started].start()
        self.started += 1

    def kill_one_and_start_another(self) -> None:
        number, process = self.random.choice([*self.alive.items()])
        self.log.write("kills", number=number)
        process.kill()
        process.join()
        del self.alive[number]
        self.start()

    def stop_one_for_a_while(self) -> None:
        """Like a laptop that is closed: it goes on after its leases have run out."""
        process = self.random.choice([*self.alive.values()])
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(1.5 * LEASE_S)
        os.kill(process.pid, signal.SIGCONT)

    def clean_up(self) -> None:
        for process in self.alive.values():
            process.kill()
            process.join()


def test_ten_claimers_that_die_at_random_claim_each_run_once_at_a_time_and_lose_none(url, tmp_path):
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    with open_store(url, now=now) as store:
        runs = queued(store, RUNS)
        claimers = Claimers(url, tmp_path, seed)
        try:
            _let_work(claimers, store)
            for process in claimers.alive.values():
                process.join(LIMIT_S)
                # A claimer that failed has said why.
                assert process.exitcode == 0
        finally:
            claimers.clean_up()
        assert {store.run(run.id).status for run in runs} == {RunStatus.COMPLETED}
        assert (store.waiting(), store.open_jobs()) == ([], [])

    referee = Referee()
    referee.judge(read_logs(tmp_path))
    print(f"{referee.killed_with_job} held a job when they were killed; {referee.counts}")
    assert referee.problems == []
    assert referee.killed_with_job > 0
    assert referee.counts["takes over"] > 0
    assert referee.counts["refused"] > 0


def _let_work(claimers, store):
    for _ in range(CLAIMERS):
        claimers.start()
    harm = [claimers.kill_one_and_start_another] * KILLS + [claimers.stop_one_for_a_while] * STOPS
    claimers.random.shuffle(harm)
    until = time.monotonic() + LIMIT_S
    while (completed := store.count_runs()[RunStatus.COMPLETED]) < RUNS:
        assert time.monotonic() < until, store.count_runs()
        # By what is done and not by time, so that on a slow machine it does not all happen before they have begun.
        if harm and completed > RUNS * (1 - len(harm) / (KILLS + STOPS)):
            harm.pop()()
        time.sleep(claimers.random.uniform(0.02, 0.1))


# The referee itself


def claims(at, job, *runs, owner="a", lease=10.0):
    return {"at": at, "event": "claims", "owner": owner, "job": job, "runs": runs, "lease": lease}


def takes_over(at, job, *runs, owner="b", loser="a", lease=20.0):
    return {**claims(at, job, *runs, owner=owner, lease=lease), "event": "takes over", "loser": loser}


def release(at, job, run, *, is_done=True, took_effect=True):
    values = {"owner": "a", "job": job, "run": run, "is_done": is_done, "began": at}
    return [
        {"at": at, "event": "releases", **values},
        {"at": at + 0.1, "event": "released", "took_effect": took_effect, **values},
    ]


STARTS = {"at": 0.0, "event": "starts", "owner": "a", "number": 1}
KILLS_A = {"at": 3.0, "event": "kills", "number": 1}


@pytest.mark.parametrize(
    ("events", "problems"),
    [
        ([claims(1, "j1", "r1", "r2"), claims(2, "j2", "r3"), *release(3, "j1", "r1")], []),
        ([claims(1, "j1", "r1"), claims(2, "j2", "r1", owner="b")], ["r1 was claimed by j2 while j1 had it"]),
        ([claims(1, "j1", "r1"), *release(2, "j1", "r1", is_done=False), claims(3, "j2", "r1")], []),
        # A release without effect ends no claim; one of which nobody knows the effect may have ended it.
        (
            [claims(1, "j1", "r1"), *release(2, "j1", "r1", took_effect=False), claims(3, "j2", "r1")],
            ["r1 was claimed by j2 while j1 had it"],
        ),
        ([claims(1, "j1", "r1"), release(2, "j1", "r1", is_done=False)[0], claims(3, "j2", "r1")], []),
        ([claims(1, "j1", "r1"), *release(2, "j1", "r1"), *release(3, "j1", "r1")], ["r1 was completed 2 times"]),
        # Before the lease has run out, a job may be taken only from who was killed.
        ([claims(1, "j1", "r1"), takes_over(4, "j1", "r1")], ["b took j1 from a, whose lease had not run out"]),
        ([claims(1, "j1", "r1"), takes_over(11, "j1", "r1")], []),
        ([STARTS, claims(1, "j1", "r1"), KILLS_A, takes_over(4, "j1", "r1")], []),
        # The job goes on with its new owner, and may have been claimed by one that was killed before it could say so.
        (
            [STARTS, KILLS_A, takes_over(4, "j1", "r1"), claims(5, "j2", "r1", owner="c")],
            ["r1 was claimed by j2 while j1 had it"],
        ),
        ([takes_over(4, "j1", "r1"), *release(5, "j1", "r1", is_done=False), claims(6, "j2", "r1"), claims(7, "j1", "r1")], []),
    ],
)
def test_the_referee_sees_what_is_wrong_and_nothing_else(events, problems):
    referee = Referee()
    referee.judge(events)
    assert referee.problems == problems


@pytest.mark.parametrize(
    ("events", "count"),
    [
        ([], 0),
        ([claims(1, "j1", "r1")], 1),
        ([claims(1, "j1", "r1"), {"at": 2.0, "event": "ends", "owner": "a", "job": "j1"}], 0),
        ([claims(1, "j1", "r1"), takes_over(2, "j1", "r1")], 0),
    ],
)
def test_the_referee_counts_those_who_held_a_job_when_they_were_killed(events, count):
    referee = Referee()
    referee.judge([STARTS, *events, KILLS_A])
    assert referee.killed_with_job == count
