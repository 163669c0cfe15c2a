"""Hosts that go, come back, are paused or cannot do the work: their runs are done elsewhere, or wait with a reason."""

import pytest

from cosmos_ops.operations.inference_transfer1 import InferenceTransfer1
from cosmos_ops.runs import Phase, RunStatus
from tests.faults.rig import a_clip_for, assert_clean, let_model_go, starts

from . import rig
from .rig import all_starts, an_offer, done, is_at_work, no_sshd, of, queue

pytestmark = pytest.mark.gpu_machines

NO_IMAGE = {"images": {"preview": "no-such-image:1"}}


def test_the_runs_of_a_host_that_stays_away_are_finished_on_the_other(servers, place, clip, dispatch, tmp_path):
    """Nothing that was complete is repeated, not even of the batch that was at work; and once it is back, it works again."""
    gone, stays = servers
    early = queue(place, clip, 2)
    held = queue(place, clip, 1, text="order=wait")[0]
    at_work = dispatch(an_offer(gone, tmp_path), give_up_s=1.0)
    rig.wait_until(lambda: is_at_work(gone, held) and done(place, early), "two runs of the batch complete, one at work")
    at_work.offers.append(an_offer(stays, tmp_path))

    with no_sshd(gone):
        rig.wait_until(lambda: is_at_work(stays, held), "the run on the other host")
        later = queue(place, clip, 2, controls=("edge",))
        rig.wait_until(lambda: done(place, later), "runs queued meanwhile")
        assert not is_at_work(gone, later[0])
    rig.wait_until(lambda: not rig.containers(gone), "the container that was left there is removed")
    back = queue(place, clip, 2, controls=("depth",), host="gpu-a") + queue(place, clip, 1, controls=("seg",), host="gpu-a")
    rig.wait_until(lambda: done(place, back), "new runs on the host that is back")

    let_model_go(stays)
    at_work.wait()
    assert done(place, [*early, held, *later, *back])
    assert all_starts(servers) == {run.id: 1 + (run is held) for run in [*early, held, *later, *back]}
    for server in servers:
        assert_clean(server, may_resume=True)


def test_the_run_of_a_host_that_goes_while_its_outputs_come_home_is_done_again(servers, place, dispatch, tmp_path):
    gone, stays = servers
    run = queue(place, a_clip_for("staging in", tmp_path / "long.mp4"))[0]
    at_work = dispatch(an_offer(gone, tmp_path), give_up_s=1.0)
    rig.wait_until(lambda: of(place, run).phase is Phase.STAGING_OUT, "outputs on their way home", pause_s=0.002)

    with no_sshd(gone):
        at_work.offers.append(an_offer(stays, tmp_path))
        at_work.wait()

    assert done(place, [run]), of(place, run).failure
    assert (starts(gone), starts(stays)) == ([run.id], [run.id])


def test_a_host_that_is_paused_ends_its_batch_and_works_again_when_it_is_resumed(servers, place, clip, dispatch, tmp_path):
    held = queue(place, clip, 1, text="order=wait")[0]
    at_work = dispatch(an_offer(servers[0], tmp_path))
    rig.wait_until(lambda: is_at_work(servers[0], held), "the first run at work")

    at_work.offers[:] = [an_offer(servers[0], tmp_path, is_paused=True), an_offer(servers[1], tmp_path)]
    rig.wait_until(lambda: "gpu-b" in at_work.members() and not at_work.members()["gpu-a"].is_usable, "the pause")
    elsewhere = queue(place, clip, 2, controls=("edge",))
    pinned = queue(place, clip, 1, controls=("depth",), host="gpu-a")[0]
    rig.wait_until(lambda: done(place, elsewhere), "new runs completed on the other host")
    assert (of(place, held).status, of(place, pinned).status) == (RunStatus.RUNNING, RunStatus.QUEUED)

    at_work.offers[0] = an_offer(servers[0], tmp_path)
    rig.wait_until(lambda: done(place, [pinned]), "work for the host that was resumed")
    let_model_go(servers[0])
    at_work.wait()
    assert done(place, [held])
    assert all_starts(servers[:1]) == {held.id: 1, pinned.id: 1}


def test_a_host_without_the_image_or_without_room_leaves_its_runs_to_the_other(servers, place, clip, dispatch, tmp_path):
    runs = [run for controls in ("vis", "edge", "depth", "seg") for run in queue(place, clip, 1, controls=(controls,))]
    with servers[0].small_disk(50) as disk:
        offers = [an_offer(servers[0], tmp_path, workspace=str(disk)), an_offer(servers[1], tmp_path)]
        dispatch(*offers).wait()
    assert done(place, runs)

    again = [run for controls in ("vis", "edge", "depth", "seg") for run in queue(place, clip, 1, controls=(controls,))]
    dispatch(an_offer(servers[0], tmp_path, **NO_IMAGE), an_offer(servers[1], tmp_path)).wait()
    assert done(place, again)
    assert all_starts(servers[1:]) == {run.id: 1 for run in [*runs, *again]}
    assert {of(place, run).breaks for run in again} == {0}


def test_runs_that_no_host_can_take_wait_with_a_reason(servers, place, clip, dispatch, tmp_path):
    plain = queue(place, clip, 1)[0]
    lacking = queue(place, clip, 1, family="transfer1", params=InferenceTransfer1(edge_weight=1.0, num_steps=2))[0]
    images = {**NO_IMAGE["images"], "transfer1": "cosmos-test-base:latest"}
    with servers[1].small_disk(50) as disk:
        at_work = dispatch(an_offer(servers[0], tmp_path, images=images), an_offer(servers[1], tmp_path, workspace=str(disk)))
        rig.wait_until(lambda: at_work.says_of(plain, "no-such-image:1 is not there", "make room"), "why hosts are left out")
        at_work.stop()

    waiting = at_work.wait().waiting
    assert "host gpu-a is left out for now: host gpu-a: the image no-such-image:1 is not there" in waiting[plain.id]
    assert "host gpu-b gets no work: only" in waiting[plain.id]
    assert "lacks model files of transfer1; fetch them with `cosmos checkpoints download gpu-a" in waiting[lacking.id]
    assert {of(place, run).status for run in (plain, lacking)} == {RunStatus.QUEUED}
    assert not all_starts(servers)
    for server in servers:
        assert_clean(server, may_resume=False)
