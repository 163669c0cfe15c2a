"""`cosmos render` and `cosmos submit` as people use them: what they write, what they start, and what they refuse."""

import json

import httpx
import pytest
from click.testing import CliRunner

from cosmos_ops.runs import RunStatus
from deployments.cli import cli
from tests.builders import a_clip, opened_store, recorded
from tests.prefect_database import give_database

from .command import cosmos, the_error
from .test_up import Up

REQUEST = """
stages: [inference, upscale]
upscale: {factor: 2}
prompts:
  - {text: a street in the rain, name: rain, input: in.mp4, inference: [{seed: 1}, {crf: 30}]}
  - {text: a street in the snow, name: snow, input: in.mp4}
"""


@pytest.fixture
def request_file(tmp_path):
    a_clip(tmp_path / "in.mp4")
    path = tmp_path / "request.yaml"
    path.write_text(REQUEST)
    return path


def rendered(path, out):
    return CliRunner().invoke(cli, ["render", str(path), "--out", str(out)])


def job_in(folder):
    return json.loads((folder / "job.json").read_text())


def test_each_batch_gets_a_folder_with_all_that_its_job_needs(home, request_file, tmp_path):
    out = tmp_path / "out"
    done = rendered(request_file, out)

    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in out.iterdir()) == [
        "01-inference-preview",
        "02-inference-preview",
        "03-upscale-preview",
        "plan.json",
    ]
    job = job_in(out / "01-inference-preview")
    assert job["argv"][:4] == ["python", "-m", "cosmos_ops.preview", "inference"]
    assert [run["prompt"] for run in job["runs"]] == ["a street in the rain", "a street in the snow"]
    assert [run["request"] for run in job["runs"]] == ["prompts[0]", "prompts[1]"]
    assert [run["params"]["seed"] for run in job["runs"]] == [1, 1]
    (seen,) = [path for path in job["path_map"] if path.startswith("/cosmos/inputs/")]
    brought = out / "01-inference-preview" / job["path_map"][seen]
    assert brought.read_bytes() == (tmp_path / "in.mp4").read_bytes()
    samples = (out / "01-inference-preview" / "job" / "samples.jsonl").read_text().splitlines()
    assert {json.loads(line)["video"] for line in samples} == {seen}


def test_the_plan_says_which_runs_share_a_job_and_what_stands_in(home, request_file, tmp_path):
    rendered(request_file, tmp_path / "out")
    jobs = json.loads((tmp_path / "out" / "plan.json").read_text())["jobs"]

    assert [(job["folder"], job["operation"], len(job["runs"])) for job in jobs] == [
        ("01-inference-preview", "inference", 2),
        ("02-inference-preview", "inference", 1),
        ("03-upscale-preview", "upscale", 2),
    ]
    assert {run["stands_in"] for run in jobs[0]["runs"]} == {""}
    assert {run["stands_in"] for run in jobs[2]["runs"]} == {"the input video stands in for the output of inference"}


def test_nothing_is_recorded_or_sent_by_a_dry_run(home, request_file, tmp_path):
    rendered(request_file, tmp_path / "out")

    with opened_store() as store:
        assert (store.runs(limit=10), store.prompts(limit=10)) == ([], [])
    assert not (home / "workspace").exists()


def test_rendering_the_same_twice_gives_the_same_files(home, request_file, tmp_path):
    texts = []
    for out in (tmp_path / "one", tmp_path / "two"):
        rendered(request_file, out)
        texts.append({path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()})

    assert texts[0] == texts[1]


def test_a_folder_that_holds_something_is_left_alone(home, request_file, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("x")

    assert "is not empty; name a new folder" in the_error(cosmos(home, "render", request_file, "--out", tmp_path / "out"))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_with_a_problem_every_one_is_said_and_nothing_is_written(home, request_file, tmp_path):
    request_file.write_text(
        "stages: [inference]\nprompts: [{text: a, input: absent.mp4}, {text: '', input: in.mp4}, {text: a, input: in.mp4}]"
    )

    done = cosmos(home, "render", request_file, "--out", tmp_path / "out")

    assert "2 problems; nothing was started" in the_error(done)
    first, second = done.stdout.splitlines()
    assert first.startswith(f"{request_file}: prompts[0]: inference by preview: {tmp_path / 'absent.mp4'} does not exist")
    assert second.startswith(f"{request_file}: prompts[1]: the prompt is empty")
    assert list((tmp_path / "out").rglob("*")) == []


def test_without_a_server_no_pipeline_can_be_started(home, request_file):
    assert "start one with `cosmos up`" in the_error(cosmos(home, "submit", request_file, "--at-once"))


@pytest.fixture(scope="module")
def serving(tmp_path_factory):
    folder = tmp_path_factory.mktemp("serving")
    give_database(folder / "home" / "prefect" / "prefect.db")
    server = Up(folder / "home", folder / "up.log")
    server.wait_until_serving()
    yield server
    assert server.stop() == []


def test_a_pipeline_that_is_started_at_once_can_be_watched_to_its_end(serving, tmp_path, monkeypatch):
    monkeypatch.setenv("COSMOS_HOME", str(serving.home))
    a_clip(tmp_path / "in.mp4")
    (tmp_path / "street.yaml").write_text("{text: a street, input: in.mp4, stages: [inference], sweep: {seed: [1, 2]}}")

    done = cosmos(serving.home, "submit", tmp_path / "street.yaml", "--at-once", "--watch", "--name", "streets")

    assert (done.returncode, done.stderr) == (0, "")
    first, second, last = done.stdout.splitlines()
    assert first.startswith("flow run streets (")
    assert f"http://127.0.0.1:{serving.port}/runs/flow-run/" in first
    assert second == "Submitted 1 flow run."
    assert last.startswith("flow run streets: Completed")
    flow_run_id = first.split("(")[1].partition(")")[0]
    assert httpx.get(f"http://127.0.0.1:{serving.port}/api/flow_runs/{flow_run_id}").json()["name"] == "streets"
    assert recorded().statuses() == [RunStatus.COMPLETED.value] * 2


def test_each_request_of_a_file_becomes_a_flow_run_and_one_that_fails_is_told(serving, tmp_path):
    a_clip(tmp_path / "in.mp4")
    texts = ("a street in the sun", "a street full of gore")
    lines = [json.dumps({"text": text, "input": "in.mp4", "stages": ["inference"]}) for text in texts]
    (tmp_path / "two.jsonl").write_text("\n".join(lines))

    done = cosmos(serving.home, "submit", tmp_path / "two.jsonl", "--at-once", "--watch", "--name", "pair")

    assert "1 of 2 flow runs did not complete: pair 2 of 2" in the_error(done, code=1)
    assert "flow run pair 1 of 2: Completed" in done.stdout
    assert "blocked" in done.stdout


def test_what_is_queued_wakes_the_dispatcher_and_goes_through_all_stages(serving, tmp_path):
    a_clip(tmp_path / "in.mp4")
    request = "{text: a street in the fog, input: in.mp4, stages: [inference, upscale], upscale: {factor: 2}}"
    (tmp_path / "street.yaml").write_text(request)

    done = cosmos(serving.home, "submit", tmp_path / "street.yaml", "--watch")

    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("inference rs_")
    assert lines[0].endswith(": queued")
    assert lines[1].startswith("Runs in the queue: 1, each followed by its next stages")
    assert [line.partition(" rs_")[0] for line in lines[2:]] == ["inference", "upscale"]
    assert all(": completed in " in line for line in lines[2:])
