"""Hostile names reach a container intact or are refused, nothing is interpreted by a shell, and secrets are seen nowhere."""

import json
import os
from pathlib import Path

import pytest

from cosmos_ops.job import ContainerSpec
from cosmos_ops.remote.ssh_host import SSHHost
from tests.builders import a_clip, recorded
from tests.hosts.images import BASE
from tests.remote.servers import a_spec

from . import rig

pytestmark = pytest.mark.gpu_machines
HOSTILE = [
    "a'; touch x",
    'b "$(touch x)" `touch x`',
    "two  words",
    "größe 視頻",
    "-rf",
    "line\nbreak",
    "back\\slash",
    "{{ braces }} %s",
]
SECRET = "hunter2-not-for-anybodys-eyes"


@pytest.mark.parametrize("name", [name for name in HOSTILE if "\n" not in name])
def test_a_workspace_of_any_name_works(name, machine, tmp_path):
    """Also one that docker's own short form of a mount would take apart."""
    host = SSHHost(a_spec(machine, tmp_path, workspace=str(machine.workspace / f"{name}:ro,z")))
    try:
        host.write(Path("jobs/jb_1/spec"), "here")
        code = "import sys; print(open('/cosmos/job/spec').read(), sys.argv[1:], flush=True)"
        argv = ("python", "-c", code, *HOSTILE)
        spec = ContainerSpec(BASE, argv, {"NAMES": "\t".join(HOSTILE)}, gpu_count=0)
        labels = {"cosmos.job": "jb_1", "cosmos.names": "|".join(HOSTILE)}
        host.start("cosmos-jb_1", spec, folder=Path("jobs/jb_1"), labels=labels)
        lines = []
        ended = host.follow(
            "cosmos-jb_1",
            on_line=lambda line: lines.append(line.text),
            is_cancelled=lambda: False,
            stall_limit_s=lambda: 30,
            grace_s=1,
        )
        found = host.find({"cosmos.job": "jb_1"})[0].labels

        assert (ended.code, lines) == (0, [f"here {HOSTILE}"])
        assert found["cosmos.names"] == labels["cosmos.names"]
        host.remove_folder(Path("jobs/jb_1"))
        assert not host.exists(Path("jobs/jb_1"))
    finally:
        host.close()
    assert not list(machine.workspace.rglob("x"))


def test_hostile_texts_names_and_files_of_a_request(prefect_api, home, server, tmp_path, monkeypatch):
    from flows.forms import InferenceSettings, PromptRequest
    from flows.inference import inference
    from tests.builders import only

    rig.save_block(server, "gpu-a", environment={"HOSTILE": HOSTILE[0], "LINES": "a\nb"})
    requests = []
    for number, name in enumerate(HOSTILE):
        folder = tmp_path / f"{number}" / name
        folder.mkdir(parents=True)
        a_clip(folder / "color.mp4", frame_count=2, width=64, height=48)
        settings = [InferenceSettings(preview=only("vis"))]
        requests.append(PromptRequest(text=name, name=name, input=str(folder), negative_text=name, inference=settings))

    state = inference(requests, host="gpu-a", return_state=True)

    assert state.is_completed(), state.message
    found = recorded()
    for run in found.runs:
        spec = json.loads(found.file(run, "spec").read_text())
        assert spec["sample"]["prompt"] == found.prompts[run.prompt_id].text
    assert sorted(found.prompts[run.prompt_id].text for run in found.runs) == sorted(name.strip() for name in HOSTILE)
    assert not [path for folder in (server.workspace, tmp_path, Path.cwd()) for path in folder.rglob("x") if path.name == "x"]


@pytest.mark.parametrize("image", ["a'; touch x", "UPPER CASE", "-rf", "line\nbreak", "größe"])
def test_an_image_that_can_be_none_is_refused_before_anything_is_sent(image, prefect_api, home, server, tmp_path):
    rig.save_block(server, "gpu-a", images={"preview": image})
    with rig.held_flow("none", server, tmp_path / "flow", host="gpu-a") as flow:
        assert flow.answer()["state"] == "FAILED"
    assert flow.run.failure.kind in ("ImageMissingError", "HostUnhealthyError")
    assert not list((server.workspace / "cosmos").rglob("*.mp4"))


def test_a_secret_is_seen_nowhere(prefect_api, home, server, tmp_path):
    """The model prints it; it is in no log, label, command line, database, artifact or file, here or on the host."""
    rig.save_block(server, "gpu-a", secrets={"TOKEN": SECRET})
    with rig.held_flow("computing", server, tmp_path / "flow", host="gpu-a", orders="order=secret order=wait") as flow:
        flow.wait_until_held()
        (container,) = server.containers()
        attributes = container.attrs
        assert f"TOKEN={SECRET}" in attributes["Config"]["Env"]
        attributes["Config"]["Env"] = []
        assert SECRET not in json.dumps(attributes)
        flow.let_go()
        assert flow.answer()["state"] == "COMPLETED"

    assert "***" in recorded().file(flow.run, "log").read_text()
    places = [home, tmp_path, server.workspace, Path(os.environ["PREFECT_HOME"]), Path(os.environ["COSMOS_HOME"]).parent]
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in files)
    assert [str(path) for path in files if SECRET.encode() in path.read_bytes()] == []
