"""The 4K upscaler of transfer1: long videos go as pieces, each a line of the batch, and come home as one."""

import json
from itertools import pairwise

import pytest

from cosmos_ops.job import Completed, ContainerExit, Findings, NotCompleted, NotRun, OutputFile, SampleBlocked, SampleStarted
from cosmos_ops.operations.operation import Preparation
from cosmos_ops.operations.transfer1_process import DEFAULT_PROMPT
from cosmos_ops.operations.upscale_transfer1 import UPSCALE_TRANSFER1, UpscaleTransfer1
from cosmos_ops.pieces import pieces
from cosmos_ops.planning import control_signature
from cosmos_ops.runs import Prompt
from tests.builders import a_run

from .transfer1_samples import PATHS, a_sample, a_video, file_of, flags, infos, kinds, lines_of, spec_of

OPERATION = UPSCALE_TRANSFER1


def params(**values):
    return UpscaleTransfer1.read(values)


def a_job(*frame_counts, text="", **values):
    samples = [
        a_sample(OPERATION, params(**values), videos=infos("video", frame_count=count), run_id=f"rs_{number}", text=text)
        for number, count in enumerate(frame_counts)
    ]
    return OPERATION.build_job("jb_1", samples, PATHS)


def test_a_short_video_goes_whole():
    made = a_job(121)
    (item,) = made.items

    assert spec_of(made) == {"upscale": {"control_weight": 1.0}}
    assert lines_of(made) == [
        {
            "visual_input": "/cosmos/inputs/videovideovideovideo.mp4",
            "prompt": DEFAULT_PROMPT,
            "control_overrides": {"upscale": {"control_weight": 0.5}},
        }
    ]
    assert item.pieces == ()
    assert [(file.role, str(file.path), file.name) for file in item.outputs] == [
        ("video", "out/video_0/output.mp4", "video.mp4"),
    ]


def test_a_long_video_goes_in_pieces_that_overlap():
    (item,) = a_job(122).items

    assert item.pieces == ((0, 65), (57, 65))
    assert [(file.role, str(file.path), file.name) for file in item.outputs] == [
        ("piece-0", "out/video_0/output.mp4", "piece-0.mp4"),
        ("piece-1", "out/video_1/output.mp4", "piece-1.mp4"),
    ]
    assert [str(marker) for marker in item.markers] == ["out/video_0/prompt.txt", "out/video_1/prompt.txt"]


def test_runs_of_one_batch_have_their_lines_one_after_the_other():
    made = a_job(300, 50, 122)

    assert [line["visual_input"].rpartition("/")[2] for line in lines_of(made)] == [
        *("madepiece-0.mp4", "madepiece-1.mp4", "madepiece-2.mp4"),
        "videovideovideovideo.mp4",
        *("madepiece-0.mp4", "madepiece-1.mp4"),
    ]
    assert [[str(marker) for marker in item.markers] for item in made.items] == [
        [f"out/video_{number}/prompt.txt" for number in numbers] for numbers in ((0, 1, 2), (3,), (4, 5))
    ]
    assert [line["run"] for line in json.loads(file_of(made, "plan.json"))] == ["rs_0"] * 3 + ["rs_1"] + ["rs_2"] * 2
    assert {line["clips"] for line in json.loads(file_of(made, "plan.json"))} == {1}


def test_no_line_says_anything_of_a_control_file_because_even_null_would_be_read():
    assert all(set(line["control_overrides"]["upscale"]) == {"control_weight"} for line in lines_of(a_job(10, 300)))


@pytest.mark.parametrize(("text", "taken"), [("", DEFAULT_PROMPT), (" \n", DEFAULT_PROMPT), ("a street", "a street")])
def test_without_a_prompt_the_programs_own_is_sent_because_it_has_none_in_a_batch(text, taken):
    made = a_job(10, text=text)
    assert lines_of(made)[0]["prompt"] == made.items[0].text == taken


def test_the_command_line_has_the_steps_of_the_upscaler():
    container = a_job(10, num_gpus=2, fps=24).container

    assert flags(container.argv)["--num_steps"] == "10"
    assert flags(container.argv)["--num_gpus"] == "2"
    assert container.modes == ("always", "upscale")
    assert container.gpu_count == 2


def test_sampling_may_be_silent_for_longer_than_a_clip_in_nine_parts_was_seen_to_take():
    # Somebody waited 3 h 14 min on one GPU.
    assert a_job(121).stall_limits_s["sampling"] > 2 * (3 * 3600 + 14 * 60)


