"""Runs that break their process, runs that somebody cancels, and runs that go first."""

import pytest

from cosmos_ops.runs import Phase, RunStatus
from tests.faults.rig import assert_clean, starts

from . import rig
from .rig import all_starts, an_offer, done, is_at_work, of, queue

pytestmark = pytest.mark.gpu_machines

ONE_SLOT = ((0,),)


def test_a_run_that_breaks_its_process_runs_alone_and_fails_for_good_the_second_time(servers, place, clip, dispatch, tmp_path):
    before = queue(place, clip, 2)
    culprit = queue(place, clip, 1, text="order=wait")[0]
    after = queue(place, clip, 2)

    with rig.killing(servers, place, culprit):
        dispatch(an_offer(servers[0], tmp_path)).wait()

    ended = of(place, culprit)
    assert (ended.status, ended.failure.kind) == (RunStatus.FAILED, "ProcessKilledError")
    assert done(place, [*before, *after])
    assert all_starts(servers) == {culprit.id: 3, **{run.id: 1 for run in [*before, *after]}}
    sizes = {job.job.items[0].run_id: len(job.job.items) for job in place.store.recent_jobs(limit=10)}
    assert sizes[culprit.id] == 1
    assert_clean(servers[0], may_resume=False)


def test_a_run_that_was_killed_once_completes_alone(servers, place, clip, dispatch, tmp_path):
    victim, neighbour = queue(place, clip, 1, text="order=wait")[0], queue(place, clip, 1)[0]
    at_work = dispatch(an_offer(servers[0], tmp_path))
    rig.wait_until(lambda: of(place, victim).phase is Phase.SAMPLING, "the victim at work")

    for found in rig.containers(servers[0]):
        servers[0].docker.api.kill(found["Id"])
    with rig.letting_go(servers):
        at_work.wait()

    assert done(place, [victim, neighbour])
    assert (of(place, victim).breaks, of(place, victim).breaks_alone, of(place, neighbour).breaks) == (1, 0, 0)
    assert all_starts(servers) == {victim.id: 2, neighbour.id: 1}


def test_cancelling_ends_the_run_alone_wherever_it_is(servers, place, clip, dispatch, tmp_path):
    """One at work with neighbours, one that waits in a batch that is ready, one in the queue."""
    first, culprit, neighbour = queue(place, clip, 1) + queue(place, clip, 1, text="order=wait") + queue(place, clip, 1)
    at_work = dispatch(an_offer(servers[0], tmp_path, slots=ONE_SLOT))
    rig.wait_until(lambda: is_at_work(servers[0], culprit), "a batch at work")
    ready = queue(place, clip, 2, controls=("depth",))
    rig.wait_until(lambda: of(place, ready[0]).phase is Phase.WAITING, "a batch that is ready")
    queued = queue(place, clip, 2, controls=("edge",))
    cancelled = [culprit, ready[0], queued[0]]

    place.store.request_stop([ready[0].id, queued[0].id])
    rig.wait_until(lambda: of(place, ready[0]).status is RunStatus.CANCELLED, "the end of the run in the batch that is ready")
    place.store.request_stop([culprit.id])
    at_work.wait()

    assert {of(place, run).status for run in cancelled} == {RunStatus.CANCELLED}
    assert done(place, others := [first, neighbour, ready[1], queued[1]])
    assert all_starts(servers) == {run.id: 1 for run in [culprit, *others]}
    assert_clean(servers[0], may_resume=False)


def test_who_stops_the_dispatch_cancels_what_is_on_a_host_and_leaves_the_queue(servers, place, clip, dispatch, tmp_path):
    early, held, rest = queue(place, clip, 1) + queue(place, clip, 1, text="order=wait") + queue(place, clip, 1)
    at_work = dispatch(an_offer(servers[0], tmp_path, slots=ONE_SLOT))
    rig.wait_until(lambda: is_at_work(servers[0], held) and done(place, [early]), "a run at work")
    ready = queue(place, clip, 1, controls=("depth",))[0]
    rig.wait_until(lambda: of(place, ready).phase is Phase.WAITING, "a batch that is ready")
    late = queue(place, clip, 1, controls=("seg",))[0]

    at_work.stop()

    assert [of(place, run).status.value for run in (early, late)] == ["completed", "queued"]
    assert {of(place, run).status for run in (held, rest, ready)} == {RunStatus.CANCELLED}
    assert all_starts(servers) == {early.id: 1, held.id: 1}
    assert_clean(servers[0], may_resume=False)


def test_what_is_more_urgent_gets_the_next_batch(servers, place, clip, dispatch, tmp_path):
    """A batch is at work and the next one ready; what is urgent comes after these, before all that has waited for longer."""
    held = [queue(place, clip, 1, text="order=wait", controls=(control,))[0] for control in ("vis", "edge")]
    at_work = dispatch(an_offer(servers[0], tmp_path, slots=ONE_SLOT))
    rig.wait_until(lambda: Phase.WAITING in {of(place, run).phase for run in held}, "a batch at work and one that is ready")
    usual = [queue(place, clip, 1, controls=controls)[0] for controls in (("vis", "seg"), ("edge", "seg"), ("depth", "seg"))]
    urgent = queue(place, clip, 1, controls=("vis", "edge"), priority=5)[0]
    moved = queue(place, clip, 1, controls=("vis", "depth"))[0]
    place.store.set_priority([moved.id], 9)
    rig.wait_until(lambda: {moved.id: 9, urgent.id: 5}.items() <= at_work.priorities().items(), "that it is known")

    with rig.letting_go(servers):
        at_work.wait()

    assert done(place, [*held, *usual, urgent, moved])
    assert starts(servers[0])[2:4] == [moved.id, urgent.id]
