"""`cosmos host` and `cosmos demo --host` as a user types them, against a real sshd and a real dockerd."""

import json
from pathlib import Path

import av
import numpy as np
import pytest

from cosmos_ops.operations import read_params
from cosmos_ops.remote.build_context import PYTHON
from cosmos_ops.store import Store
from flows.hosts import FAULTS_MAX, saved_hosts
from tests.builders import a_clip, a_run
from tests.hosts.debian import base_python_version
from tests.hosts.images import BASE
from tests.hosts.wheels import preview_wheels
from tests.store.builders import a_job, a_prompt

from .command import listed, the_error

pytestmark = pytest.mark.gpu_machines


def test_the_list_has_what_people_and_programs_need(hosts_home, run, saved, machine):
    name = saved("listed", slots=[[0], [1]], images={"preview": "image:1"})

    (record,) = [record for record in listed(hosts_home, "host", "list") if record["name"] == name]
    table = run("host", "list")

    address = f"root@{machine.address}:{machine.port}"
    wanted = {"kind": "ssh", "address": address, "slots": "0,1", "families": "preview", "paused": False, "put_aside": False}
    assert record == {"name": name, **wanted}
    assert table.stderr == ""
    assert [name, address, "0,1", "preview", "-"] in [line.split() for line in table.stdout.splitlines()]


def test_a_check_is_a_table_and_an_exit_code_and_takes_back_a_host_that_was_put_aside(hosts_home, run, saved, machine):
    name = saved("checked")
    with Store.open(f"sqlite:///{hosts_home / 'cosmos.db'}", read_params=read_params) as store:
        for _ in range(FAULTS_MAX):
            store.note_fault(name, "it did not answer")

    aside = run("host", "list")
    well, back = run("host", "check", name), run("host", "list")
    machine.stop_dockerd()
    ill, as_json = run("host", "check", name), run("host", "check", name, "--json")

    assert "put aside" in line_of(name, aside)
    assert "put aside" not in line_of(name, back)
    assert (well.returncode, well.stderr) == (0, "")
    assert len({line.index(" ok ") for line in well.stdout.splitlines() if " ok " in line}) == 1
    assert f"Host {name} is ready" in well.stdout
    assert (ill.returncode, as_json.returncode) == (1, 1)
    assert "-> `sudo systemctl enable --now docker`" in ill.stdout
    verdicts = {check["name"]: check["verdict"] for check in json.loads(as_json.stdout)}
    assert (verdicts["ssh"], verdicts["docker"], verdicts["limits"]) == ("ok", "fail", "skipped")


def line_of(name, done):
    return next(line for line in done.stdout.splitlines() if line.startswith(f"{name} "))


def test_a_host_with_open_jobs_is_removed_only_by_force(hosts_home, run, saved):
    name = saved("leaving")
    with Store.open(f"sqlite:///{hosts_home / 'cosmos.db'}", read_params=read_params) as store:
        waiting = store.add_run(a_run(prompt_id=store.add_prompt(a_prompt()).id))
        job = a_job(waiting.id)
        assert store.open_job(job, host=name, owner="somebody/1/1.0", lease_s=60)

        refused = the_error(run("host", "remove", name))
        assert name in saved_hosts()
        done = run("host", "remove", name, "--force")
        store.end_job(job.id)

    assert job.id in refused
    assert (done.returncode, done.stderr) == (0, "")
    assert name not in saved_hosts()


def test_a_demo_on_a_host_that_is_not_ready_starts_nothing(run, saved):
    name = saved("unready", images={"preview": "no-such-image:1"})

    assert "there is no host 'nowhere'" in the_error(run("demo", "--host", "nowhere"))
    assert f"cosmos host setup {name}" in the_error(run("demo", "--host", name))


def test_after_set_up_the_demo_makes_the_same_frames_there_as_here(hosts_home, run, saved, machine, tmp_path):
    if base_python_version() != PYTHON:
        pytest.skip(f"the base image has Python {base_python_version()}, this is {PYTHON}")
    clip = a_clip(tmp_path / "clip.mp4")
    saved("worker")
    setup = ("host", "setup", "worker", "--family", "preview", "--base-image", BASE, "--wheels", preview_wheels())
    demo = ("demo", "--input", clip, "--prompt", "a night in the rain, neon", "--seed", "7")

    first, second = run(*setup), run(*setup)
    there, here = run(*demo, "--host", "worker"), run(*demo)

    assert (first.returncode, first.stderr) == (0, "")
    assert " MB to send" in first.stdout.splitlines()[0]
    assert "Saved: host worker has the image" in first.stdout
    assert "nothing is sent" in second.stdout
    assert there.returncode == here.returncode == 0, there.stdout + there.stderr + here.stdout + here.stderr
    assert "Computing on host worker." in there.stdout
    for operation in ("inference", "upscale"):
        local, remote = [video_of(record) for record in listed(hosts_home, "runs", "list", "--operation", operation)[:2]]
        assert len(frames(remote)) == 6
        assert np.array_equal(frames(remote), frames(local))
    assert [path for path in machine.workspace.rglob("*") if path.is_file() and path.parent.name != "inputs"] == []
    assert machine.containers() == []


def video_of(record):
    return Path(record["outputs"]["video"])


def frames(video):
    with av.open(str(video)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
