"""Batches of cosmos-transfer2.5 as jobs, and lines, markers and exit as the outcome of each run."""

from pathlib import PurePosixPath

import pytest

from cosmos_ops.job import (
    ContainerExit,
    Findings,
    NotCompleted,
    OutputFile,
    SampleBlocked,
    SampleEnded,
    SamplePhase,
    SampleStarted,
)
from cosmos_ops.operations.inference_transfer25 import INFERENCE_TRANSFER25
from cosmos_ops.planning import control_signature
from cosmos_ops.runs import Phase
from tests.builders import a_run

from .transfer25 import a_job, a_sample, params_of


def container_of(*, count=1, files=(), **values):
    files = dict(files)
    return a_job(*(a_sample(params_of(**values), number=number, **files) for number in range(1, count + 1))).container


def flags_of(**values):
    argv = container_of(**values).argv
    return list(argv[argv.index("-o") + 2 :])


def test_one_gpu_runs_the_program_itself():
    container = container_of()

    assert container.argv[:6] == ("python", "examples/inference.py", "-i", "/cosmos/job/batch.jsonl", "-o", "/cosmos/job/out")
    assert (container.image, container.workdir, container.gpu_count) == ("cosmos-transfer25", "/workspace", 1)
    assert not container.has_network


def test_several_gpus_run_it_under_torchrun_with_a_port_of_their_own():
    one, other = container_of(num_gpus=4), container_of(num_gpus=4, count=2)
    port = int(one.argv[2].removeprefix("--master_port="))

    assert one.argv[:2] == ("torchrun", "--nproc_per_node=4")
    assert one.argv[3] == "examples/inference.py"
    assert 20_000 <= port <= 29_499
    assert one.argv[2] == container_of(num_gpus=4).argv[2] != other.argv[2]
    assert one.gpu_count == 4


@pytest.mark.parametrize(
    ("values", "flags"),
    [
        ({}, ["--model", "edge"]),
        ({"depth_weight": 1}, ["--model", "depth"]),
        # The set of controls chooses the model of several.
        ({"depth_weight": 1, "seg_weight": 0.5}, []),
        ({"distilled": True}, ["--model", "edge/distilled"]),
        ({"guardrails": False}, ["--model", "edge", "--disable-guardrails"]),
        ({"offload_guardrail_models": True}, ["--offload-guardrail-models", "--model", "edge"]),
        ({"compile_tokenizer": "moderate"}, ["--model", "edge", "--compile-tokenizer", "MODERATE"]),
        # After a block, rank 0 would be a sample ahead of the others, and would mix its sample with theirs.
        ({"num_gpus": 2}, ["--model", "edge", "--no-keep-going"]),
        ({"num_gpus": 2, "guardrails": False}, ["--model", "edge", "--disable-guardrails"]),
    ],
)
def test_what_belongs_to_the_process_becomes_flags(values, flags):
    assert flags_of(**values) == flags


def test_the_environment_keeps_the_process_off_the_network_and_shows_its_chunks():
    env = container_of().env

    assert env == {
        "HF_HOME": "/cosmos/models/hf",
        "HF_HUB_OFFLINE": "1",
        "UV_OFFLINE": "1",
        "COSMOS_VERBOSE": "1",
        "PYTHONUTF8": "1",
    }
    assert container_of(distilled=True).env == {**env, "COSMOS_EXPERIMENTAL_CHECKPOINTS": "1"}


@pytest.mark.parametrize(
    ("values", "files", "modes"),
    [
        ({}, {}, ("always", "edge", "guardrails")),
        ({"guardrails": False}, {}, ("always", "edge")),
        ({"vis_weight": 1}, {}, ("always", "vis", "guardrails")),
        ({"distilled": True}, {}, ("always", "distilled", "guardrails")),
        ({"depth_weight": 1}, {"depth": "depth.mp4"}, ("always", "depth", "guardrails")),
        ({"depth_weight": 1}, {}, ("always", "depth", "guardrails", "auto-depth")),
        ({"edge_weight": 1, "seg_weight": 1}, {}, ("always", "multi", "guardrails", "auto-seg")),
        ({"edge_mask_prompt": "car"}, {}, ("always", "edge", "guardrails", "auto-seg")),
        ({"edge_weight": 1, "seg_mask_prompt": "car"}, {}, ("always", "edge", "guardrails")),
    ],
)
def test_the_modes_name_the_models_that_the_batch_needs(values, files, modes):
    assert container_of(files=files, **values).modes == modes


