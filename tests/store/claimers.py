"""Claimers of queued runs for the tests, processes that may be killed at any moment, and the referee who reads their logs."""

import json
import os
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

from cosmos_ops.owners import is_gone, this_process
from cosmos_ops.runs import RunStatus
from cosmos_ops.store import JobRecord, RunFilter, Store

from .builders import a_job, open_store

LEASE_S = 1.0
UNFINISHED = RunFilter(status=(RunStatus.QUEUED, RunStatus.RUNNING))
EPOCH = datetime(2030, 1, 1, tzinfo=timezone.utc)


def now() -> datetime:
    """A clock that all processes of this machine share, and that nobody sets."""
    return EPOCH + timedelta(seconds=time.monotonic())


@dataclass
class Log:
    """The events of one process, in a file that only it appends to; a line is there once the call has returned."""

    path: Path

    def write(self, event: str, **values: Any) -> None:
        line = json.dumps({"at": time.monotonic(), "event": event, **values}) + "\n"
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(file, line.encode())
        os.close(file)


def read_logs(folder: Path) -> list[dict[str, Any]]:
    """The events of all processes in the order in which they happened."""
    # The last line of a process that was killed may be cut.
    lines = [line for path in folder.glob("*.log") for line in path.read_text().splitlines(keepends=True)]
    return sorted((json.loads(line) for line in lines if line.endswith("\n")), key=lambda event: event["at"])


@dataclass
class Claimer:
    """Claims runs and works on them until none is left; whoever holds its jobs when it is gone finishes them."""

    store: Store
    log: Log
    owner: str
    random: random.Random

    def work(self) -> None:
        while True:
            self.look_after_others()
            waiting = [run.run_id for run in self.store.waiting()]
            if waiting:
                # From a few of the oldest, so that several want the same ones.
                oldest = waiting[:12]
                self.claim(self.random.sample(oldest, min(len(oldest), self.random.randint(1, 4))))
            elif not sum(self.store.count_runs(UNFINISHED).values()) and not self.store.open_jobs():
                return
            else:
                time.sleep(0.05)

    def claim(self, run_ids: Sequence[str]) -> None:
        job = a_job(*run_ids)
        self.log.write("wants", owner=self.owner, job=job.id, runs=run_ids)
        lease_until = time.monotonic() + LEASE_S
        if self.store.open_job(job, host="gpu1", owner=self.owner, lease_s=LEASE_S):
            self.log.write("claims", owner=self.owner, job=job.id, runs=run_ids, lease=lease_until)
            self.carry_out(job.id, run_ids)
        else:
            self.log.write("refused", owner=self.owner, job=job.id)

    def carry_out(self, job_id: str, run_ids: Iterable[str]) -> None:
        for run_id in run_ids:
            time.sleep(self.random.uniform(0.01, 0.15))
            lease_until = time.monotonic() + LEASE_S
            if not self.store.renew_lease(job_id, owner=self.owner, lease_s=LEASE_S):
                self.log.write("lost", owner=self.owner, job=job_id)
                return
            self.log.write("renews", owner=self.owner, job=job_id, lease=lease_until)
            self.release(job_id, run_id, is_done=self.random.random() < 0.9)
        self.store.end_job(job_id)
        self.log.write("ends", owner=self.owner, job=job_id)

    def release(self, job_id: str, run_id: str, *, is_done: bool) -> None:
        """Finish a run, or put it back."""
        values = {"owner": self.owner, "job": job_id, "run": run_id, "is_done": is_done, "began": time.monotonic()}
        self.log.write("releases", **values)
        if is_done:
            took_effect = self.store.finish(run_id, RunStatus.COMPLETED, job_id=job_id)
        else:
            took_effect = self.store.requeue([run_id], job_id=job_id) == 1
        self.log.write("released", took_effect=took_effect, **values)

    def look_after_others(self) -> None:
        for found in self.store.open_jobs():
            is_out = found.lease_until < now()
            if found.owner != self.owner and (is_out or is_gone(found.owner)):
                self.take_over(found, is_out=is_out)

    def take_over(self, found: JobRecord, *, is_out: bool) -> None:
        job_id, run_ids = found.job.id, [item.run_id for item in found.job.items]
        lease_until = time.monotonic() + LEASE_S
        seen_lease = found.lease_until if is_out else None
        if self.store.take_over(job_id, from_owner=found.owner, owner=self.owner, lease_s=LEASE_S, seen_lease=seen_lease):
            self.log.write("takes over", owner=self.owner, job=job_id, runs=run_ids, loser=found.owner, lease=lease_until)
            for run_id in run_ids:
                self.release(job_id, run_id, is_done=self.random.random() < 0.3)
            self.store.end_job(job_id)
            self.log.write("ends", owner=self.owner, job=job_id)


