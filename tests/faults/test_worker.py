"""A real worker: stopped with SIGTERM at every phase, and a flow run of it cancelled as the UI does it."""

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import StateType
from prefect.deployments import run_deployment
from prefect.settings import PREFECT_API_URL
from prefect.states import Cancelling

from cosmos_ops.owners import is_gone
from flows.upkeep import reconcile_all
from tests.builders import left_over, only, recorded

from . import gates, rig
from .matrix import EVERYWHERE, WORKER_STOPPED
from .rig import HeldFlow

pytestmark = pytest.mark.gpu_machines
POOL = "faults"


@contextmanager
def worker(folder):
    """A worker of a process pool, as a team runs it."""
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name=POOL, type="process"), overwrite=True)
    environment = {**os.environ, "PREFECT_API_URL": str(PREFECT_API_URL.value()), "PREFECT_WORKER_QUERY_SECONDS": "1"}
    with (folder / "worker.log").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--limit", "8"],
            cwd=rig.ROOT,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def deployed():
    """The flow of the checkout, deployed to the pool."""
    from flows.inference import inference

    source = inference.from_source(source=str(rig.ROOT), entrypoint="tests/faults/gated.py:inference")
    return source.deploy(name="gated", work_pool_name=POOL, build=False, push=False, print_next_steps=False, ignore_warnings=True)


def started(deployment, phase, machine, folder, process):
    """A flow run for the worker, which will hold it at the door of a phase."""
    folder.mkdir(parents=True)
    clip = rig.a_clip_for(phase, folder / "clip.mp4")
    text = f"{phase} by a worker" + (" order=wait" if phase == "computing" else "")
    environment = {
        gates.FOLDER: str(folder),
        gates.PHASE: phase,
        "COSMOS_HOME": os.environ["COSMOS_HOME"],
        "PYTHONPATH": str(rig.ROOT),
    }
    settings = {"preview": only("vis").model_dump()}
    run_deployment(
        deployment,
        timeout=0,
        as_subflow=False,
        parameters={"prompts": [{"text": text, "input": str(clip), "inference": [settings]}], "host": "gpu-a"},
        job_variables={"env": environment, "stream_output": False},
    )
    (folder / "output").touch()
    return HeldFlow(phase, folder, process, text, machine)


def test_a_worker_is_stopped(prefect_api, home, server, tmp_path, record_property):
    rig.save_block(server, "gpu-a")
    with ExitStack() as stack:
        process = stack.enter_context(worker(tmp_path))
        deployment = deployed()
        flows = [started(deployment, phase, server, tmp_path / phase, process) for phase in EVERYWHERE]
        for flow in flows:
            flow.wait_until_held()
        owners = {flow.run.owner for flow in flows}
        process.terminate()
        process.wait(timeout=60)
    rig.wait_until(lambda: all(is_gone(owner) for owner in owners), "the flows' processes are gone")
    rig.let_model_go(server)
    reconcile_all(waits=True)

    found = {flow.phase: rig.outcome(flow.run, rig.starts(server)) for flow in flows}
    name, promised = WORKER_STOPPED
    record_property("matrix", [name, found])
    assert found == promised
    rig.assert_clean(server, may_resume=True)
    assert left_over(home) == []


def test_a_flow_run_of_a_worker_is_cancelled(prefect_api, home, server, tmp_path):
    rig.save_block(server, "gpu-a")
    with worker(tmp_path) as process:
        flow = started(deployed(), "computing", server, tmp_path / "flow", process)
        flow.wait_until_held()
        flow_run_id = UUID(flow.run.flow_run_id)
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(flow_run_id, Cancelling())
            until = time.monotonic() + 90
            while (state := client.read_flow_run(flow_run_id).state).type is not StateType.CANCELLED:
                assert time.monotonic() < until, state
                time.sleep(0.2)

    assert flow.run.status.value == "cancelled"
    assert recorded().file(flow.run, "log").is_file()
    rig.assert_clean(server, may_resume=False)
    assert left_over(home) == []
