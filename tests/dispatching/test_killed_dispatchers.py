"""A dispatcher that is killed at any moment: the next one takes over by itself, nothing is lost and nothing is done twice."""

import pytest

from cosmos_ops.dispatching.dispatcher import LEASE
from cosmos_ops.following import LEASE_S
from cosmos_ops.runs import NextStage, Phase, RunStatus
from cosmos_ops.store import RunFilter
from tests.faults.rig import a_clip_for, assert_clean, let_model_go

from . import rig
from .rig import all_starts, an_offer, done, is_at_work, letting_go, of, queue

pytestmark = pytest.mark.gpu_machines


def phases(place):
    return {run.phase for run in place.store.runs(limit=100)}


def test_the_next_one_goes_on_where_batches_compute_and_where_they_wait(servers, place, clip, dispatch, process, tmp_path):
    """Four runs with other controls each on two slots: two compute, two are ready and wait for a slot."""
    runs = [queue(place, clip, 1, text="order=wait", controls=(control,))[0] for control in ("vis", "edge", "depth", "seg")]
    first = process(an_offer(servers[0], tmp_path))
    rig.wait_until(lambda: len(all_starts(servers)) == 2, "both slots at work")
    rig.wait_until(lambda: Phase.WAITING in phases(place), "a batch that waits for a slot")

    first.kill()
    with letting_go(servers):
        answer = dispatch(an_offer(servers[0], tmp_path)).wait()

    assert not answer.another
    assert done(place, runs)
    assert all_starts(servers) == {run.id: 1 for run in runs}
    assert_clean(servers[0], may_resume=False)


def test_the_next_one_goes_on_with_staging_in(servers, place, dispatch, process, tmp_path):
    clip = a_clip_for("staging in", tmp_path / "long.mp4")
    runs = queue(place, clip, 2)
    first = process(an_offer(servers[0], tmp_path))
    rig.wait_until(lambda: Phase.STAGING_IN in phases(place), "a batch that is staged in")

    first.kill()
    dispatch(an_offer(servers[0], tmp_path)).wait()

    assert done(place, runs)
    assert all_starts(servers) == {run.id: 1 for run in runs}


def test_of_two_the_second_does_nothing_until_the_first_is_killed(servers, place, clip, dispatch, process, tmp_path):
    held, second = queue(place, clip, 2, text="order=wait a street")
    first = process(an_offer(servers[0], tmp_path))
    rig.wait_until(lambda: is_at_work(servers[0], held), "the first dispatch at work")

    assert dispatch(an_offer(servers[0], tmp_path)).wait().another == place.store.job(of(place, held).job_id).owner

    first.kill()
    with letting_go(servers):
        assert not dispatch(an_offer(servers[0], tmp_path)).wait().another
    assert done(place, [held, second])
    assert all_starts(servers) == {held.id: 1, second.id: 1}


def test_one_that_lost_its_lease_begins_nothing_more(servers, place, clip, dispatch, tmp_path):
    held = queue(place, clip, 1, text="order=wait a street")[0]
    at_work = dispatch(an_offer(servers[0], tmp_path))
    rig.wait_until(lambda: is_at_work(servers[0], held), "the run at work")

    # As if its process had stood still for longer than the lease.
    assert place.store.hold(LEASE, owner="another", lease_s=LEASE_S, from_owner=at_work.owner)
    rig.wait_until(at_work.has_lost_lease, "that it notices")
    late = queue(place, clip, 1, controls=("edge",))[0]
    with letting_go(servers):
        answer = at_work.wait()

    assert answer.another == "another"
    assert place.store.holder(LEASE) == "another"
    assert done(place, [held])
    assert of(place, late).status is RunStatus.QUEUED


def test_what_follows_a_run_is_carried_out_while_its_batch_computes(servers, place, clip, dispatch, tmp_path):
    quick = queue(place, clip, 1, then=(NextStage("upscale", "preview", {}),))[0]
    held = queue(place, clip, 1, text="order=wait")[0]

    at_work = dispatch(an_offer(servers[0], tmp_path))
    rig.wait_until(lambda: place.store.runs(RunFilter(parent_id=quick.id), limit=2), "the upscale")
    (upscale,) = place.store.runs(RunFilter(parent_id=quick.id), limit=2)
    rig.wait_until(lambda: done(place, [upscale]), "the upscale completed")
    assert of(place, held).status is RunStatus.RUNNING

    let_model_go(servers[0])
    at_work.wait()
    assert done(place, [quick, held, upscale])


def test_what_follows_is_queued_once_though_the_dispatch_is_killed_just_then(servers, place, clip, dispatch, process, tmp_path):
    runs = queue(place, clip, 3, then=(NextStage("upscale", "preview", {}),))
    held = queue(place, clip, 1, text="order=wait")[0]
    first = process(an_offer(servers[0], tmp_path))
    rig.wait_until(lambda: len(place.store.runs(limit=100)) > 4, "the first upscale")

    first.kill()
    with letting_go(servers):
        dispatch(an_offer(servers[0], tmp_path)).wait()

    upscales = [run for run in place.store.runs(limit=100) if run.operation == "upscale"]
    assert sorted(run.parent_id for run in upscales) == sorted(run.id for run in runs)
    assert done(place, [*runs, held, *upscales])
    assert set(all_starts(servers).values()) == {1}