def claimer(url: str, folder: Path, number: int, seed: int) -> None:
    """One process. Every second one seems to be on another machine, so that only its lease tells that it is gone."""
    owner = this_process() if number % 2 else f"elsewhere/{number}/0"
    with open_store(url, now=now) as store:
        log = Log(folder / f"{number}.log")
        log.write("starts", owner=owner, number=number)
        Claimer(store, log, owner, random.Random(seed)).work()


@dataclass
class Claim:
    """What is certain of one job's claim on one run: from when it was in effect, and until when at least."""

    job: str
    since: float
    ends: list[float] = field(default_factory=list)
    """When releases began that took effect."""
    doubtful_ends: list[float] = field(default_factory=list)
    """When releases began of which nobody knows whether they took effect, because their process was killed."""

    @property
    def until(self) -> float:
        return min(self.ends or self.doubtful_ends, default=float("inf"))


@dataclass
class Referee:
    """Judges the events of all processes: no run is claimed by two jobs at a time, no job is taken from who may keep it."""

    problems: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    """Events by kind."""
    killed_with_job: int = 0
    _of_run: dict[str, dict[str, Claim]] = field(default_factory=lambda: defaultdict(dict))
    """Run and job to claim."""
    _owners: dict[str, str] = field(default_factory=dict)
    """Of the jobs that have not ended."""
    _leases: dict[str, float] = field(default_factory=dict)
    """Job to the moment until which its lease lasts at least."""
    _numbers: dict[int, str] = field(default_factory=dict)
    _killed: set[str] = field(default_factory=set)
    _completed: Counter[str] = field(default_factory=Counter)

    def judge(self, events: Iterable[dict[str, Any]]) -> None:
        for event in events:
            self.counts[event["event"]] += 1
            self._note(event)
        self.problems += [f"{run} was completed {count} times" for run, count in self._completed.items() if count > 1]
        for run, claims in self._of_run.items():
            in_order = sorted(claims.values(), key=lambda claim: claim.since)
            for first, second in pairwise(in_order):
                if second.since < first.until:
                    self.problems.append(f"{run} was claimed by {second.job} while {first.job} had it")

    def _note(self, event: dict[str, Any]) -> None:
        notes = {
            "starts": self._starts,
            "kills": self._kills,
            "claims": self._claims,
            "renews": self._renews,
            "takes over": self._takes_over,
            "releases": self._releases,
            "released": self._released,
            "ends": self._ends,
        }
        if event["event"] in notes:
            notes[event["event"]](event)

    def _starts(self, event: dict[str, Any]) -> None:
        self._numbers[event["number"]] = event["owner"]

    def _kills(self, event: dict[str, Any]) -> None:
        owner = self._numbers.get(event["number"], "")
        self._killed.add(owner)
        self.killed_with_job += owner in self._owners.values()

    def _claims(self, event: dict[str, Any]) -> None:
        # One that was stopped on its way may say so after somebody else has taken the job over.
        if event["job"] not in self._leases:
            self._has(event)

    def _takes_over(self, event: dict[str, Any]) -> None:
        job, loser = event["job"], event["loser"]
        if loser not in self._killed and self._leases.get(job, 0.0) >= event["at"]:
            self.problems.append(f"{event['owner']} took {job} from {loser}, whose lease had not run out")
        self._has(event)

    def _has(self, event: dict[str, Any]) -> None:
        job = event["job"]
        self._owners[job], self._leases[job] = event["owner"], event["lease"]
        for run in event["runs"]:
            self._of_run[run].setdefault(job, Claim(job, since=event["at"]))

    def _renews(self, event: dict[str, Any]) -> None:
        self._leases[event["job"]] = max(self._leases[event["job"]], event["lease"])

    def _ends(self, event: dict[str, Any]) -> None:
        self._owners.pop(event["job"], None)

    def _releases(self, event: dict[str, Any]) -> None:
        self._of_run[event["run"]][event["job"]].doubtful_ends.append(event["began"])

    def _released(self, event: dict[str, Any]) -> None:
        claim = self._of_run[event["run"]][event["job"]]
        claim.doubtful_ends.remove(event["began"])
        if event["took_effect"]:
            claim.ends.append(event["began"])
            self._completed[event["run"]] += event["is_done"]
