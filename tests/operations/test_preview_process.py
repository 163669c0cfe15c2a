"""The contract of the preview program, as data: lines to events, and markers, exit and events to the outcome of each run."""

import json
from pathlib import Path, PurePosixPath

import pytest

from cosmos_ops.job import (
    Completed,
    ContainerExit,
    Findings,
    InputFile,
    JobPaths,
    NotCompleted,
    NotRun,
    ProcessFailure,
    Sample,
    SampleEnded,
    SampleProgress,
    SampleStarted,
)
from cosmos_ops.operations.inference_preview import INFERENCE_PREVIEW
from cosmos_ops.operations.preview_process import read_outputs, read_progress
from cosmos_ops.runs import Prompt
from tests.builders import a_run, only

PATHS = JobPaths(job=PurePosixPath("/jobs/jb_1"), inputs=PurePosixPath("/inputs"))


def an_input(name):
    return InputFile(Path(f"/videos/{name}.mp4"), name * 8, 10)


def a_job(count=3, **inputs):
    samples = [
        Sample(a_run(only("edge", "vis"), id=f"rs_{number}"), Prompt("a street", "people"), inputs)
        for number in range(1, count + 1)
    ]
    return INFERENCE_PREVIEW.build_job("jb_1", samples, PATHS)


def a_marker(status="completed", **values):
    return json.dumps({"status": status, **values})


COMPLETE = a_marker(files={"video": {"path": "video.mp4", "sha256": "ab", "size_bytes": 5}}, seconds=1.0, later="ignored")


@pytest.mark.parametrize(
    ("line", "events"),
    [
        ("INFO [1/3] Sample rs_1 started: 8 frames, 96x64, 24 fps", [SampleStarted("rs_1")]),
        ("INFO [1/3] Sample rs_1 started", [SampleStarted("rs_1")]),
        ("Sampling rs_1:  25%|##########                              | 2/8", [SampleProgress("rs_1", 2, 8)]),
        ("INFO [1/3] Sample rs_1 saved: video.mp4, 8 frames in 0.2 s", [SampleEnded("rs_1")]),
        ("INFO [1/3] Sample rs_1 skipped: already complete", [SampleEnded("rs_1")]),
        ("WARNING [1/3] Sample rs_1 blocked: it names a person", [SampleEnded("rs_1")]),
        ("ERROR [1/3] Sample rs_1 failed: VideoUnreadableError: breaks off", [SampleEnded("rs_1")]),
        ("ERROR DiskFullError: No space left for /out", [ProcessFailure("DiskFullError: No space left for /out")]),
        ("INFO Finished: 3 completed, 0 blocked, 0 failed", []),
        ("INFO Loading controls: edge", []),
        ("a prompt that says INFO [1/3] Sample rs_1 started", []),
        ("", []),
    ],
)
def test_a_line_tells_this(line, events):
    assert read_progress(line) == events


def outcomes(*, code=0, events=(), markers=None, count=3, **how):
    texts = {PurePosixPath("out", run_id, "done.json"): text for run_id, text in (markers or {}).items()}
    return read_outputs(a_job(count), ContainerExit(code, **how), events, Findings(texts))


def kind(outcome):
    return type(outcome.error).__name__ if isinstance(outcome, NotCompleted) else type(outcome).__name__


def kinds(**how):
    return [kind(outcome) for outcome in outcomes(**how).values()]


