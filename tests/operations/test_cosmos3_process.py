"""What became of each run of a Cosmos 3 batch: its own files decide, whatever the exit code says."""

import json
from dataclasses import replace

import pytest

from cosmos_ops.errors import (
    EnvironmentBrokenError,
    GPUMemoryError,
    OutputMissingError,
    ProcessKilledError,
    ProcessStalledError,
    RunCancelledError,
    SampleBlockedError,
    SampleFailedError,
)
from cosmos_ops.job import (
    Completed,
    ContainerExit,
    Findings,
    NotRun,
    SampleBlocked,
    SampleEnded,
    SampleFailed,
    SampleStarted,
)
from cosmos_ops.operations.inference_cosmos3 import INFERENCE_COSMOS3

from .cosmos3_samples import ENDED, a_job, a_marker, a_sample, files, found, kinds

CRASHED = ContainerExit(1)
OOM = (
    "Traceback (most recent call last):",
    '  File "/workspace/cosmos_framework/inference/transfer.py", line 560, in generate_transfer_sample',
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB",
)


def a_batch():
    return a_job(*(a_sample(number=number) for number in range(1, 9)))


def judged(job, ended, events, findings):
    return INFERENCE_COSMOS3.read_outputs(job, ended, events, findings)


def started(*numbers):
    return [SampleStarted(f"rs_{number}") for number in numbers]


def done(*numbers):
    return {f"rs_{number}": a_marker() for number in numbers}


def test_a_batch_with_a_blocked_third_sample_loses_nothing_else():
    job = a_batch()
    events = [
        *started(1, 2, 3),
        SampleBlocked("rs_3", "the guardrail refused the prompt"),
        SampleEnded("rs_3"),
        *started(4, 5, 6, 7, 8),
    ]
    outcomes = judged(job, ENDED, events, found(job, **done(1, 2, 4, 5, 6, 7, 8)))

    assert kinds(outcomes) == [Completed, Completed, SampleBlockedError, *[Completed] * 5]
    assert outcomes["rs_1"].files.keys() == {"video", "control_edge", "spec"}


def test_a_batch_whose_third_sample_crashes_gives_the_rest_back():
    job = a_batch()
    outcomes = judged(job, CRASHED, started(1, 2, 3), found(job, log=OOM, **done(1, 2)))

    assert kinds(outcomes) == [Completed, Completed, GPUMemoryError, *[NotRun] * 5]


def test_a_batch_that_is_killed_in_its_third_sample_gives_the_rest_back():
    job = a_batch()
    outcomes = judged(job, ContainerExit(137), started(1, 2, 3), found(job, **done(1, 2)))

    assert kinds(outcomes) == [Completed, Completed, ProcessKilledError, *[NotRun] * 5]


def test_files_tell_who_had_begun_where_lines_were_lost():
    job = a_batch()
    outcomes = judged(job, CRASHED, [], found(job, log=OOM, started=("rs_3",), **done(1, 2)))

    assert kinds(outcomes) == [Completed, Completed, GPUMemoryError, *[NotRun] * 5]


def test_what_is_cancelled_does_not_go_back():
    job = a_batch()
    outcomes = judged(job, replace(CRASHED, is_cancelled=True), started(1, 2), found(job, **done(1)))

    assert kinds(outcomes) == [Completed, *[RunCancelledError] * 7]


def test_a_process_that_stalls_in_a_sample_fails_this_one():
    job = a_job(a_sample(), a_sample(number=2))

    assert kinds(judged(job, replace(CRASHED, is_stalled=True), started(1), found(job))) == [ProcessStalledError, NotRun]


def test_a_specs_file_that_is_refused_fails_all():
    job = a_batch()
    log = ("ValueError: Error validating parameters from '/cosmos/job/specs.jsonl' at sample 3",)

    assert NotRun not in kinds(judged(job, CRASHED, [], found(job, log=log)))


def test_exit_code_0_without_a_marker_is_no_success():
    job = a_job(a_sample())
    events = [*started(1), SampleFailed("rs_1", "[Errno 5] Input/output error"), SampleEnded("rs_1")]

    assert kinds(judged(job, ENDED, events, found(job, started=("rs_1",)))) == [SampleFailedError]
    assert kinds(judged(job, ENDED, started(1), found(job, started=("rs_1",)))) == [OutputMissingError]


@pytest.mark.parametrize(
    ("marker", "kind"),
    [
        (a_marker(), Completed),
        (a_marker(status="skip", message="Skipping sample 'rs_1': bad", outputs=None), SampleFailedError),
        (a_marker(status="error", message="disk"), SampleFailedError),
        (a_marker(outputs=[]), OutputMissingError),
        (a_marker("other.mp4"), OutputMissingError),
        (a_marker()[:40], OutputMissingError),
        ("", OutputMissingError),
        ("[]", OutputMissingError),
    ],
)
def test_a_marker_counts_if_it_says_success_and_names_the_video(marker, kind):
    job = a_job(a_sample())

    assert kinds(judged(job, ENDED, started(1), found(job, rs_1=marker))) == [kind]


def test_a_sample_that_is_left_out_says_why():
    job = a_job(a_sample())
    outcome = judged(job, ENDED, [], found(job, rs_1=a_marker(status="skip", message="Invalid vision extension", outputs=None)))

    assert "Invalid vision extension" in str(outcome["rs_1"].error)


def test_a_marker_without_its_video_is_no_success_and_nor_is_an_empty_video():
    job = a_job(a_sample())
    whole = found(job, rs_1=a_marker())
    video = job.items[0].outputs[0].path
    missing = Findings(whole.texts, {path: file for path, file in whole.files.items() if path != video})
    empty = Findings(whole.texts, {**whole.files, video: replace(whole.files[video], size_bytes=0)})

    assert kinds(judged(job, ENDED, started(1), missing)) == [OutputMissingError]
    assert kinds(judged(job, ENDED, started(1), empty)) == [OutputMissingError]


def test_the_controls_as_used_may_be_missing():
    job = a_job(a_sample())
    whole = found(job, rs_1=a_marker())
    control = next(file.path for file in job.items[0].outputs if file.role == "control_edge")
    bare = Findings(whole.texts, {path: file for path, file in whole.files.items() if path != control})

    assert judged(job, ENDED, started(1), bare)["rs_1"].files.keys() == {"video", "spec"}


def test_an_image_is_an_output_like_a_video():
    job = a_job(a_sample(videos=files("edge.png")))
    outcome = judged(job, ENDED, started(1), found(job, rs_1=a_marker("vision.jpg")))["rs_1"]

    assert outcome.files["image"].name == "image.jpg"
    assert json.loads(a_marker())["status"] == "success"


def test_videos_that_came_out_grey_are_no_success():
    job = a_batch()
    log = ("Failed to initialize the CUTLASS kernel. Last CUDA error is: no error",)
    outcomes = judged(job, ENDED, started(1, 2, 3, 4, 5, 6, 7, 8), found(job, log=log, **done(1, 2, 3, 4, 5, 6, 7, 8)))

    assert set(kinds(outcomes)) == {EnvironmentBrokenError}
