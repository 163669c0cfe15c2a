"""What every run needs: how much work it is, and what a machine must have for it."""

from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from cosmos_ops.errors import ParamsError
from cosmos_ops.intake import used_videos
from cosmos_ops.job import InputFile, JobPaths, Sample
from cosmos_ops.media.probe import probe
from cosmos_ops.operations import OPERATIONS, find_operation
from cosmos_ops.operations.cosmos3_params import Checkpoint
from cosmos_ops.params import active_controls, parameters
from cosmos_ops.runs import Prompt
from cosmos_ops.sizes import Needs
from cosmos_ops.videos import VideoInfo
from flows.asked import ask
from flows.request_files import read_requests
from tests.builders import a_run, opened_store

PATHS = JobPaths(job=PurePosixPath("/cosmos/job"), inputs=PurePosixPath("/cosmos/inputs"))


def info(role, *, frames=121, size=(1280, 704), fps=24):
    frames, suffix = (1, ".png") if role == "image" else (frames, ".mp4")
    return VideoInfo(Path(f"/videos/{role}{suffix}"), *size, frames, Fraction(fps), frames / fps, has_audio=False)


def needed(name, family, values=(), roles=("video",), **shape):
    """What a run needs that passes the check."""
    params, videos = asked(name, family, dict(values), roles, **shape)
    operation = find_operation(name, family)
    assert operation.check(params, videos) == []
    found = operation.needs(params, videos)
    assert found.modes == sample_job(name, family, params, videos).container.modes
    return found


def asked(name, family, values, roles, **shape):
    operation = find_operation(name, family)
    given_params = operation.params.read(values)
    videos = {role: info(role, **shape) for role in roles if role in operation.reads(given_params)}
    return operation.complete(given_params, Prompt("a street"), videos), videos


def sample_job(name, family, params, videos):
    """The job of this run alone, with its files as they are after preparation."""
    operation = find_operation(name, family)
    steps = operation.prepare(params, videos)
    cut = {step.source for step in steps if step.kind == "piece"}
    roles = ({*videos} - cut) | {step.role for step in steps}
    files = {role: InputFile(Path(f"/videos/{role}.mp4"), role * 4, 10) for role in roles}
    run = a_run(params, id="rs_1", operation=name, family=family)
    return operation.build_job("jb_1", [Sample(run, Prompt("a street"), files, videos)], PATHS)


# How much work it is


@pytest.mark.parametrize(
    ("values", "shape", "expected"),
    [
        ({}, {}, (121, 1, 36, 2, 1)),
        ({}, {"frames": 122}, (122, 2, 36, 2, 1)),
        ({"num_steps": 10}, {"frames": 2}, (2, 1, 11, 2, 1)),
        ({"edge_weight": 1, "depth_weight": 0.5, "vis_weight": 0}, {}, (121, 1, 36, 2, 2)),
        ({"guidance": 0}, {}, (121, 1, 36, 2, 1)),
        ({"distilled": True}, {"frames": 241}, (241, 2, 1, 1, 1)),
    ],
)
def test_transfer1_counts_clips_of_121_frames_that_overlap_by_one(values, shape, expected):
    assert numbers(needed("inference", "transfer1", values, **shape)) == expected


@pytest.mark.parametrize(
    ("values", "shape", "expected"),
    [
        ({}, {"frames": 93}, (93, 1, 35, 2, 1)),
        ({}, {"frames": 94}, (94, 2, 35, 2, 1)),
        ({"max_frames": 90}, {"frames": 500}, (90, 1, 35, 2, 1)),
        ({"num_conditional_frames": 0}, {"frames": 186}, (186, 2, 35, 2, 1)),
        ({"num_conditional_frames": 2}, {"frames": 186}, (186, 3, 35, 2, 1)),
        ({"distilled": True}, {"frames": 93}, (93, 1, 4, 2, 1)),
        ({"edge_weight": 1, "seg_weight": 1, "num_steps": 7}, {"frames": 93}, (93, 1, 7, 2, 2)),
    ],
)
def test_transfer25_counts_chunks_of_93_frames(values, shape, expected):
    assert numbers(needed("inference", "transfer25", values, **shape)) == expected


