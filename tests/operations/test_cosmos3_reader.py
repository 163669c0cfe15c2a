"""Lines of the Cosmos 3 program, in its format, become events."""

import pytest

from cosmos_ops.job import (
    ProcessFailure,
    SampleBlocked,
    SampleEnded,
    SampleFailed,
    SamplePhase,
    SampleProgress,
    SampleStarted,
)
from cosmos_ops.operations.inference_cosmos3 import INFERENCE_COSMOS3
from cosmos_ops.runs import Phase

from .cosmos3_samples import a_job, a_sample, files

OUT = "/cosmos/job/out"


def logged(text, level="INFO", rank=""):
    return f"[08-21 10:00:00|job=|{level}|inference/inference.py:1843:_generate] {rank}{text}"


START = logged(f"Saved sample args to '{OUT}/rs_1/sample_args.json'", rank="[RANK 0] ")
SAMPLER = logged("Using sampler: UniPC (shift=10.0, num_steps=35)")
DONE = logged(f"Saved transfer outputs to '{OUT}/rs_1/sample_outputs.json'", "SUCCESS", "[RANK 0] ")


def bar(done, total=35):
    return f"Sampling:  {100 * done // total}%|######    | {done}/{total} [00:10<00:05,  1.92s/it]"


def read(*lines, frames=300):
    """The events of a process that works on one video, 300 frames long, which are 3 chunks."""
    reader = INFERENCE_COSMOS3.reader(a_job(a_sample(videos=files("video", frames=frames)), a_sample(number=2)))
    return [event for line in lines for event in reader(line)]


def phases(events):
    return [event.phase for event in events if isinstance(event, SamplePhase)]


def progress(events):
    return [(event.done, event.total) for event in events if isinstance(event, SampleProgress)]


def test_a_sample_from_start_to_end():
    events = read(
        logged("Loaded 2 samples"),
        START,
        logged("Computing edge control input on the fly"),
        SAMPLER,
        bar(0),
        bar(35),
        SAMPLER,
        logged(f"Saved control video to '{OUT}/rs_1/control_edge.mp4'", rank="[RANK 0] "),
        DONE,
    )

    assert events[0] == SampleStarted("rs_1")
    assert events[-1] == SampleEnded("rs_1")
    assert phases(events) == [Phase.PREPROCESSING, Phase.SAMPLING, Phase.DECODING, Phase.SAMPLING, Phase.SAVING]


def test_progress_counts_the_steps_of_all_chunks():
    events = read(START, bar(0), bar(20), bar(35), bar(0), bar(35), bar(0), bar(7), bar(35))

    assert progress(events) == [(n, 105) for n in (0, 20, 35, 35, 70, 70, 77, 105)]


def test_a_single_chunk_counts_its_own_steps():
    assert progress(read(START, bar(7), frames=121)) == [(7, 35)]


def test_progress_never_goes_back_where_streams_overtake_each_other():
    events = read(START, SAMPLER, bar(34), SAMPLER, bar(35), bar(0), bar(1))

    assert progress(events) == [(34, 105), (35, 105), (35, 105), (36, 105)]


def test_the_next_sample_begins_with_its_own_first_chunk():
    second = START.replace("rs_1", "rs_2")

    assert progress(read(START, bar(35), bar(20), DONE, second, bar(3))[-1:]) == [(3, 35)]


def test_bars_before_a_sample_and_names_of_strangers_tell_nothing():
    assert read(bar(3), START.replace("rs_1", "rs_9"), SAMPLER, DONE.replace("rs_1", "rs_9"), "", "hello") == []


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (
            [logged("Error generating sample 'rs_1': [Errno 28] No space left on device", "ERROR")],
            SampleFailed("rs_1", "[Errno 28] No space left on device"),
        ),
        (
            [
                logged("GUARDRAIL BLOCKED: Qwen3Guard: violence", "CRITICAL"),
                logged(f"Error generating sample 'rs_1': Guardrail blocked prompt '{OUT}/rs_1': 'a fight'", "ERROR"),
            ],
            SampleBlocked("rs_1", "the guardrail refused the prompt: Qwen3Guard: violence"),
        ),
        (
            [logged(f"Error generating sample 'rs_1': Guardrail blocked video '{OUT}/rs_1': unsafe", "ERROR")],
            SampleBlocked("rs_1", "the guardrail refused the video"),
        ),
        (
            [logged("Skipping sample 'rs_1': Invalid vision extension: .mov", "WARNING")],
            SampleFailed("rs_1", "Invalid vision extension: .mov"),
        ),
    ],
)
def test_a_sample_that_is_given_up_is_over(lines, told):
    assert read(*lines) == [told, SampleEnded("rs_1")]


@pytest.mark.parametrize(
    "line",
    [
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB",
        "[rank0]: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB",
    ],
)
def test_what_is_raised_breaks_the_process(line):
    assert read(line) == [ProcessFailure("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB")]


def test_what_is_logged_behind_a_bar_is_read_too():
    events = read(START, SAMPLER, bar(34), bar(35) + DONE)

    assert progress(events)[-1] == (35, 105)
    assert events[-1] == SampleEnded("rs_1")


def test_a_prompt_that_looks_like_a_bar_is_none():
    assert progress(read(START, logged(f"[transfer] final user prompt: {bar(3)}"))) == []


def test_colours_hide_nothing():
    assert read(f"\x1b[32m{START}\x1b[0m")[0] == SampleStarted("rs_1")
