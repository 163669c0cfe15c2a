"""A dispatch goes on where something beside the work goes wrong: a record, a picture, a look at a host."""
# ruff: noqa: ARG002

import json
import sqlite3
from collections import Counter
from dataclasses import replace
from functools import partial

import pytest

from cosmos_ops import staging_out
from cosmos_ops.dispatching import bench, opening, pending
from cosmos_ops.dispatching.crew import Crew, Offer
from cosmos_ops.dispatching.dispatcher import Report
from cosmos_ops.dispatching.opening import expected, open_batch
from cosmos_ops.dispatching.work import PlainCarrier
from cosmos_ops.errors import DiskFullError, HostUnhealthyError, PrefectAwayError
from cosmos_ops.following import STORE_LABEL, Follower
from cosmos_ops.planning.costs import CPU
from cosmos_ops.planning.signature import control_signature
from cosmos_ops.remote.host import JOB_LABEL
from cosmos_ops.remote.local import LocalHost
from cosmos_ops.settings import Settings
from cosmos_ops.upkeep import reconcile
from cosmos_ops.workplace import Workplace
from tests.builders import a_clip, opened_store

from . import rig


@pytest.fixture
def place(home, tmp_path):
    with opened_store() as store:
        yield rig.opened_records(store, tmp_path / "out")


@pytest.fixture
def clip(tmp_path):
    return a_clip(tmp_path / "clip.mp4", frame_count=4)


@pytest.fixture
def this_machine(home):
    return Offer("local", frozenset({"preview"}), lambda: LocalHost(home / "workspace"), mark="local")


def spoil(table, column, record_id, value):
    """Write a record as no version of ours does."""
    with sqlite3.connect(Settings().store_url.removeprefix("sqlite:///")) as database:
        database.execute(f"UPDATE {table} SET {column} = ? WHERE id = ?", (json.dumps(value), record_id))
    database.close()


def abandoned(place, run):
    """A job of a process that is gone."""
    expect = partial(expected, place, control_signature(run), CPU)
    job = open_batch(place, [run], expect=expect)
    assert place.store.take_over(job.id, from_owner=place.owner, owner="gone", lease_s=-5)
    return job


def test_a_queued_run_that_cannot_be_read_is_named_and_holds_up_nobody(place, clip, this_machine):
    runs = rig.queue(place, clip, 3)
    spoil("runs", "params", runs[1].id, {"seed": 1, "renamed_since": 2})

    done = rig.Dispatch(place, [this_machine]).start().wait()

    assert list(done.waiting) == [runs[1].id]
    assert "cannot read what is stored of it" in done.waiting[runs[1].id]
    assert rig.done(place, [runs[0], runs[2]])
    assert [one.run_id for one in place.store.waiting()] == [runs[1].id]


def test_a_job_that_cannot_be_read_holds_up_no_other_and_is_kept(place, clip, this_machine):
    first, second = (rig.queue(place, clip)[0] for _ in range(2))
    local = Workplace(place.store, place.results, this_machine.connect(), "me")
    jobs = [abandoned(local, run) for run in (first, second)]
    for job in jobs:
        follower = Follower(replace(local, owner="gone"), job, is_stopping=lambda: False)
        follower.stage_in()
        follower.compute()
        assert place.store.take_over(job.id, from_owner="gone", owner="gone", lease_s=-5)
    spoil("jobs", "job", jobs[0].id, {"no": "job"})

    assert [found.job.id for found in place.store.open_jobs()] == [jobs[1].id]
    found = reconcile(local, waits=False)

    assert [run.id for run in found.brought_home] == [second.id]
    assert found.removed == ()
    assert local.host.exists(jobs[0].host_folder), "it may hold the only results"
    assert rig.Dispatch(place, [this_machine]).start().wait().waiting == {}


class Full(Report):
    """Nothing can be shown."""

    def planned(self, planned):
        raise OSError(30, "Read-only file system")

    def ended(self, assignment):
        raise DiskFullError("No space left for timeline.png")


def test_what_cannot_be_shown_harms_nothing(place, clip, this_machine):
    runs = [run for control in ("vis", "edge", "depth") for run in rig.queue(place, clip, controls=(control,))]

    done = rig.Dispatch(place, [this_machine], report=Full()).start().wait()

    assert rig.done(place, runs)
    assert len(done.job_ids) == 3