def test_a_neighbour_without_a_file_makes_the_batch_need_its_model():
    params = params_of(depth_weight=1)

    assert "auto-depth" in a_job(a_sample(params, depth="depth.mp4"), a_sample(params, number=2)).container.modes


def test_what_the_set_of_controls_or_the_process_decides_never_mixes():
    def signature(**values):
        return control_signature(a_run(params_of(**values), family="transfer25"))

    assert signature(edge_weight=0.1, seed=1, guidance=7, num_steps=5, resolution="480", max_frames=9) == signature()
    assert signature(edge_weight=1, vis_weight=0.1, vis_mask_prompt="car") == signature(edge_weight=0.5, vis_weight=1)
    different = [
        signature(),
        signature(vis_weight=1),
        signature(edge_weight=1, vis_weight=1),
        signature(edge_weight=1, vis_weight=1, depth_weight=1),
        signature(distilled=True),
        signature(guardrails=False),
        signature(offload_guardrail_models=True),
        signature(compile_tokenizer="moderate"),
        signature(num_gpus=2),
    ]
    assert len(set(different)) == len(different)


def test_a_run_promises_its_video_and_may_leave_its_controls_and_masks():
    params = params_of(edge_weight=1, depth_weight=1, seg_weight=1, seg_mask_prompt="car")
    sample = a_sample(params, edge_mask="mask.mp4", guided_mask="guided.mp4")
    (item,) = a_job(sample).items

    assert item.markers == (PurePosixPath("out/rs_1.txt"),)
    assert item.text == "a street"
    assert {(file.role, str(file.path), file.name, file.is_optional) for file in item.outputs} == {
        ("video", "out/rs_1.mp4", "video.mp4", False),
        ("spec", "out/rs_1.json", "spec.json", True),
        ("control_edge", "out/rs_1_control_edge.mp4", "control_edge.mp4", True),
        ("control_depth", "out/rs_1_control_depth.mp4", "control_depth.mp4", True),
        ("control_seg", "out/rs_1_control_seg.mp4", "control_seg.mp4", True),
        ("mask_edge", "out/rs_1_mask_edge.mp4", "mask_edge.mp4", True),
        ("mask_seg", "out/rs_1_mask_seg.mp4", "mask_seg.mp4", True),
        ("mask_guided_generation", "out/rs_1_mask_guided_generation.mp4", "mask_guided_generation.mp4", True),
    }


def test_of_one_frame_a_run_promises_a_picture():
    (item,) = a_job(a_sample(frames=1)).items

    assert (item.outputs[0].role, str(item.outputs[0].path), item.outputs[0].name) == ("image", "out/rs_1.jpg", "image.jpg")


def test_loading_and_long_inputs_and_large_pictures_may_be_silent_for_longer():
    short, long = a_job(a_sample()), a_job(a_sample(frames=4000), a_sample(number=2))
    large = a_job(a_sample(params_of(resolution="1080")), a_sample(number=2))
    of = lambda job, phase: job.stall_limits_s.get(phase.value, job.stall_limit_s)  # noqa: E731

    assert of(short, Phase.LOADING) >= 3600
    assert of(long, Phase.PREPROCESSING) > of(short, Phase.PREPROCESSING)
    assert of(long, Phase.GUARDRAIL) > of(short, Phase.GUARDRAIL)
    assert of(large, Phase.SAMPLING) > 1.5 * of(short, Phase.SAMPLING)
    # A chunk of the distilled model on the slowest GPU of the published tables takes 176 s, without a bar.
    assert of(a_job(a_sample(params_of(distilled=True))), Phase.SAMPLING) >= 10 * 176
    many = a_sample(params_of(distilled=True, num_steps=40), number=2)
    assert of(a_job(a_sample(params_of(distilled=True)), many), Phase.SAMPLING) >= 100 * 176


COUNT = 8
TEXTS = {number: f"prompt {number}\nof two lines" for number in range(1, COUNT + 1)}


def a_batch():
    return a_job(*(a_sample(number=number, text=TEXTS[number]) for number in TEXTS))