def test_pieces_cover_all_frames_and_none_is_longer_than_the_upscaler_bears():
    for frame_count in (*range(1, 1000), 5000, 100_001):
        cut = pieces(frame_count)

        assert (cut[0].start, cut[-1].end) == (0, frame_count)
        assert max(piece.count for piece in cut) <= 121
        assert min(piece.count for piece in cut) >= min(frame_count, 60)
        assert all(before.end - after.start == 8 for before, after in pairwise(cut))


@pytest.mark.parametrize(
    "arguments", [{"frame_count": 0}, {"frame_count": 9, "longest": 0}, {"frame_count": 9, "longest": 20, "overlap": 8}]
)
def test_pieces_that_cannot_be_are_refused(arguments):
    with pytest.raises(ValueError, match="cannot"):
        pieces(**arguments)


def test_only_long_videos_are_cut_before_they_are_sent():
    assert OPERATION.prepare(params(), infos("video", frame_count=121)) == ()
    assert OPERATION.prepare(params(), {}) == ()
    assert OPERATION.prepare(params(), {"video": a_video(suffix=".mov")}) == (Preparation("video", "video", "mp4"),)
    assert OPERATION.prepare(params(), infos("video", frame_count=122)) == (
        Preparation("piece-0", "video", "piece", frames=(0, 65)),
        Preparation("piece-1", "video", "piece", frames=(57, 65)),
    )


def test_only_pieces_are_sent_of_a_video_that_was_cut():
    assert [file.host_path.name for file in a_job(122).inputs] == ["madepiece-0.mp4", "madepiece-1.mp4"]


@pytest.mark.parametrize(
    ("values", "videos", "begins"),
    [
        ({}, {}, "video: there is no video to upscale"),
        ({}, infos("video", frame_count=1), "/videos/video.mp4: it has 1 frame"),
        ({"num_gpus": 7}, infos("video"), "num_gpus: 7 GPUs"),
    ],
)
def test_what_cannot_be_upscaled_is_refused(values, videos, begins):
    (problem,) = OPERATION.check(params(**values), videos)
    assert problem.startswith(begins)


def test_a_video_of_any_length_can_be_upscaled():
    assert [OPERATION.check(params(), infos("video", frame_count=count)) for count in (2, 121, 122, 9000)] == [[]] * 4


def test_rate_and_negative_prompt_follow_the_inputs():
    full = OPERATION.complete(params(), Prompt("", "rain"), infos("video", fps=30))
    assert (full.fps, full.negative_prompt, full.sigma_max) == (30, "rain", 70.0)


def test_only_the_weight_may_differ_within_a_process():
    one, two, three = (control_signature(a_run(params(**given))) for given in ({}, {"control_weight": 0.9}, {"seed": 2}))
    assert one == two != three


# Outcomes


def outcomes(job, *, saved, events=(), code=1, log=()):
    """What became of a job whose process saved these lines."""
    texts = {item.run_id: item.text for item in job.items}
    marked = {marker: texts[item.run_id] for item in job.items for marker in item.markers}
    markers = {marker: text for marker, text in marked.items() if int(marker.parent.name.removeprefix("video_")) in saved}
    files = {
        file.path: OutputFile(file.path, "ab", 9, file.name)
        for item in job.items
        for file in item.outputs
        if int(file.path.parent.name.removeprefix("video_")) in saved
    }
    return OPERATION.read_outputs(job, ContainerExit(code), events, Findings(markers, files, log))


def test_a_run_is_complete_only_if_all_its_pieces_are():
    job = a_job(300, 50)
    assert kinds(outcomes(job, saved={0, 1, 2, 3}, code=0)) == {"rs_0": "Completed", "rs_1": "Completed"}

    ended = outcomes(job, saved={0, 1}, events=[SampleStarted("rs_0")], log=["RuntimeError: CUDA error: unknown error"])
    assert isinstance(ended["rs_0"], NotCompleted)
    assert isinstance(ended["rs_1"], NotRun)


def test_a_completed_run_brings_all_its_pieces_in_their_roles():
    ended = outcomes(a_job(300), saved={0, 1, 2}, code=0)["rs_0"]
    assert isinstance(ended, Completed)
    assert list(ended.files) == ["piece-0", "piece-1", "piece-2"]


def test_a_blocked_piece_blocks_its_run_and_the_next_goes_back_to_the_queue():
    events = [SampleStarted("rs_0"), SampleBlocked("rs_0", "no")]
    assert kinds(outcomes(a_job(122, 50), saved={0}, events=events)) == {"rs_0": "SampleBlockedError", "rs_1": "NotRun"}