def test_an_error_that_nobody_foresaw_fails_its_batch_with_the_reason(place, clip, this_machine, monkeypatch):
    bad, good = rig.queue(place, clip, 2), rig.queue(place, clip, 2, controls=("edge",))
    bring_home, calls = staging_out.bring_home, []

    def break_off_once(follower, outcomes):
        if follower.job.items[0].run_id == bad[0].id and not calls:
            calls.append(follower)
            raise ZeroDivisionError("nobody thought of this")
        return bring_home(follower, outcomes)

    monkeypatch.setattr(staging_out, "bring_home", break_off_once)
    done = rig.Dispatch(place, [this_machine]).start().wait()

    assert calls
    assert not done.waiting
    # What it had computed is kept.
    assert rig.done(place, [*bad, *good])


def test_a_host_is_looked_at_again_after_an_error_that_nobody_foresaw(home, monkeypatch):
    host = LocalHost(home / "workspace")
    crew = Crew(lambda: [Offer("local", frozenset({"preview"}), lambda: host, mark="local")], lambda: None)
    crew.start()
    try:
        rig.wait_until(lambda: crew.members().get("local") and crew.members()["local"].was_seen, "the first look")
        assert crew.members()["local"].is_usable
        with monkeypatch.context() as patch:
            patch.setattr(LocalHost, "health", lambda _: 1 / 0)
            crew._look(crew.members()["local"])
            assert "ZeroDivisionError" in crew.members()["local"].problem
        crew._look(crew.members()["local"])
        assert crew.members()["local"].is_usable
    finally:
        crew.close()


def statuses(place, runs):
    """As they are stored, whether they can be read or not."""
    with sqlite3.connect(Settings().store_url.removeprefix("sqlite:///")) as database:
        found = dict(database.execute("SELECT id, status FROM runs").fetchall())
    database.close()
    return [found[run.id] for run in runs]


def test_a_run_whose_parent_cannot_be_read_waits(place, clip, this_machine):
    parent, child, other = (rig.queue(place, clip)[0] for _ in range(3))
    with sqlite3.connect(Settings().store_url.removeprefix("sqlite:///")) as database:
        database.execute("UPDATE runs SET parent_id = ? WHERE id = ?", (parent.id, child.id))
    database.close()
    spoil("runs", "params", parent.id, {"renamed_since": 2})

    done = rig.Dispatch(place, [this_machine]).start().wait()

    assert done.waiting.keys() == {parent.id, child.id}
    assert rig.done(place, [other])


def test_a_run_that_cannot_be_read_when_its_job_is_taken_up_fails_alone(place, clip, this_machine):
    first, second = rig.queue(place, clip, 2)
    local = Workplace(place.store, place.results, this_machine.connect(), "me")
    job = open_batch(local, [first, second], expect=partial(expected, local, control_signature(first), CPU))
    follower = Follower(local, job, is_stopping=lambda: False)
    follower.stage_in()
    follower.compute()
    assert place.store.take_over(job.id, from_owner="me", owner="gone", lease_s=-5)
    spoil("runs", "params", second.id, {"renamed_since": 2})
    (other,) = rig.queue(place, clip)

    rig.Dispatch(place, [this_machine]).start().wait()

    assert statuses(place, [first, second, other]) == ["completed", "failed", "completed"]
    assert place.store.job(job.id).ended_at is not None
    assert local.host.exists(job.host_folder), "the only copy of what the second left"


def test_an_open_job_that_cannot_be_read_and_whose_container_runs_is_left_alone(place, clip, this_machine, tmp_path):
    (run,) = rig.queue(place, a_clip(tmp_path / "long.mp4", frame_count=900, width=480, height=272))
    local = Workplace(place.store, place.results, this_machine.connect(), "me")
    job = open_batch(local, [run], expect=partial(expected, local, control_signature(run), CPU))
    Follower(local, job, is_stopping=lambda: False).stage_in()
    labels = {JOB_LABEL: job.id, STORE_LABEL: place.store.id}
    local.host.start(job.container_name, job.container, folder=job.host_folder, labels=labels)
    assert place.store.take_over(job.id, from_owner="me", owner="gone", lease_s=-5)
    spoil("jobs", "job", job.id, {"no": "job"})
    (other,) = rig.queue(place, clip)
    try:
        rig.Dispatch(place, [this_machine]).start().wait()
        reconcile(local, waits=False)

        assert rig.done(place, [other])
        assert [one.exit for one in local.host.find({JOB_LABEL: job.id})] == [None]
    finally:
        local.host.stop(job.container_name, grace_s=0)