FIRST_SAVED_SECOND_STARTED = (SampleStarted("rs_1"), SampleEnded("rs_1"), SampleStarted("rs_2"))
ONE = {"rs_1": COMPLETE}


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"markers": dict.fromkeys(("rs_1", "rs_2", "rs_3"), COMPLETE)}, ["Completed"] * 3),
        # The marker counts, whatever the exit says.
        ({"code": 137, "markers": dict.fromkeys(("rs_1", "rs_2", "rs_3"), COMPLETE)}, ["Completed"] * 3),
        (
            {
                "code": 1,
                "markers": {**ONE, "rs_2": a_marker("failed", reason="breaks off"), "rs_3": a_marker("blocked", reason="x")},
            },
            ["Completed", "SampleFailedError", "SampleBlockedError"],
        ),
        ({"code": 137, "events": FIRST_SAVED_SECOND_STARTED, "markers": ONE}, ["Completed", "ProcessKilledError", "NotRun"]),
        ({"code": 143, "events": FIRST_SAVED_SECOND_STARTED, "markers": ONE}, ["Completed", "ProcessKilledError", "NotRun"]),
        (
            {"code": 137, "oom_killed": True, "events": FIRST_SAVED_SECOND_STARTED, "markers": ONE},
            ["Completed", "OutOfMemoryError", "NotRun"],
        ),
        (
            {"code": 143, "is_cancelled": True, "events": FIRST_SAVED_SECOND_STARTED, "markers": ONE},
            ["Completed", "RunCancelledError", "RunCancelledError"],
        ),
        (
            {"code": 137, "is_stalled": True, "events": FIRST_SAVED_SECOND_STARTED, "markers": ONE},
            ["Completed", "ProcessStalledError", "NotRun"],
        ),
        (
            {"code": 3, "events": (*FIRST_SAVED_SECOND_STARTED, ProcessFailure("DiskFullError: No space left")), "markers": ONE},
            ["Completed", "DiskFullError", "NotRun"],
        ),
        ({"code": 2, "events": (ProcessFailure("samples.jsonl line 1: no name"),)}, ["ProcessFailedError"] * 3),
        ({"code": 127}, ["ProcessFailedError"] * 3),
        ({"code": 137}, ["ProcessKilledError"] * 3),
        ({"code": 0}, ["OutputMissingError"] * 3),
        ({"code": 0, "markers": {"rs_1": "{ cut"}, "count": 1}, ["OutputMissingError"]),
        ({"code": 0, "markers": {"rs_1": '{"files": {}}'}, "count": 1}, ["OutputMissingError"]),
    ],
)
def test_markers_exit_and_events_give_these_outcomes(how, expected):
    assert kinds(**how) == expected


def test_a_run_that_ended_without_a_marker_is_not_run_again_for_a_neighbours_sake():
    ended = (SampleStarted("rs_1"), SampleEnded("rs_1"), SampleStarted("rs_2"))

    assert kinds(code=0, events=ended, count=2) == ["OutputMissingError", "OutputMissingError"]


def test_reasons_are_kept():
    found = outcomes(
        code=3,
        events=(SampleStarted("rs_1"), ProcessFailure("DiskFullError: No space left for /out/a")),
        markers={"rs_2": a_marker("failed", reason="breaks off at frame 3"), "rs_3": a_marker("blocked", reason="a real person")},
    )

    assert "No space left for /out/a; make room" in str(found["rs_1"].error)
    assert "breaks off at frame 3" in str(found["rs_2"].error)
    assert "a real person" in str(found["rs_3"].error)


def test_a_completed_run_names_its_files():
    found = outcomes(markers={"rs_1": COMPLETE}, count=1)["rs_1"]

    assert isinstance(found, Completed)
    assert (found.files["video"].path, found.files["video"].size_bytes) == (PurePosixPath("video.mp4"), 5)


def test_only_what_may_pass_is_tried_again():
    killed, failed = outcomes(code=137, count=1)["rs_1"], outcomes(code=3, count=1)["rs_1"]

    assert killed.error.retry_helps
    assert not failed.error.retry_helps


def test_a_job_has_one_process_and_one_line_and_item_for_each_sample():
    job = a_job(2, video=an_input("a"), edge=an_input("b"))

    lines = [json.loads(line) for line in job.files[0].text.splitlines()]
    assert [line["name"] for line in lines] == [item.run_id for item in job.items] == ["rs_1", "rs_2"]
    assert lines[0]["video"] == f"/inputs/{'a' * 8}.mp4"
    assert lines[0]["controls"] == {"edge": {"weight": 0.5, "input": f"/inputs/{'b' * 8}.mp4"}, "vis": {"weight": 0.5}}
    assert (lines[0]["prompt"], lines[0]["negative_prompt"]) == ("a street", "people")
    assert len(job.inputs) == 2
    assert job.container.argv[:4] == ("python", "-m", "cosmos_ops.preview", "inference")
    assert isinstance(outcomes(events=(SampleStarted("rs_1"),), markers={}, count=2)["rs_2"], NotRun)