@pytest.mark.parametrize(
    ("values", "roles", "shape", "expected"),
    [
        # Guidance of the text and of the control are a pass each.
        ({"edge_weight": 1}, ["video"], {}, (121, 1, 35, 3, 1)),
        ({"edge_weight": 1, "guidance": 1, "control_guidance": 1}, ["video"], {}, (121, 1, 35, 1, 1)),
        ({"edge_weight": 1, "vis_weight": 1}, ["video"], {}, (121, 1, 35, 2, 2)),
        ({"wsm_weight": 1}, ["wsm"], {"frames": 202}, (202, 3, 35, 2, 1)),
        ({"edge_weight": 1, "num_video_frames_per_chunk": 93}, ["video"], {"frames": 300}, (300, 4, 35, 3, 1)),
        ({"mode": "text2video"}, [], {}, (189, 1, 35, 2, 0)),
        ({"mode": "text2image"}, [], {}, (1, 1, 50, 2, 0)),
        (
            {"mode": "image2video", "checkpoint": "Cosmos3-Super-Image2Video-4Step"},
            ["image"],
            {},
            (189, 1, 4, 1, 0),
        ),
    ],
)
def test_cosmos3_counts_chunks_and_passes(values, roles, shape, expected):
    assert numbers(needed("inference", "cosmos3", values, roles, **shape)) == expected


def numbers(needs):
    size = needs.size
    return size.frames, size.chunks, size.steps, size.calls_per_step, size.controls


@pytest.mark.parametrize(
    ("family", "values", "shape", "pixels"),
    [
        ("transfer1", {}, {}, 1280 * 704 / 921600),
        ("transfer1", {}, {"size": (480, 480)}, 1.0),
        ("transfer1", {}, {"size": (704, 960)}, 704 * 960 / 921600),
        ("transfer25", {"resolution": "720"}, {"size": (640, 352)}, 1280 * 704 / 921600),
        ("transfer25", {"resolution": "1080"}, {}, 1920 * 1056 / 921600),
        ("transfer25", {"resolution": "480"}, {"size": (480, 640)}, 480 * 640 / 921600),
        ("transfer25", {"resolution": "256", "max_frames": 1}, {}, 320 * 192 / 921600 / 93),
        ("cosmos3", {"edge_weight": 1, "resolution": "480"}, {}, 832 * 480 / 921600 * 121 / 189),
        ("cosmos3", {"mode": "text2video"}, {}, 1.0),
        ("cosmos3", {"mode": "text2image"}, {}, 1 / 189),
        ("preview", {}, {"size": (640, 360)}, 0.25),
    ],
)
def test_pixels_are_those_that_one_pass_works_on(family, values, shape, pixels):
    roles = [] if "text" in values.get("mode", "") else ["video"]
    assert needed("inference", family, values, roles, **shape).size.pixels == pytest.approx(pixels)


def test_frames_of_a_preview_end_where_its_parameters_say():
    assert needed("inference", "preview", {"max_frames": 10}).size.frames == 10
    assert needed("inference", "preview").size.frames == 121


def test_a_preview_of_an_enlarged_video_is_more_work_for_larger_factors():
    twice, four_times = (needed("upscale", "preview", {"factor": factor}).size.pixels for factor in (2, 4))
    assert four_times == pytest.approx(4 * twice)


@pytest.mark.parametrize(("frames", "pieces"), [(20, 1), (121, 1), (122, 2), (300, 3)])
def test_each_piece_of_an_enlarged_video_is_nine_parts_of_the_picture(frames, pieces):
    needs = needed("upscale", "transfer1", frames=frames)

    assert (needs.size.frames, needs.size.chunks, needs.size.steps, needs.parts) == (frames, 9 * pieces, 11, 1)
    params, videos = asked("upscale", "transfer1", {}, ["video"], frames=frames)
    assert len(sample_job("upscale", "transfer1", params, videos).items[0].markers) == pieces


# What a machine must have


