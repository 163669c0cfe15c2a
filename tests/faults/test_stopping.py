"""Ending runs on a real server: cancelled in Prefect at every phase, Ctrl-C, single runs killed, and while the host is away.

The container is gone, the log is kept, the slot is free, nothing of it is shown as an error.
"""

import signal
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.states import Cancelling

from cosmos_ops.runs import RunStatus
from deployments.upkeep import kill
from flows.upkeep import reconcile_all
from tests.builders import left_over, recorded

from . import rig

pytestmark = pytest.mark.gpu_machines
PHASES = ("staging in", "starting", "computing", "staging out")


def cancel_in_prefect(run):
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(UUID(run.flow_run_id), Cancelling())


def runs():
    """Text of the prompt to its run."""
    found = recorded()
    return {found.prompts[run.prompt_id].text: run for run in found.runs}


def assert_cancelled(run):
    assert (run.status, run.failure is None or run.failure.kind == "RunCancelledError") == (RunStatus.CANCELLED, True)
    assert recorded().file(run, "log").is_file()


@pytest.mark.parametrize("phase", PHASES)
def test_cancelled_in_prefect(phase, prefect_api, home, server, tmp_path):
    rig.save_block(server, "gpu-a")
    with rig.held_flow(phase, server, tmp_path / "flow", host="gpu-a") as flow:
        flow.wait_until_held()
        cancel_in_prefect(flow.run)
        (flow.folder / "go").touch()

        assert flow.answer()["state"] == "CANCELLED"
        if phase == "staging out":
            # The model was through before anybody cancelled: what is complete is kept.
            assert flow.run.status is RunStatus.COMPLETED
        else:
            assert_cancelled(flow.run)
        assert rig.starts(server).count(flow.run.id) == (phase in ("computing", "staging out"))
    rig.assert_clean(server, may_resume=True)
    assert left_over(home) == []


def test_cancelled_while_it_waits_for_a_slot(prefect_api, home, server, tmp_path):
    rig.save_block(server, "gpu-a", slots=[[0]])
    with rig.held_flow("computing", server, tmp_path / "first", host="gpu-a") as first:
        first.wait_until_held()
        with rig.held_flow("none", server, tmp_path / "second", host="gpu-a") as second:
            rig.wait_until(lambda: is_waiting(second.run), "it waits")
            cancel_in_prefect(second.run)

            assert second.answer()["state"] == "CANCELLED"
            assert_cancelled(second.run)
            first.let_go()
            assert first.answer()["state"] == "COMPLETED"
            assert rig.starts(server) == [first.run.id]
    rig.assert_clean(server, may_resume=False)


def is_waiting(run):
    return run is not None and run.phase is not None and run.phase.value == "waiting for a slot"


def test_ctrl_c_in_the_terminal(prefect_api, home, server, tmp_path):
    rig.save_block(server, "gpu-a")
    with rig.held_flow("computing", server, tmp_path / "flow", host="gpu-a") as flow:
        flow.wait_until_held()
        flow.process.send_signal(signal.SIGINT)
        flow.process.wait(timeout=60)

        assert_cancelled(flow.run)
    rig.assert_clean(server, may_resume=False)


def test_who_does_not_listen_is_killed_after_the_grace(prefect_api, home, server, tmp_path):
    rig.save_block(server, "gpu-a")
    with rig.held_flow("computing", server, tmp_path / "flow", host="gpu-a", orders="order=stubborn order=wait") as flow:
        flow.wait_until_held()
        said = []
        kill(flow.run.id, is_forced=True, say=said.append)

        assert said == [f"run {flow.run.id} is cancelled"]
        assert flow.answer()["state"] == "CANCELLED"
        assert_cancelled(flow.run)
    rig.assert_clean(server, may_resume=False)


