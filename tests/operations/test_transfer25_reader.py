"""The lines and bars of cosmos-transfer2.5, as its sources print them, and the events that they are read as."""

from cosmos_ops.job import ProcessFailure, SampleBlocked, SampleEnded, SamplePhase, SampleProgress, SampleStarted
from cosmos_ops.operations.inference_transfer25 import INFERENCE_TRANSFER25
from cosmos_ops.runs import Phase

from .transfer25 import a_job, a_sample, params_of


def logged(text, level="INFO", place="cosmos_transfer2/inference.py:167:generate"):
    return f"[11-25 10:00:00|{level}|{place}] {text}"


def bar(done, total=35):
    return f"Generating samples: {100 * done // total:3d}%|###       | {done}/{total} [00:05<00:20,  3.11s/it]"


def started(name, place, count):
    return logged(f"[{place}/{count}] Processing sample {name}")


def chunk(number, count):
    return logged(f"Generating chunk {number}/{count}")


def saved(name, suffix="mp4"):
    return logged(f"Generated video saved to /cosmos/job/out/{name}.{suffix}", "SUCCESS")


CHECKS_VIDEO = logged("Running guardrail check on video...")
ONE_SAMPLE = [
    "Downloading checkpoint nothing",
    logged("Found 1 hint keys across all samples"),
    logged("Generating 1 samples: ['rs_1']"),
    started("rs_1", 1, 1),
    logged("Saved arguments to /cosmos/job/out/rs_1.json"),
    logged("Running guardrail check on prompt..."),
    logged("Passed guardrail on prompt", "SUCCESS"),
    logged("Passed guardrail on negative prompt", "SUCCESS"),
    logged("Processing the following paths: {'edge': None}"),
    logged("Loading input video..."),
    chunk(1, 2),
    logged("Seed: 17"),
    bar(0, 2),
    bar(1, 2),
    bar(2, 2),
    chunk(2, 2),
    bar(0, 2),
    bar(1, 2),
    bar(2, 2),
    logged("Average time per chunk: 1.5"),
    logged("edge control video saved to /cosmos/job/out/rs_1_control_edge.mp4"),
    CHECKS_VIDEO,
    logged("Passed guardrail on generated video", "SUCCESS"),
    saved("rs_1"),
]


def a_reader(count=1, frames=121, **values):
    job = a_job(*(a_sample(params_of(**values), number=number, frames=frames) for number in range(1, count + 1)))
    return INFERENCE_TRANSFER25.reader(job)


def events(lines, **values):
    read = a_reader(**values)
    return [event for line in lines for event in read(line)]


def progress(lines, **values):
    return [(event.done, event.total) for event in events(lines, **values) if isinstance(event, SampleProgress)]


def test_the_lines_of_a_sample_tell_all_of_its_phases():
    phase = lambda one: SamplePhase("rs_1", one)  # noqa: E731

    assert events(ONE_SAMPLE, num_steps=2) == [
        SampleStarted("rs_1"),
        phase(Phase.PREPROCESSING),
        phase(Phase.GUARDRAIL),
        phase(Phase.PREPROCESSING),
        phase(Phase.SAMPLING),
        SampleProgress("rs_1", 0, 4),
        SampleProgress("rs_1", 1, 4),
        phase(Phase.DECODING),
        SampleProgress("rs_1", 2, 4),
        phase(Phase.SAMPLING),
        SampleProgress("rs_1", 3, 4),
        phase(Phase.DECODING),
        SampleProgress("rs_1", 4, 4),
        phase(Phase.SAVING),
        phase(Phase.GUARDRAIL),
        phase(Phase.SAVING),
        SampleEnded("rs_1"),
    ]


def test_of_the_bars_of_several_gpus_the_furthest_counts_once():
    bars = [bar(0), bar(0), bar(0), bar(5), bar(4), bar(5), bar(6), bar(5)]

    assert progress([started("rs_1", 1, 1), chunk(1, 1), *bars], frames=93) == [(0, 35), (5, 35), (6, 35)]


def test_a_late_bar_of_the_chunk_before_does_not_end_the_next_one():
    lines = [started("rs_1", 1, 1), chunk(1, 2), bar(0), bar(35), chunk(2, 2), bar(35), bar(35), bar(0), bar(1)]

    assert progress(lines) == [(0, 70), (35, 70), (36, 70)]


def test_without_lines_about_chunks_a_bar_that_starts_again_is_the_next_chunk():
    bars = [bar(0), bar(17), bar(35), bar(35), bar(0), bar(0), bar(20), bar(35)]

    assert progress([started("rs_1", 1, 1), *bars]) == [(0, 70), (17, 70), (35, 70), (55, 70), (70, 70)]


