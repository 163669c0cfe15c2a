"""Lines of transfer1's `transfer.py` to events: they name no sample, so place in the batch is counted."""

import json
from pathlib import PurePosixPath

import pytest

from cosmos_ops.job import (
    ContainerSpec,
    Job,
    JobItem,
    ProcessFailure,
    SampleBlocked,
    SampleEnded,
    SamplePhase,
    SampleProgress,
    SampleStarted,
    TextFile,
)
from cosmos_ops.operations.transfer1_reader import reader
from cosmos_ops.runs import Phase

SOURCE = "cosmos_transfer1/diffusion/inference/transfer.py:323:demo"


def a_job(*clips):
    """A job of lines, each a run and its number of clips."""
    plan = json.dumps([{"run": run, "clips": count} for run, count in clips])
    items = [JobItem(run, PurePosixPath(run), ()) for run in dict.fromkeys(run for run, _ in clips)]
    files = (TextFile(PurePosixPath("plan.json"), plan),)
    return Job("jb_1", "inference", "transfer1", ContainerSpec("i", (), {}), (), files, tuple(items), 1)


def logged(message, level="INFO", source=SOURCE):
    return f"[11-25 17:12:29|{level}|{source}] {message}"


def events(job, *lines):
    read = reader(job)
    return [event for line in lines for event in read(line)]


ONE = a_job(("rs_1", 2), ("rs_2", 1))
START = logged("running preprocessor")
SAMPLED = logged("Completed diffusion sampling")
SAVED = logged("Saved prompt to /cosmos/job/out/video_0/prompt.txt")
PREPROCESSING = SamplePhase("rs_1", Phase.PREPROCESSING)
BLOCK = logged("GUARDRAIL BLOCKED: Blocklist: Prompt is not safe", "CRITICAL", "presets.py:52:run_text_guardrail")


def test_the_kth_preprocessing_is_the_kth_line_of_the_batch():
    told = events(ONE, START, SAMPLED, SAMPLED, SAVED, START, SAMPLED, SAVED)

    assert [event for event in told if not isinstance(event, SamplePhase)] == [
        SampleStarted("rs_1"),
        SampleProgress("rs_1", 1, 2),
        SampleProgress("rs_1", 2, 2),
        SampleEnded("rs_1"),
        SampleStarted("rs_2"),
        SampleProgress("rs_2", 1, 1),
        SampleEnded("rs_2"),
    ]


@pytest.mark.parametrize(
    ("message", "phase"),
    [
        ("Running guardrail checks on all prompts", Phase.GUARDRAIL),
        ("Starting latent encoding", Phase.SAMPLING),
        ("Starting diffusion sampling", Phase.SAMPLING),
        ("Starting VAE decode", Phase.DECODING),
        ("Run guardrail on generated videos", Phase.GUARDRAIL),
    ],
)
def test_a_message_moves_the_run_to_its_phase_once(message, phase):
    told = events(ONE, START, logged(message), logged(message))

    assert told == [SampleStarted("rs_1"), PREPROCESSING, SamplePhase("rs_1", phase)]


def test_nothing_is_told_before_the_first_sample():
    loading = logged("Loading ctrl model from ckpt_path: /cosmos/models/transfer1/edge_control.pt")
    assert events(ONE, loading, logged("Starting T5 compute"), SAMPLED, SAVED) == []


@pytest.mark.parametrize(
    "line",
    [
        f"  0%|          | 0/2 [00:00<?, ?it/s]{START}",
        f"Loading checkpoint shards: 100%|##########| 4/4 [00:01<00:00,  3.10it/s]{START}",
        f"\x1b[32m{START}\x1b[0m",
        START + "  ",
    ],
)
def test_a_message_after_a_bar_or_in_colour_is_heard(line):
    assert events(ONE, line) == [SampleStarted("rs_1"), PREPROCESSING]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "running preprocessor",
        f'    "negative_prompt": "{START}",',
        f"no input_control provided for seg. using prompt='{START}'",
        logged(f"final args: {START}"),
        " 50%|#####     | 1/2 [05:12<05:12, 312.40s/it]",
        logged("running preprocessor and more"),
    ],
)
def test_what_only_quotes_a_message_tells_nothing(line):
    assert events(ONE, line) == []


def test_a_refused_prompt_blocks_its_run_once_and_with_the_reason():
    told = events(
        ONE,
        START,
        SAVED,
        START,
        BLOCK,
        logged("Input text prompt 1 is not safe", "CRITICAL"),
        logged("All prompts failed safety checks", "CRITICAL"),
        "TypeError: cannot unpack non-iterable NoneType object",
    )

    assert told[-1] == SampleBlocked("rs_2", "the guardrail refused the prompt: Blocklist: Prompt is not safe")
    assert len([event for event in told if isinstance(event, SampleBlocked)]) == 1


def test_a_refused_video_blocks_its_run_too():
    told = events(ONE, START, logged("Generated video 1 is not safe", "CRITICAL"))
    assert told[-1] == SampleBlocked("rs_1", "the guardrail refused the video that it made")


def test_the_reason_of_one_sample_is_not_that_of_the_next():
    told = events(ONE, START, BLOCK, START, logged("Generated video 1 is not safe", "CRITICAL"))
    assert told[-1] == SampleBlocked("rs_2", "the guardrail refused the video that it made")


def test_a_run_of_three_pieces_starts_and_ends_once_and_counts_all_its_clips():
    job = a_job(("rs_1", 1), ("rs_1", 1), ("rs_1", 1), ("rs_2", 1))
    told = events(job, *[START, SAMPLED, SAVED] * 4)

    assert [event for event in told if not isinstance(event, SamplePhase)] == [
        SampleStarted("rs_1"),
        SampleProgress("rs_1", 1, 3),
        SampleProgress("rs_1", 2, 3),
        SampleProgress("rs_1", 3, 3),
        SampleEnded("rs_1"),
        SampleStarted("rs_2"),
        SampleProgress("rs_2", 1, 1),
        SampleEnded("rs_2"),
    ]


def test_the_first_error_is_that_of_the_process_and_what_torchrun_says_of_it_is_none():
    told = events(
        ONE,
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 71.19 GiB.",
        "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: ",
    )
    assert told == [ProcessFailure("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 71.19 GiB.")]


@pytest.mark.parametrize("line", ["AssertionError", "[rank0]: AssertionError"])
def test_a_bare_assertion_is_a_failure(line):
    assert events(ONE, START, line)[-1] == ProcessFailure("AssertionError")


def test_more_samples_than_lines_tell_nothing():
    assert events(a_job(("rs_1", 1)), START, SAVED, START, SAMPLED)[-1] == SampleEnded("rs_1")