@pytest.mark.parametrize(
    ("operation", "family", "values", "expected"),
    [
        ("inference", "transfer1", {}, ("", None)),
        ("inference", "transfer1", {"edge_weight": 1, "vis_weight": 1}, ("", None)),
        ("upscale", "transfer1", {}, ("", 1)),
        ("enhance", "transfer1", {}, ("transfer1/enhance", 0)),
        ("inference", "transfer25", {}, ("", 1)),
        ("inference", "transfer25", {"edge_weight": 1, "vis_weight": 1}, ("", 4)),
        # One fit for both tells better what a pass costs and what the rest.
        ("inference", "transfer1", {"distilled": True}, ("", None)),
        ("inference", "transfer25", {"distilled": True}, ("", 1)),
        ("inference", "cosmos3", {}, ("", 0)),
        ("inference", "cosmos3", {"checkpoint": "Cosmos3-Super"}, ("cosmos3/super", 0)),
        ("inference", "cosmos3", {"checkpoint": "Cosmos3-Edge"}, ("cosmos3/edge", 0)),
        ("enhance", "cosmos3", {}, ("cosmos3/enhance", 0)),
        ("enhance", "cosmos3", {"checkpoint": "Cosmos3-Super"}, ("cosmos3/super/enhance", 0)),
        ("enhance", "cosmos3", {"method": "server", "endpoint_url": "https://a.example/v1"}, ("cosmos3/server", 0)),
        ("inference", "preview", {}, ("", 0)),
        ("upscale", "preview", {}, ("", 0)),
    ],
)
def test_the_model_whose_coefficients_count_and_its_parts(operation, family, values, expected):
    needs = needed(operation, family, values, frames=93)
    assert (needs.model, needs.parts) == expected


@pytest.mark.parametrize(
    ("family", "values", "fits_gb", "lacks_gb"),
    [
        # Reported by users and by documents: what did, and what did not.
        ("transfer1", {}, 80, 60),
        ("transfer1", {"offload_diffusion_transformer": True}, 80, 60),
        ("transfer1", {"distilled": True}, 32, 24),
        ("transfer25", {}, 80, 48),
        ("transfer25", {"edge_weight": 1, "vis_weight": 1, "depth_weight": 1, "seg_weight": 1}, 80, 48),
        ("transfer25", {"num_gpus": 8}, 52, 24),
        ("cosmos3", {}, 50, 46),
        ("cosmos3", {"checkpoint": "Cosmos3-Super", "num_gpus": 4}, 80, 32),
        ("cosmos3", {"checkpoint": "Cosmos3-Super"}, 140, 128),
        ("preview", {}, 0, -1),
    ],
)
def test_the_memory_on_each_gpu_agrees_with_what_is_known(family, values, fits_gb, lacks_gb):
    needs = needed("inference", family, values)

    assert lacks_gb < needs.memory_gb <= fits_gb
    assert needs.gpu_count == values.get("num_gpus", 1)


@pytest.mark.parametrize("name", ["offload_text_encoder_model", "offload_guardrail_models"])
def test_what_stays_on_the_gpu_takes_memory(name):
    kept, left = (needed("inference", "transfer1", {name: value}).memory_gb for value in (False, True))
    assert kept > left


def test_a_control_more_takes_memory_in_a_batch_as_in_a_run():
    one, two = (needed("inference", "transfer1", {"edge_weight": 1, **more}) for more in ({}, {"vis_weight": 1}))
    assert two.memory_gb - one.memory_gb == pytest.approx(one.memory_per_part_gb)
    assert one.memory_per_part_gb > 0


# Which runs stay as they are in a process with more controls

BOX = {"prompt": "a car", "box": [0, 0, 0.5, 1]}


@pytest.mark.parametrize(
    ("values", "roles", "expected"),
    [
        ({}, ["video"], True),
        ({"vis_weight": 0.5, "edge_weight": 1, "depth_weight": 0.5}, ["video"], True),
        ({"keypoint_weight": 0.5}, ["video"], True),
        ({"depth_weight": 1}, ["depth"], True),
        ({"seg_weight": 1}, ["video", "seg"], True),
        ({"offload_diffusion_transformer": True}, ["video"], True),
        # A mask that nobody uses.
        ({"edge_weight": 1, "seg_weight_prompt": "cars"}, ["video"], True),
        ({"seg_weight": 1}, ["video"], False),
        ({"seg_weight": 1, "seg_weight_prompt": "cars"}, ["video", "seg"], False),
        ({"distilled": True}, ["video"], False),
        ({"regional_prompts": [BOX]}, ["video"], False),
        ({"hdmap_weight": 1}, ["hdmap"], False),
        ({"lidar_weight": 1}, ["lidar"], False),
        ({"num_gpus": 2}, ["video"], False),
    ],
)
def test_a_run_of_transfer1_is_widenable_where_nothing_but_numbers_weighs_its_controls(values, roles, expected):
    assert needed("inference", "transfer1", values, roles).is_widenable is expected