def findings(*numbers, text=None, without=(), log=()):
    texts = {PurePosixPath(f"out/rs_{number}.txt"): TEXTS[number] if text is None else text for number in numbers}
    videos = [PurePosixPath(f"out/rs_{number}.mp4") for number in numbers if number not in without]
    return Findings(texts, {path: OutputFile(path, "ab", 5, "video.mp4") for path in videos}, log)


def done(*numbers):
    return [event for number in numbers for event in (SampleStarted(f"rs_{number}"), SampleEnded(f"rs_{number}"))]


def kinds(ended, events, found):
    outcomes = INFERENCE_TRANSFER25.read_outputs(a_batch(), ended, events, found)
    return [type(one.error).__name__ if isinstance(one, NotCompleted) else type(one).__name__ for one in outcomes.values()]


ALL = range(1, COUNT + 1)
THIRD = SampleStarted("rs_3")


def test_a_blocked_sample_costs_nobody_else_anything():
    events = [*done(1, 2), THIRD, SampleBlocked("rs_3", "the guardrail refused the prompt"), *done(4, 5, 6, 7, 8)]

    assert kinds(ContainerExit(0), events, findings(1, 2, 4, 5, 6, 7, 8)) == [
        *["Completed"] * 2,
        "SampleBlockedError",
        *["Completed"] * 5,
    ]


@pytest.mark.parametrize(
    ("ended", "last", "kind"),
    [
        (ContainerExit(1), SampleBlocked("rs_3", "the guardrail refused the prompt"), "SampleBlockedError"),
        (ContainerExit(137), THIRD, "ProcessKilledError"),
        (ContainerExit(137, oom_killed=True), THIRD, "OutOfMemoryError"),
        (ContainerExit(137, is_stalled=True), THIRD, "ProcessStalledError"),
        (ContainerExit(1), THIRD, "ProcessFailedError"),
    ],
)
def test_what_breaks_at_the_third_of_eight_sends_the_rest_back_to_the_queue(ended, last, kind):
    assert kinds(ended, [*done(1, 2), THIRD, last], findings(1, 2)) == [*["Completed"] * 2, kind, *["NotRun"] * 5]


def test_what_is_cancelled_does_not_go_back_to_the_queue():
    found = kinds(ContainerExit(143, is_cancelled=True), [*done(1, 2), THIRD], findings(1, 2))

    assert found == [*["Completed"] * 2, *["RunCancelledError"] * 6]


def test_a_marker_counts_whatever_the_exit_says():
    assert kinds(ContainerExit(1), [], findings(*ALL)) == ["Completed"] * COUNT


@pytest.mark.parametrize(
    "found", [findings(*ALL, text="prompt of another run"), findings(*ALL, text=""), findings(*ALL, without=ALL)]
)
def test_a_marker_with_another_prompt_or_without_its_video_is_none(found):
    assert kinds(ContainerExit(0), done(*ALL), found) == ["OutputMissingError"] * COUNT


def test_line_ends_of_a_marker_do_not_matter():
    found = findings(*ALL)
    windows = Findings({path: text.replace("\n", "\r\n") for path, text in found.texts.items()}, found.files)

    assert kinds(ContainerExit(0), done(*ALL), windows) == ["Completed"] * COUNT


CHECKED_LAST = [
    *done(1, 2, 3, 4, 5, 6, 7),
    SampleStarted("rs_8"),
    *(SamplePhase("rs_8", phase) for phase in (Phase.PREPROCESSING, Phase.SAMPLING, Phase.SAVING, Phase.GUARDRAIL)),
]


def test_a_last_video_that_is_checked_and_never_saved_is_blocked():
    assert kinds(ContainerExit(0), CHECKED_LAST, findings(1, 2, 3, 4, 5, 6, 7))[-1] == "SampleBlockedError"


@pytest.mark.parametrize(
    ("ended", "events", "kind"),
    [
        (ContainerExit(137), CHECKED_LAST, "ProcessKilledError"),
        (ContainerExit(0), CHECKED_LAST[:-1], "OutputMissingError"),
        (ContainerExit(0), [*CHECKED_LAST[:-4], SamplePhase("rs_8", Phase.GUARDRAIL)], "OutputMissingError"),
        (ContainerExit(0, is_cancelled=True), CHECKED_LAST, "RunCancelledError"),
    ],
)
def test_only_a_process_that_ends_well_with_such_a_check_has_blocked_it(ended, events, kind):
    assert kinds(ended, events, findings(1, 2, 3, 4, 5, 6, 7))[-1] == kind
