"""The shared queue on two simulated servers with two slots each: every slot works, and nothing is lost when something fails."""

import pytest

from cosmos_ops.runs import NextStage, RunStatus
from tests.faults.rig import let_model_go, starts

from . import rig
from .rig import an_offer, queue

pytestmark = pytest.mark.gpu_machines


def done(place, runs):
    return {run.status for run in place.store.runs_of_ids(run.id for run in runs)} == {RunStatus.COMPLETED}


def test_all_slots_of_all_hosts_work(servers, place, clip, dispatch, tmp_path):
    runs = [run for controls in ("vis", "edge", "depth", "seg") for run in queue(place, clip, 3, controls=(controls,))]

    dispatch(*(an_offer(server, tmp_path, sample_s=0.2) for server in servers)).wait()

    assert done(place, runs)
    jobs = place.store.recent_jobs(limit=50)
    assert {(job.host, job.timing.gpus) for job in jobs} == {(host, gpu) for host in ("gpu-a", "gpu-b") for gpu in "01"}
    assert sorted(starts(servers[0]) + starts(servers[1])) == sorted(run.id for run in runs)


def test_a_host_that_is_paused_gets_nothing(servers, place, clip, dispatch, tmp_path):
    runs = queue(place, clip, 4)

    dispatch(an_offer(servers[0], tmp_path, is_paused=True), an_offer(servers[1], tmp_path)).wait()

    assert done(place, runs)
    assert {job.host for job in place.store.recent_jobs(limit=10)} == {"gpu-b"}


def test_a_host_that_joins_gets_work_at_the_next_free_moment(servers, place, clip, dispatch, tmp_path):
    held = queue(place, clip, 1, text="order=wait one") + queue(place, clip, 1, text="order=wait two", controls=("edge",))
    at_work = dispatch(an_offer(servers[0], tmp_path))
    rig.wait_until(lambda: len(starts(servers[0])) == 2, "both slots of the first server at work")
    late = queue(place, clip, 2, controls=("depth",))

    at_work.offers.append(an_offer(servers[1], tmp_path))
    rig.wait_until(lambda: done(place, late), "the late runs completed on the server that joined")

    let_model_go(servers[0])
    at_work.wait()
    assert done(place, held)
    assert set(starts(servers[1])) == {run.id for run in late}


def test_each_run_of_a_batch_comes_home_as_soon_as_it_is_done(servers, place, clip, dispatch, tmp_path):
    first, second = queue(place, clip, 1, text="a street")[0], queue(place, clip, 1, text="order=wait a street")[0]

    at_work = dispatch(an_offer(servers[0], tmp_path))
    rig.wait_until(lambda: done(place, [first]), "the first run completed")
    assert place.store.run(second.id).status is RunStatus.RUNNING
    assert place.results.absolute(place.store.run(first.id).outputs.video).is_file()

    let_model_go(servers[0])
    at_work.wait()
    assert done(place, [first, second])
    logs = {place.results.absolute(place.store.run(run.id).outputs.log).read_text() for run in (first, second)}
    assert len(logs) == 1
    assert second.id in logs.pop()


def test_what_follows_the_runs_of_a_batch_is_gathered_before_its_model_is_loaded(servers, place, clip, dispatch, tmp_path):
    then = (NextStage("upscale", "preview", {}),)
    runs = queue(place, clip, 4, then=then)

    dispatch(an_offer(servers[0], tmp_path, slots=((0,),), sample_s=0.5)).wait()

    assert done(place, runs)
    jobs = place.store.recent_jobs(limit=10)
    assert sorted((job.job.operation, len(job.job.items)) for job in jobs) == [("inference", 4), ("upscale", 4)]
