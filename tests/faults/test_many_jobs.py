"""Fifty jobs at once on two servers with two slots each, and two orchestrators on one server."""

import gc
import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise

import psutil
import pytest

from cosmos_ops.following import LEASE_S, Follower
from cosmos_ops.homecoming import complete
from cosmos_ops.intake import sample_of
from cosmos_ops.job import host_folder
from cosmos_ops.names import new_id
from cosmos_ops.operations import find_operation
from cosmos_ops.remote.ssh_host import SSHHost
from cosmos_ops.results import ResultsFolder
from cosmos_ops.runs import VIDEO, Prompt, RunStatus
from cosmos_ops.settings import Settings
from cosmos_ops.workplace import Workplace
from tests.builders import a_clip, a_run, only, opened_store
from tests.remote.servers import a_spec

from . import rig

pytestmark = pytest.mark.gpu_machines
JOBS = 50
MORE_JOBS = 20
MEGABYTE = 1 << 20
GROWTH_MAX_BYTES = 24 * MEGABYTE


@pytest.fixture
def places(servers, home, tmp_path):
    """One workplace for each server, in this process."""
    with ExitStack() as stack:
        store = stack.enter_context(opened_store())
        results = ResultsFolder(Settings().outputs_folder)
        results.check()
        made = []
        for server in servers:
            spec = a_spec(server, tmp_path, images={"preview": rig.IMAGE}, workspace=str(server.workspace / "cosmos"))
            made.append(Workplace(store, results, SSHHost(spec), owner="tests"))
            stack.callback(made[-1].host.close)
        yield made


def carry_out(place, clip):
    """One job with one run, from request to result, without Prefect."""
    operation = find_operation("inference", "preview")
    prompt = place.store.add_prompt(Prompt(text="a street", inputs={VIDEO: clip}))
    run = place.store.add_run(a_run(only("vis"), prompt_id=prompt.id, owner=place.owner))
    job_id = new_id("jb")
    samples = [sample_of(operation, run, prompt, {VIDEO: clip}, prepared=clip.parent)]
    job = operation.build_job(job_id, samples, place.host.paths(host_folder(job_id)))
    job = replace(job, container=replace(job.container, image=place.host.image("preview", "")))
    assert place.store.open_job(job, host=place.host.name, owner=place.owner, lease_s=LEASE_S)
    follower = Follower(place, job, is_stopping=lambda: False)
    follower.stage_in()
    complete(follower)
    return place.store.run(run.id)


class Occupation:
    """Which job was on which GPU when, by docker's own record of starts and ends."""

    def __init__(self, server, path):
        self.path = path
        command = ["docker", "--host", f"unix://{server.docker_socket}", "events", "--since", str(time.time())]
        with path.open("wb") as output:
            self.process = subprocess.Popen([*command, "--format", "{{json .}}", "--filter", "type=container"], stdout=output)

    def close(self):
        self.process.kill()
        self.process.wait()

    def spans(self):
        """Label of the GPUs to start, end and name of each container, in the order of their starts."""
        lanes = {}
        for event in map(json.loads, self.path.read_text().splitlines()):
            labels = event["Actor"]["Attributes"]
            if "cosmos.gpus" in labels and event["Action"] in ("start", "die"):
                names = lanes.setdefault(labels["cosmos.gpus"], {})
                names.setdefault(labels["name"], {})[event["Action"]] = event["timeNano"]
        return {gpus: sorted((span["start"], span["die"], name) for name, span in names.items()) for gpus, names in lanes.items()}

    def check(self, *, jobs, slots):
        """So many jobs, on so many slots, and never two on one at a time."""
        spans = self.spans()
        assert (sum(map(len, spans.values())), len(spans)) == (jobs, slots)
        assert [(one, other) for lane in spans.values() for one, other in pairwise(lane) if other[0] < one[1]] == []


@pytest.fixture
def occupation(tmp_path):
    made = []

    def recorded(server):
        made.append(Occupation(server, tmp_path / f"events-{server.name}"))
        return made[-1]

    yield recorded
    for one in made:
        one.close()


def connections_to(server):
    found = psutil.Process().net_connections("tcp")
    return sum(1 for one in found if one.raddr and one.raddr.port == server.port and one.status == psutil.CONN_ESTABLISHED)


def memory_bytes():
    gc.collect()
    return psutil.Process().memory_info().rss


def test_fifty_jobs_share_four_slots(places, servers, tmp_path, occupation):
    clip = a_clip(tmp_path / "clip.mp4", frame_count=2, width=64, height=48)
    occupations = [occupation(server) for server in servers]
    most, sizes = 0, []
    with ThreadPoolExecutor(JOBS) as threads:
        for count in (JOBS, MORE_JOBS):
            jobs = [threads.submit(carry_out, places[number % 2], clip) for number in range(count)]
            while not all(job.done() for job in jobs):
                most = max(most, *map(connections_to, servers))
            assert {job.result().status for job in jobs} == {RunStatus.COMPLETED}
            sizes.append(memory_bytes())

    for one in occupations:
        one.check(jobs=(JOBS + MORE_JOBS) // 2, slots=2)
    assert 1 <= most < 10
    # Every thread has some memory of its own; jobs leave nothing behind.
    assert sizes[1] - sizes[0] < GROWTH_MAX_BYTES, [size // MEGABYTE for size in sizes]
    for server in servers:
        rig.assert_clean(server, may_resume=False)


def test_two_orchestrators_share_the_slot_of_one_server(prefect_api, home, server, tmp_path, occupation):
    """Each has a home, a store and flows of its own, and knows nothing of the other."""
    rig.save_block(server, "gpu-a", slots=[[0]])
    seen = occupation(server)
    homes = [tmp_path / "homes" / name for name in ("1", "2")]
    with ExitStack() as stack:
        flows = [
            stack.enter_context(
                rig.held_flow("none", server, tmp_path / f"flow-{number}", host="gpu-a", home=home, neighbours=["next"])
            )
            for number, home in enumerate(homes)
        ]
        assert [flow.answer()["state"] for flow in flows] == ["COMPLETED", "COMPLETED"]
    seen.check(jobs=2, slots=1)
    assert len(rig.starts(server)) == 4
    rig.assert_clean(server, may_resume=False)
