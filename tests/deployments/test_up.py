"""`cosmos up` as people use it: server, blocks and deployments come up, a run goes through, Ctrl-C leaves nothing behind."""

import os
import re
import signal
import socket
import subprocess
import sys
import time

import httpx
import psutil
import pytest

from tests.preview.program import write_scene

START_LIMIT_S = 120
FLOWS = ("pipeline", "enhance", "inference", "upscale")
ANSWER_S = 30


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
        self.port, self.log = free_port(), log
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
        wait_for(lambda: "polling for scheduled runs" in self.text() or self.process.poll() is not None, START_LIMIT_S)
        assert self.process.poll() is None, self.text()

    def start(self, deployment, parameters):
        deployment_id = httpx.get(f"{self.api}/deployments/name/{deployment}", timeout=ANSWER_S).json()["id"]
        url = f"{self.api}/deployments/{deployment_id}/create_flow_run"
        return httpx.post(url, json={"parameters": parameters}, timeout=ANSWER_S)

    def end_state(self, flow_run_id):
        def ended():
            state = httpx.get(f"{self.api}/flow_runs/{flow_run_id}", timeout=ANSWER_S).json()["state"]
            return state["name"] if state["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED") else None

        return wait_for(ended, START_LIMIT_S)

    def stop(self):
        family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)
        _, left = psutil.wait_procs(family, timeout=20)
        return left


@pytest.fixture
def up(tmp_path):
    server = Up(tmp_path / "home", tmp_path / "up.log")
    try:
        server.wait_until_serving()
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()


def test_everything_is_served_a_run_goes_through_and_ctrl_c_leaves_nothing_behind(up, tmp_path):
    names = {found["name"] for found in httpx.post(f"{up.api}/flows/filter", json={}, timeout=ANSWER_S).json()}
    slugs = {found["slug"] for found in httpx.post(f"{up.api}/block_types/filter", json={}, timeout=ANSWER_S).json()}
    assert names >= set(FLOWS)
    assert slugs >= {"cosmos-gpu-host", "cosmos-run-store"}

    video = write_scene(tmp_path / "in.mp4", frame_count=4, width=96, height=64)
    prompt = {"text": "a foggy street", "name": "by http", "input": str(video)}
    created = up.start("inference/default", {"prompts": [prompt]})
    assert created.status_code == 201
    assert up.end_state(created.json()["id"]) == "Completed"

    refused = up.start("inference/default", {"settings": {"preview": {"vis_weight": 2}}})
    assert refused.status_code == 409
    assert "vis_weight" in refused.text

    assert up.stop() == []
    assert not re.search(r"Traceback", up.text())
    assert not (tmp_path / "home" / "server.json").exists()


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
