"""`cosmos up` as people use it: server, blocks and deployments come up, a run goes through, Ctrl-C leaves nothing behind."""

import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import psutil
import pytest

from cosmos_ops.operations import read_params
from cosmos_ops.runs import Phase, RunStatus
from cosmos_ops.store import RunFilter, Store
from tests.preview.program import write_scene

pytestmark = pytest.mark.long

START_LIMIT_S = 120
FLOWS = ("pipeline", "enhance", "inference", "upscale")
ANSWER_S = 30
BUSY_TRIES = 10


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(is_true, limit_s):
    until = time.monotonic() + limit_s
    while not (found := is_true()):
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.3)
    return found


class Up:
    def __init__(self, home, log):
        self.port, self.log, self.home = free_port(), log, home
        self.api = f"http://127.0.0.1:{self.port}/api"
        env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        # pytest may itself have been started with SIGINT ignored, which a child would inherit.
        code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from deployments.cli import main; main()"
        with log.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", code, "up", "--port", str(self.port)],
                env={**env, "COSMOS_HOME": str(home)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def text(self):
        return self.log.read_text()

    def wait_until_serving(self):
        wait_for(lambda: "Ctrl-C stops everything" in self.text() or self.process.poll() is not None, START_LIMIT_S)
        assert self.process.poll() is None, self.text()

    def start(self, deployment, parameters):
        deployment_id = httpx.get(f"{self.api}/deployments/name/{deployment}", timeout=ANSWER_S).json()["id"]
        url = f"{self.api}/deployments/{deployment_id}/create_flow_run"
        for _ in range(BUSY_TRIES):
            answer = httpx.post(url, json={"parameters": parameters}, timeout=ANSWER_S)
            # A server whose database is busy says so, and clients ask again.
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            time.sleep(1)
        return answer

    def end_state(self, flow_run_id):
        def ended():
            state = httpx.get(f"{self.api}/flow_runs/{flow_run_id}", timeout=ANSWER_S).json()["state"]
            return state["name"] if state["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED") else None

        return wait_for(ended, START_LIMIT_S)

    def stop(self, number=signal.SIGINT):
        family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(number)
        self.process.wait(60)
        _, left = psutil.wait_procs(family, timeout=20)
        return left


@pytest.fixture(scope="module")
def up(tmp_path_factory):
    """One server for all tests of this module; Ctrl-C at the end must leave no process and no traceback behind."""
    folder = tmp_path_factory.mktemp("up")
    server = Up(folder / "home", folder / "up.log")
    server.wait_until_serving()
    yield server
    assert server.stop() == []
    assert not (folder / "home" / "server.json").exists()
    assert "Traceback" not in server.text()


def test_a_termination_ends_it_like_ctrl_c(tmp_path):
    server = Up(tmp_path / "home", tmp_path / "up.log")
    server.wait_until_serving()
    prompt = {"text": "a street at noon", "input": clip(tmp_path, frame_count=400)}
    server.start("inference/default", {"prompts": [prompt]}).raise_for_status()
    with Store.open(f"sqlite:///{server.home}/cosmos.db", read_params=read_params) as store:
        wait_for(lambda: [run for run in store.runs(RunFilter(), limit=10) if run.phase is Phase.SAMPLING], START_LIMIT_S)

    assert server.stop(signal.SIGTERM) == []
    assert server.process.returncode == 0
    assert not (server.home / "server.json").exists()
    assert "Traceback" not in server.text()


def clip(folder, frame_count=4):
    return str(write_scene(folder / "in.mp4", frame_count=frame_count, width=96, height=64))


def test_everything_is_served_and_a_run_goes_through(up, tmp_path):
    names = {found["name"] for found in httpx.post(f"{up.api}/flows/filter", json={}, timeout=ANSWER_S).json()}
    slugs = {found["slug"] for found in httpx.post(f"{up.api}/block_types/filter", json={}, timeout=ANSWER_S).json()}
    assert names >= set(FLOWS)
    assert slugs >= {"cosmos-gpu-host", "cosmos-run-store"}

    prompt = {"text": "a foggy street", "name": "by http", "input": clip(tmp_path)}
    created = up.start("inference/default", {"prompts": [prompt]})

    assert created.status_code == 201
    assert up.end_state(created.json()["id"]) == "Completed"
    assert "Traceback" not in up.text()


def test_what_has_a_schedule_is_scheduled(up):
    """The scheduler of the server says what keeps it from that in its own log alone."""
    wanted = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED", "PENDING", "RUNNING", "COMPLETED"]}}}}

    def scheduled():
        found = httpx.post(f"{up.api}/flow_runs/filter", json=wanted, timeout=ANSWER_S).json()
        names = {flow["id"]: flow["name"] for flow in httpx.post(f"{up.api}/flows/filter", json={}, timeout=ANSWER_S).json()}
        return {names[one["flow_id"]] for one in found if one["auto_scheduled"]} >= {"dispatch", "reconcile", "host-health"}

    wait_for(scheduled, START_LIMIT_S)
    assert "Traceback" not in (up.home / "server.log").read_text()


def test_a_value_out_of_bounds_is_refused_by_the_api(up):
    refused = up.start("inference/default", {"settings": {"preview": {"vis_weight": 2}}})

    assert refused.status_code == 409
    assert "vis_weight" in refused.text


def test_a_pipeline_whose_process_was_killed_goes_on_where_it_was(up, tmp_path):
    prompt = {"text": "a street in the sun", "name": "killed", "input": clip(tmp_path, frame_count=400)}
    flow_run_id = up.start("pipeline/default", {"prompts": [prompt], "stages": ["inference", "upscale"]}).json()["id"]
    with Store.open(f"sqlite:///{up.home}/cosmos.db", read_params=read_params) as store:

        def runs(operation):
            found = store.runs(RunFilter(operation=operation), limit=100)
            return [run for run in found if run.request_key.startswith(flow_run_id)]

        wait_for(lambda: [run for run in runs("upscale") if run.phase is Phase.SAMPLING], START_LIMIT_S)
        for process in psutil.Process(up.process.pid).children(recursive=True):
            if process.is_running() and process.environ().get("PREFECT__FLOW_RUN_ID") == flow_run_id:
                process.kill()
        assert up.end_state(flow_run_id) == "Crashed"
        again = {"state": {"type": "SCHEDULED", "name": "AwaitingRetry"}, "force": True}
        httpx.post(f"{up.api}/flow_runs/{flow_run_id}/set_state", json=again, timeout=ANSWER_S).raise_for_status()

        assert up.end_state(flow_run_id) == "Completed"
        assert [run.status for run in runs("inference")] == [RunStatus.COMPLETED]
        assert [run.status for run in runs("upscale")] == [RunStatus.COMPLETED]


def test_a_taken_port_is_said_in_one_line(up, tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "deployments.cli", "up", "--port", str(up.port)],
        env={**{n: v for n, v in os.environ.items() if not n.startswith("PREFECT_")}, "COSMOS_HOME": str(tmp_path / "other")},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert result.returncode == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert str(up.port) in result.stderr