def test_a_queued_run_that_was_mended_is_read_again(place, clip, this_machine, monkeypatch):
    monkeypatch.setattr(pending, "READ_AGAIN_S", 0.0)
    (run,) = rig.queue(place, clip)
    known = pending.Pending(place.store)
    spoil("runs", "params", run.id, {"renamed_since": 2})
    known.refresh()
    assert (known.ready(()), list(known.unreadable)) == ([], [run.id])

    spoil("runs", "params", run.id, run.params.model_dump(mode="json"))
    known.refresh()

    assert ([one.run_id for one in known.ready(())], list(known.unreadable)) == ([run.id], [])


def test_what_finds_no_room_here_fails_alone(place, clip, this_machine, monkeypatch):
    runs = rig.queue(place, clip, 3)
    sample_of = opening.sample_of

    def full(operation, run, *arguments, **values):
        if run.id == runs[1].id:
            raise DiskFullError("No space left for a prepared video")
        return sample_of(operation, run, *arguments, **values)

    monkeypatch.setattr(opening, "sample_of", full)
    rig.Dispatch(place, [this_machine]).start().wait()

    assert statuses(place, runs) == ["completed", "failed", "completed"]
    assert rig.of(place, runs[1]).failure.message == "No space left for a prepared video"


def test_a_host_that_lets_nothing_be_ended_gets_no_more_work(place, clip, this_machine, monkeypatch):
    runs = [run for control in ("vis", "edge", "depth") for run in rig.queue(place, clip, controls=(control,))]

    def refuse(self, *arguments, **values):
        raise HostUnhealthyError("docker refuses")

    monkeypatch.setattr(LocalHost, "follow", refuse)
    monkeypatch.setattr(LocalHost, "stop", refuse)
    dispatch = rig.Dispatch(place, [this_machine]).start()
    try:
        rig.wait_until(lambda: any(dispatch.says_of(run, "docker refuses") for run in runs), "the reason")
        assert Counter(statuses(place, runs)) == {"running": 1, "queued": 2}
    finally:
        dispatch.stop()


def test_who_is_back_from_the_bench_gets_work_from_the_same_dispatch(place, clip, this_machine, monkeypatch):
    monkeypatch.setattr(bench, "BENCH_MIN_S", 3.0)
    runs = rig.queue(place, clip, 2)
    check, calls = LocalHost.check, []

    def refuse_once(self, *arguments, **values):
        calls.append(arguments)
        if len(calls) == 1:
            raise HostUnhealthyError("no room")
        return check(self, *arguments, **values)

    monkeypatch.setattr(LocalHost, "check", refuse_once)
    done = rig.Dispatch(place, [this_machine]).start().wait()

    assert done.waiting == {}
    assert rig.done(place, runs)


def test_prefect_away_for_a_moment_stops_nothing(place, clip, this_machine, monkeypatch):
    runs = rig.queue(place, clip, 2)
    compute, stops = PlainCarrier.compute, []

    def away(self, work):
        compute(self, work)
        raise PrefectAwayError("Prefect does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(PlainCarrier, "compute", away)
        patch.setattr(LocalHost, "stop", lambda *_, **__: stops.append(1))
        rig.Dispatch(place, [this_machine]).start().wait()

        # The first came home while the second was computed.
        assert (set(statuses(place, runs)) - {"completed"}, stops) == ({"running"}, [])
    (found,) = place.store.open_jobs()
    assert place.store.take_over(found.job.id, from_owner=found.owner, owner="gone", lease_s=-5)
    rig.Dispatch(place, [this_machine]).start().wait()
    assert rig.done(place, runs)
