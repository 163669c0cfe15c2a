"""The examples of docs/examples: each renders to jobs, and each runs on a simulated server to videos, logs and outcomes."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cosmos_ops.runs import RunStatus
from deployments.cli import cli
from flows.pipeline import pipeline
from flows.request_files import read_requests
from tests.builders import recorded
from tests.models import rig

EXAMPLES = sorted(path for path in (Path(__file__).parents[2] / "docs" / "examples").iterdir() if path.is_file())
GPU_EXAMPLES = [path for path in EXAMPLES if not path.stem.startswith("preview")]


def named(path):
    return path.name


def test_there_are_enough_examples():
    assert len(EXAMPLES) >= 25


@pytest.mark.parametrize("path", EXAMPLES, ids=named)
def test_an_example_renders_to_jobs_whose_files_are_all_there(path, home, tmp_path):
    done = CliRunner().invoke(cli, ["render", str(path), "--out", str(tmp_path / "out")])

    assert done.exit_code == 0, done.output + repr(done.exception)
    plan = json.loads((tmp_path / "out" / "plan.json").read_text())
    assert plan["jobs"]
    for entry in plan["jobs"]:
        folder = tmp_path / "out" / entry["folder"]
        job = json.loads((folder / "job.json").read_text())
        assert job["runs"]
        assert all(run["markers"] for run in job["runs"])
        assert all((folder / name).is_file() for name in job["path_map"].values())
        words = [word for word in job["argv"] if word.startswith(("/cosmos/inputs/", "/cosmos/job/"))]
        mentioned = {word for word in words if "." in word.rpartition("/")[2]}
        assert mentioned <= job["path_map"].keys()


@pytest.mark.gpu_machines
@pytest.mark.parametrize("kind", sorted({path.name.partition("-")[0] for path in GPU_EXAMPLES}))
def test_the_examples_run_to_their_end(kind, machine, prefect_api, home):
    """All of one family on one server, one after the other: making a server ready takes longer than most of them."""
    rig.make_ready(machine, "gpu-a", *rig.FAMILIES)

    for path in GPU_EXAMPLES:
        for request in read_requests(path) if path.name.partition("-")[0] == kind else []:
            given = {name: getattr(request, name) for name in request.model_fields_set}
            state = pipeline(**given, return_state=True)
            assert state.is_completed(), (path.name, state.message)

    found = recorded()
    assert found.runs
    for run in found.runs:
        assert run.status is RunStatus.COMPLETED
        assert found.file(run, "log").stat().st_size
        made = next(name for name in ("video", "image", "prompt") if getattr(run.outputs, name) is not None)
        assert found.file(run, made).stat().st_size