def test_killing_one_run_of_a_batch_leaves_its_neighbours_alone(prefect_api, home, server, tmp_path):
    """The first is complete, the second at work, the third has not begun."""
    rig.save_block(server, "gpu-a")
    texts = ("at work order=wait", "not begun")
    with rig.held_flow("none", server, tmp_path / "flow", host="gpu-a", neighbours=texts) as flow:
        rig.wait_until(lambda: texts[0] in runs() and runs()[texts[0]].id in rig.starts(server), "the second is at work")
        victim = runs()[texts[0]]
        said = []
        kill(victim.id, is_forced=False, say=said.append)
        answer = flow.answer()

        assert said == [f"run {victim.id} is cancelled"]
        assert_cancelled(runs()[texts[0]])
        assert [runs()[text].status.value for text in (flow.text, texts[1])] == ["completed", "completed"]
        assert (answer["state"], answer["message"]) == ("CANCELLED", "inference: 1 cancelled, 2 completed")
        assert sorted(rig.starts(server)) == sorted(run.id for run in runs().values())
    rig.assert_clean(server, may_resume=False)


def test_killing_is_remembered_while_the_host_is_away(prefect_api, home, server, tmp_path):
    rig.save_block(server, "gpu-a")
    with rig.held_flow("computing", server, tmp_path / "flow", host="gpu-a") as flow:
        flow.wait_until_held()
        server.stop_sshd()
        server.kill_connections()
        rig.wait_until(lambda: flow.run.phase.value == "lost contact", "contact is lost")
        said = []
        kill(flow.run.id, is_forced=True, say=said.append)
        assert "is stopped when it answers again" in said[0]
        assert flow.run.status is RunStatus.RUNNING
        server.start_sshd()

        assert flow.answer()["state"] == "CANCELLED"
        assert_cancelled(flow.run)
    rig.assert_clean(server, may_resume=False)


def test_a_flow_that_died_is_stopped_by_whoever_kills_its_run(prefect_api, home, server, tmp_path):
    rig.save_block(server, "gpu-a")
    with rig.held_flow("computing", server, tmp_path / "flow", host="gpu-a") as flow:
        flow.wait_until_held()
        flow.process.kill()
        flow.process.wait()
        said = []
        kill(flow.run.id, is_forced=False, say=said.append)

        assert said == [f"run {flow.run.id} is cancelled"]
        assert_cancelled(flow.run)
    rig.assert_clean(server, may_resume=False)


def test_a_run_in_no_container_or_already_final_is_killed_without_a_host(prefect_api, home, server, tmp_path):
    rig.save_block(server, "gpu-a")
    with rig.held_flow("none", server, tmp_path / "flow", host="gpu-a") as flow:
        assert flow.answer()["state"] == "COMPLETED"
    said = []
    kill(flow.run.id, is_forced=False, say=said.append)
    assert said == [f"run {flow.run.id} is completed already"]


# What nobody looks after


def test_what_computes_on_without_its_flow_is_left_alone_and_brought_home_later(prefect_api, home, server, tmp_path):
    rig.save_block(server, "gpu-a")
    with rig.held_flow("computing", server, tmp_path / "flow", host="gpu-a") as flow:
        flow.wait_until_held()
        flow.process.kill()
        flow.process.wait()
        job_id = flow.run.job_id

        found = reconcile_all(waits=False)
        assert (found.still_computing, found.brought_home) == ((job_id,), ())
        rig.let_model_go(server)
        rig.wait_until(lambda: all(container.status == "exited" for container in server.containers()), "it ends")
        found = reconcile_all(waits=False)
        assert [run.status.value for run in found.brought_home] == ["completed"]
        assert rig.starts(server) == [flow.run.id]
    rig.assert_clean(server, may_resume=False)


def test_containers_of_nobody_go_and_those_of_others_stay(prefect_api, home, server, tmp_path):
    from tests.builders import opened_store

    with opened_store() as store:
        mine = store.id
    rig.save_block(server, "gpu-a")
    for name, owner in (("cosmos-jb_unknown", mine), ("cosmos-jb_theirs", "st_of_others")):
        labels = {"cosmos.job": name.removeprefix("cosmos-"), "cosmos.store": owner, "cosmos.gpus": "0"}
        server.docker.containers.run(rig.IMAGE, ["sleep", "600"], name=name, labels=labels, network_mode="none", detach=True)

    found = reconcile_all(waits=False)

    assert found.removed == ("cosmos-jb_unknown",)
    assert [container.name for container in server.containers()] == ["cosmos-jb_theirs"]
    server.containers()[0].remove(force=True)