@pytest.mark.parametrize(
    "operation", [one for one in OPERATIONS if (one.name, one.family) != ("inference", "transfer1")], ids=lambda one: one.params
)
def test_no_other_run_is_widenable(operation):
    values = {"edge_weight": 1} if operation.name == "inference" else {}
    assert not needed(operation.name, operation.family, values).is_widenable


# Every request of the documents

EXAMPLES = sorted(path for path in (Path(__file__).parents[2] / "docs" / "examples").iterdir() if path.is_file())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_needs_of_every_run_of_an_example_are_known(path, home):
    with opened_store() as store:
        answer = ask(read_requests(path), store)
    assert answer.asked

    for one in answer.asked:
        operation = find_operation(one.run.operation, one.run.family)
        used = used_videos(operation, one.run.params, one.videos)
        videos = {role: probe(file, takes_pictures=operation.takes_pictures) for role, file in used.items()}
        needs = operation.needs(one.run.params, videos)
        assert needs.modes == sample_job(operation.name, operation.family, one.run.params, videos).container.modes
        assert needs.size.frames >= 1


# Whatever parameters allow

ROLES = ("video", "image", "vis", "edge", "depth", "seg", "keypoint", "hdmap", "lidar", "wsm", "style_image", "guided_mask")
CHOSEN = {
    "checkpoint": st.sampled_from(get_args(Checkpoint)),
    "resolution": st.sampled_from(["256", "480", "720"]),
    "regional_prompts": st.lists(st.just(BOX) | st.just({"prompt": "a car", "mask_prompt": "car"}), max_size=1),
    "num_gpus": st.sampled_from([1, 2, 4, 8]),
    "mode": st.sampled_from(["auto", "text2image", "text2video", "image2image", "image2video", "video2video"]),
    **dict.fromkeys(("max_frames", "num_frames", "num_video_frames_per_chunk"), st.integers(0, 300)),
    **dict.fromkeys(("guidance", "control_guidance"), st.integers(0, 3)),
    **dict.fromkeys(("seg_weight_prompt", "edge_mask_prompt"), st.sampled_from(["", "cars"])),
    **dict.fromkeys(
        ("distilled", "guardrails", "shows_input", "offload_text_encoder_model", "offload_guardrail_models"), st.booleans()
    ),
    **{f"{role}_weight": st.sampled_from([0, 0, 0.5, 1]) for role in ROLES},
}


INFERENCE = [operation for operation in OPERATIONS if operation.name == "inference"]


def requests_of(operation):
    known = {parameter.name for parameter in parameters(operation.params)}
    values = st.lists(st.sampled_from(sorted(known & CHOSEN.keys()) or ["seed"]), max_size=5, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: CHOSEN.get(name, st.just(1)) for name in names if name in known})
    )
    files = st.sets(st.sampled_from(ROLES)).map(lambda roles: {"video", *roles})
    return st.tuples(st.just(operation), values, files, st.sampled_from([2, 93, 121, 300]))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(request_=st.sampled_from([*OPERATIONS, *INFERENCE]).flatmap(requests_of))
def test_needs_are_those_of_the_job_for_every_run_that_passes_its_check(request_):
    operation, values, roles, frames = request_
    try:
        params, videos = asked(operation.name, operation.family, values, roles, frames=frames)
    except ParamsError:
        return
    if operation.check(params, videos):
        return
    needs = operation.needs(params, videos)
    job = sample_job(operation.name, operation.family, params, videos)

    assert needs.modes == job.container.modes
    assert needs.gpu_count == max(1, job.container.gpu_count)
    if operation.name == "inference":
        assert needs.size.controls == len(active_controls(params))
    assert min(needs.size.frames, needs.size.chunks, needs.size.steps, needs.size.calls_per_step) >= 1
    assert needs.size.pixels > 0
    assert 0 <= needs.memory_gb < 200
    adapter = TypeAdapter(Needs)
    assert adapter.validate_json(adapter.dump_json(needs)) == needs
    assert operation.needs(replace_seed(params), videos) == needs


def replace_seed(params):
    """The same run with another seed, where that is a value of its own."""
    return params.model_copy(update={"seed": 77} if "seed" in type(params).model_fields else {})