def test_the_distilled_model_has_no_bar_and_is_seen_by_its_chunk():
    lines = [started("rs_1", 1, 1), chunk(1, 1), logged("Average time per chunk: 60.0")]

    assert progress(lines, frames=93, distilled=True) == [(0, 4), (4, 4)]


def test_a_line_that_stands_behind_a_bar_is_read_as_well():
    read = a_reader()
    read(started("rs_1", 1, 1))

    assert SampleEnded("rs_1") in read(bar(3) + saved("rs_1"))


def test_colours_ranks_and_pictures_do_not_matter():
    read = a_reader()

    first = read(f"\x1b[32m{logged('[RANK 0] [1/1] Processing sample rs_1')}\x1b[0m")
    assert first[0] == SampleStarted("rs_1")
    assert read(saved("rs_1", "jpg")) == [SampleEnded("rs_1")]


def test_a_blocked_prompt_is_blocked_with_the_reason_and_the_next_sample_goes_on():
    lines = [
        started("rs_1", 1, 2),
        logged("Running guardrail check on prompt..."),
        logged("GUARDRAIL BLOCKED: Blocked by Blocklist: bomb", "CRITICAL", "cosmos_transfer2/_src/presets.py:60:run"),
        logged("Guardrail blocked generation. Prompt: a bomb", "CRITICAL"),
        started("rs_2", 2, 2),
        logged("Guardrail blocked generation. Negative prompt: lifeless", "CRITICAL"),
    ]
    blocked = [event for event in events(lines, count=2) if isinstance(event, SampleBlocked)]

    assert blocked == [
        SampleBlocked("rs_1", "the guardrail refused the prompt; change its words (Blocked by Blocklist: bomb)"),
        SampleBlocked("rs_2", "the guardrail refused the negative prompt; change its words"),
    ]


def test_a_blocked_video_is_seen_by_the_next_sample():
    lines = [started("rs_1", 1, 2), chunk(1, 1), CHECKS_VIDEO, started("rs_2", 2, 2)]

    assert [type(event) for event in events(lines, count=2)][-3:] == [SampleBlocked, SampleStarted, SamplePhase]
    assert "the guardrail refused the generated video" in str(events(lines, count=2)[-3])


def test_a_blocked_video_whose_reason_is_printed_is_seen_at_once():
    lines = [started("rs_1", 1, 2), CHECKS_VIDEO, logged("GUARDRAIL BLOCKED: unsafe frame", "CRITICAL"), started("rs_2", 2, 2)]
    blocked = [event for event in events(lines, count=2) if isinstance(event, SampleBlocked)]

    assert [event.run_id for event in blocked] == ["rs_1"]
    assert blocked[0].text.endswith("(unsafe frame)")


def test_a_block_that_ends_the_process_of_several_gpus_is_no_failure_of_it():
    lines = [
        started("rs_1", 1, 2),
        CHECKS_VIDEO,
        "[rank0]: Traceback (most recent call last):",
        '[rank0]:   File "/workspace/examples/inference.py", line 61, in <module>',
        "[rank0]:     main()",
        "[rank0]: Exception: Guardrail blocked video2world generation.",
    ]
    found = events(lines, count=2, num_gpus=2)

    assert isinstance(found[-1], SampleBlocked)
    text = [*lines[:1], logged("Guardrail blocked generation. Prompt: x", "CRITICAL"), lines[2], "[rank0]: Exception: " + "x"]
    text[-1] = "[rank0]: Exception: Guardrail blocked generation. Prompt: x"
    assert not [event for event in events(text, count=2) if isinstance(event, ProcessFailure)]


def test_the_end_of_the_first_traceback_says_why_the_process_fails():
    lines = [
        started("rs_1", 1, 1),
        "Traceback (most recent call last):",
        '  File "/workspace/examples/inference.py", line 61, in <module>',
        "    raise ValueError: not this",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 71.19 GiB.",
        "Traceback (most recent call last):",
        "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: ",
    ]

    assert events(lines)[-1] == ProcessFailure("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 71.19 GiB.")


def test_a_refused_batch_is_a_failure_of_the_process():
    line = "Error validating parameters from '/cosmos/job/batch.jsonl' at line 0"

    assert events([line, "1 validation error for InferenceArguments"]) == [ProcessFailure(line)]


def test_what_a_prompt_says_is_not_taken_for_the_program():
    read = a_reader(count=2)
    read(started("rs_1", 1, 2))
    forged = [
        "[2/2] Processing sample rs_2",
        logged("a prompt with [2/2] Processing sample rs_2"),
        started("rs_1", 1, 2),
        started("rs_2", 1, 2),
        started("rs_9", 2, 2),
        logged("Generated video saved to /cosmos/job/out/rs_2.mp4", "SUCCESS"),
    ]

    assert [event for line in forged for event in read(line)] == []
