"""A job folder that cannot be removed: what the job did stands, what goes back to the queue is done, and upkeep tries again."""

from contextlib import contextmanager

import pytest

from cosmos_ops.runs import RunStatus
from flows.upkeep import reconcile_all
from tests.builders import recorded

from . import rig

pytestmark = pytest.mark.gpu_machines


@contextmanager
def mounted_in_the_job(server):
    """Something is mounted in the folder of the only job: whoever removes the folder is refused."""
    (job,) = (server.workspace / "cosmos" / "jobs").iterdir()
    place = job / "stuck"
    place.mkdir()
    server.run("mount", "--bind", place, place)
    try:
        yield job
    finally:
        server.run("umount", place)


def test_its_runs_are_tried_again_all_the_same(prefect_api, home, server, tmp_path):
    rig.save_block(server, "gpu-a")
    with rig.held_flow("computing", server, tmp_path / "flow", host="gpu-a", neighbours=("one", "two")) as flow:
        flow.wait_until_held()
        with mounted_in_the_job(server) as job:
            server.containers()[0].kill()
            rig.wait_until(lambda: rig.starts(server).count(flow.run.id) == 2, "the second try")
            flow.let_go()

            assert flow.answer()["state"] == "COMPLETED", flow.log()
            assert job.exists()
            assert f"{job} cannot be removed" in flow.log()
            assert [run.status for run in recorded().runs] == [RunStatus.COMPLETED] * 3
            # The container is kept, by which the folder is found again, and holds no GPU.
            assert [container.status for container in server.containers()] == ["exited"]
            assert reconcile_all(waits=False).removed == ()
    assert len(reconcile_all(waits=False).removed) == 1
    rig.assert_clean(server, may_resume=False)


def test_its_run_is_completed_all_the_same(prefect_api, home, server, tmp_path):
    rig.save_block(server, "gpu-a")
    with rig.held_flow("computing", server, tmp_path / "flow", host="gpu-a") as flow:
        flow.wait_until_held()
        with mounted_in_the_job(server):
            flow.let_go()

            assert flow.answer()["state"] == "COMPLETED", flow.log()
    reconcile_all(waits=False)
    rig.assert_clean(server, may_resume=False)
