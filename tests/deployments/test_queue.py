"""`cosmos queue`, `cosmos plan` and `cosmos host pause` as people use them."""

import json

import pytest
from click.testing import CliRunner

from cosmos_ops.errors import InputError, RecordNotFoundError
from cosmos_ops.results import ResultsFolder
from cosmos_ops.runs import RunStatus
from cosmos_ops.settings import Settings
from cosmos_ops.workplace import Records
from deployments.cli import cli
from flows.queueing import queue_requests
from flows.request_files import read_requests
from tests.builders import a_clip, opened_store

from .command import cosmos

pytestmark = pytest.mark.usefixtures("shared_server")

STREETS = "{text: a street, input: in.mp4, stages: [inference], sweep: {seed: [1, 2, 3], crf: [20, 30]}}"


@pytest.fixture
def request_file(tmp_path):
    a_clip(tmp_path / "in.mp4")
    path = tmp_path / "request.yaml"
    path.write_text(STREETS)
    return path


def called(*arguments):
    """The command, called in this process, which is quicker."""
    done = CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture
def queued(home, request_file):
    """Six runs that wait, oldest first."""
    with opened_store() as store:
        results = ResultsFolder(Settings().outputs_folder)
        (request,) = read_requests(request_file)
        return [run.id for run in queue_requests(Records(store, results), {"rq_1": request})]


def queue():
    return [record["run"] for record in json.loads(called("queue", "--json"))]


def test_runs_are_moved_and_taken_out(home, queued):
    assert len(queued) == 6
    assert sorted(queue()) == sorted(queued)
    last = queue()[-1]

    assert called("queue", "front", last) == "Runs with the priority 1 now: 1\n"
    records = json.loads(called("queue", "--json"))
    assert (records[0]["run"], records[0]["position"], records[0]["priority"]) == (last, 1, 1)
    assert all(record["host"] == "local" and record["starts_in_s"] >= 0 for record in records)

    assert called("queue", "priority", "-5", last) == "Runs with the priority -5 now: 1\n"
    assert queue()[-1] == last

    assert called("queue", "cancel", last, queued[0]).count(": cancelled") == 2
    assert sorted(queue()) == sorted(set(queued) - {last, queued[0]})
    with opened_store() as store:
        assert store.run(last).status is RunStatus.CANCELLED


@pytest.mark.parametrize("arguments", [("front", "rs_none"), ("priority", "1", "rs_none"), ("cancel", "rs_none")])
def test_a_run_that_is_not_there_is_named(home, arguments):
    with pytest.raises(RecordNotFoundError, match="there is no run 'rs_none'"):
        called("queue", *arguments)


def test_an_empty_queue_says_so(home):
    assert called("queue") == "Nothing waits in the queue.\n"


def test_the_plan_of_the_queue_has_every_run_once(home, queued):
    description = json.loads(called("plan", "--queued", "--json"))

    assert sorted(run for batch in description["batches"] for run in batch["runs"]) == sorted(queued)
    assert {(batch["host"], batch["slot"], batch["family"]) for batch in description["batches"]} == {("local", 0, "preview")}
    assert description["gpu_s"] <= min(description["baseline_gpu_s"].values())
    assert description["makespan_bound_s"] <= description["makespan_s"]


@pytest.fixture
def planned(home, tmp_path):
    """Plans the example of a batch for machines that are not there."""

    def planned(*arguments):
        example = "docs/examples/transfer25-batch.yaml"
        return CliRunner().invoke(cli, ["plan", example, *arguments])

    return planned


def test_a_file_is_planned_for_machines_that_are_not_there(planned):
    description = json.loads(planned("--slots", "rack=2", "--slots", "attic=1:H200", "--json").stdout)

    places = {(batch["host"], batch["slot"]) for batch in description["batches"]}
    assert places <= {("rack", 0), ("rack", 1), ("attic", 0)}
    assert {known["gpu_type"] for known in description["costs"]} <= {"H100", "H200"}
    assert description["waiting"] == {}
    for batch in description["batches"]:
        assert 0 <= batch["predicted_start_s"] < batch["predicted_start_s"] + batch["load_s"] < batch["predicted_end_s"]
    text = planned("--slots", "rack=2").stdout
    assert "no plan is done before" in text
    assert "of one container per run" in text


def test_the_stages_of_a_file_are_planned_one_after_the_other(home):
    done = CliRunner().invoke(cli, ["plan", "docs/examples/over-families.yaml", "--slots", "rack=2", "--json"])

    description = json.loads(done.stdout)
    batches = description["batches"]
    assert [batch["signature"].split()[0] for batch in batches] == ["enhance", "inference", "upscale"]
    assert [batch["predicted_start_s"] for batch in batches[1:]] == [batch["predicted_end_s"] for batch in batches[:-1]]
    assert description["makespan_s"] == batches[-1]["predicted_end_s"] <= min(description["baseline_makespan_s"].values())


def test_slots_may_have_several_gpus(home):
    done = CliRunner().invoke(cli, ["plan", "docs/examples/cosmos3-super-four-gpus.yaml", "--slots", "rack=1:H100x4", "--json"])

    (batch,) = json.loads(done.stdout)["batches"]
    assert batch["gpu_s"] == pytest.approx(4 * (batch["predicted_end_s"] - batch["predicted_start_s"]), rel=1e-3)


def test_a_host_is_given_slots_once(planned):
    failed = planned("--slots", "rack=1", "--slots", "rack=2:H200")
    assert "--slots names the host rack twice" in str(failed.exception)


@pytest.mark.parametrize("slots", ["rack", "rack=0", "=2", "rack=2:GTX", "rack=2:H100x9", "rack=2:x4"])
def test_slots_that_cannot_be_meant_are_refused(home, planned, slots):
    failed = planned("--slots", slots)
    assert f"the slots {slots!r} are not HOST=N, HOST=N:GPU or HOST=N:GPUxK" in str(failed.exception)


def test_a_plan_is_of_a_file_or_of_the_queue(home, request_file):
    for arguments in (("plan",), ("plan", request_file, "--queued")):
        with pytest.raises(InputError, match="name a request file, or give --queued"):
            called(*arguments)


def test_a_file_is_queued_by_the_command(home, request_file):
    done = cosmos(home, "submit", request_file, "--priority", "3")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count(": queued") == 6
    with opened_store() as store:
        assert {one.priority for one in store.waiting()} == {3}
