"""Traps of the NVIDIA programs that concern several families alike; those of one family are in the tests of that family."""

import json
import re
from pathlib import Path

import pytest

from cosmos_ops.errors import InputError, ParamsError
from cosmos_ops.intake import REFUSED_SUFFIXES, check_file, check_request, completed
from cosmos_ops.job import Completed
from cosmos_ops.operations import OPERATIONS
from cosmos_ops.operations.enhance_cosmos3 import ENHANCE_COSMOS3
from cosmos_ops.operations.enhance_transfer1 import ENHANCE_TRANSFER1
from cosmos_ops.operations.inference_cosmos3 import INFERENCE_COSMOS3
from cosmos_ops.operations.inference_transfer1 import INFERENCE_TRANSFER1
from cosmos_ops.operations.inference_transfer25 import INFERENCE_TRANSFER25
from cosmos_ops.operations.upscale_transfer1 import UPSCALE_TRANSFER1
from cosmos_ops.params import PerRun, parameters
from cosmos_ops.planning import explain, regroup
from cosmos_ops.runs import Prompt
from tests.builders import a_clip, a_run

from . import cosmos3_samples
from .transfer1_samples import PATHS, a_sample, infos

PROGRAMS = [one for one in OPERATIONS if one.family != "preview"]
INFERENCES = [one for one in PROGRAMS if one.name == "inference"]
ROLES = ("video", "vis", "edge", "depth", "seg")


def named(value):
    return f"{value.name}-{value.family}" if hasattr(value, "family") else None


def sample(operation, number=1, text="a street", frame_count=121, **values):
    """A sample as the flows make it, checked and completed, with the files that it reads."""
    given = operation.params.read(values)
    used = {role: info for role, info in infos(*ROLES, frame_count=frame_count).items() if role in operation.reads(given)}
    full = operation.complete(given, Prompt(text), used)
    assert operation.check(full, used) == []
    return a_sample(operation, full, videos=used, run_id=f"rs_{number}", text=text)


def job_of(operation, samples):
    return operation.build_job("jb_1", samples, PATHS)


def told(job):
    """Run id to what its process is told of it; where it is told no names, the order counts."""
    (lines,) = [file.text for file in job.files if file.path.suffix == ".jsonl"]
    objects = [json.loads(line) for line in lines.split("\n") if line]
    return {one.get("name", item.run_id): one for one, item in zip(objects, job.items, strict=True)}


def told_once(job):
    """What its process is told for all runs; the port belongs to the job."""
    argv = [word for word in job.container.argv if not word.startswith("--master_port=")]
    return argv, [file.text for file in job.files if file.path.name == "spec.json"]


# Names


@pytest.mark.parametrize("operation", [*INFERENCES, ENHANCE_COSMOS3, ENHANCE_TRANSFER1, UPSCALE_TRANSFER1], ids=named)
def test_equal_requests_have_names_and_outputs_of_their_own(operation):
    job = job_of(operation, [sample(operation, number) for number in (1, 2)])

    assert list(told(job)) == ["rs_1", "rs_2"]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", name) for name in told(job))
    first, second = ({*item.markers, *(file.path for file in item.outputs)} for item in job.items)
    assert not first & second


@pytest.mark.parametrize("operation", [INFERENCE_TRANSFER25, INFERENCE_COSMOS3], ids=named)
def test_a_result_is_that_of_the_run_whose_name_it_has_whatever_its_place_in_the_batch(operation):
    samples = [sample(operation, 1, resolution="720"), sample(operation, 2, resolution="256")]
    job = job_of(operation, samples)
    (second,) = [item for item in job.items if item.run_id == "rs_2"]
    says = cosmos3_samples.a_marker() if operation is INFERENCE_COSMOS3 else "a street"

    outcomes = operation.read_outputs(job, cosmos3_samples.ENDED, [], cosmos3_samples.found(job, rs_2=says))

    assert isinstance(outcomes["rs_2"], Completed)
    assert outcomes["rs_2"].files["video"].path == second.outputs[0].path
    assert not isinstance(outcomes["rs_1"], Completed)


# Command lines


@pytest.mark.parametrize("operation", [INFERENCE_TRANSFER25, INFERENCE_COSMOS3], ids=named)
def test_no_parameter_of_a_run_is_a_flag_because_a_flag_overrides_all_runs_of_the_batch(operation):
    flags = {word.partition("=")[0].replace("_", "-") for word in job_of(operation, [sample(operation, seed=7)]).container.argv}
    places = [parameter.placement for parameter in parameters(operation.params)]
    keys = {place.key.partition(".")[0] for place in places if isinstance(place, PerRun)}

    assert "seed" in keys
    assert not flags & {f"--{key.replace('_', '-')}" for key in keys}
    assert told(job_of(operation, [sample(operation, seed=7)]))["rs_1"]["seed"] == 7


@pytest.mark.parametrize("operation", PROGRAMS, ids=named)
def test_files_are_named_from_the_root_because_programs_differ_in_what_a_path_is_relative_to(operation):
    job = job_of(operation, [sample(operation)])
    words = [*job.container.argv, *re.findall(r'"([^"]*)"', json.dumps(told(job)))]
    files = [word for word in words if word.endswith((".mp4", ".json", ".jsonl"))]

    assert files
    assert all(file.startswith(("/cosmos/job/", "/cosmos/inputs/")) for file in files), files


# Batches


QUEUES = [
    (
        INFERENCE_TRANSFER1,
        [
            *({"edge_weight": 1}, {"edge_weight": 0.2}, {"edge_weight": 1, "seed": 2}, {"edge_weight": 0.5, "depth_weight": 0.5}),
            *({"edge_weight": 0.3}, {"depth_weight": 1, "edge_weight": 1}, {"edge_weight": 0.1, "seed": 2}),
            *({"seg_weight": 1, "seg_prompt": "cars"}, {"seg_weight": 0.5}),
        ],
        ["1 2 5", "3 7", "4 6", "8 9"],
    ),
    (
        INFERENCE_TRANSFER25,
        [
            *({"edge_weight": 1, "negative_prompt": "rain"}, {"vis_weight": 1}, {"edge_weight": 0.5, "seed": 9, "guidance": 0}),
            *({"edge_weight": 1, "vis_weight": 0.4}, {"vis_weight": 0.2, "num_steps": 5}, {"edge_weight": 1}),
            {"edge_weight": 1, "guardrails": False},
        ],
        ["1 3 6", "2 5", "4", "7"],
    ),
    (
        INFERENCE_COSMOS3,
        [
            *({"edge_weight": 1, "negative_prompt": "rain"}, {"mode": "text2video"}, {"depth_weight": 2, "vis_weight": 1}),
            *({"edge_weight": 1, "checkpoint": "Cosmos3-Edge"}, {"edge_weight": 3, "seed": 9}),
        ],
        ["1 2 3 5", "4"],
    ),
]


@pytest.mark.parametrize(("operation", "values", "expected"), QUEUES, ids=named)
def test_in_a_mixed_queue_each_run_is_told_what_it_is_told_alone(operation, values, expected):
    samples = {f"rs_{number}": sample(operation, number, f"text {number}", **one) for number, one in enumerate(values, 1)}

    batches = [[run.id for run in batch.runs] for batch in regroup([one.run for one in samples.values()])]

    assert batches == [[f"rs_{number}" for number in batch.split()] for batch in expected]
    for batch in batches:
        job = job_of(operation, [samples[run_id] for run_id in batch])
        for run_id in batch:
            alone = job_of(operation, [samples[run_id]])
            assert told(job)[run_id] == told(alone)[run_id]
            assert told_once(job) == told_once(alone)


def test_a_run_shares_no_process_with_another_operation_or_family():
    runs = [a_run(one.params(), operation=one.name, family=one.family) for one in OPERATIONS]

    assert all(explain(one, other) for one in runs for other in runs if one is not other)


# Values


WEIGHTS = [
    pytest.param(one, parameter.name, id=f"{one.family}-{parameter.name}")
    for one in INFERENCES
    for parameter in parameters(one.params)
    if isinstance(parameter.placement, PerRun) and parameter.placement.control
]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "nan", "inf", -0.01, 101, "map.pt", "", None, [1]], ids=repr)
@pytest.mark.parametrize(("operation", "weight"), WEIGHTS)
def test_a_weight_that_is_no_number_in_its_bounds_is_refused(operation, weight, value):
    with pytest.raises(ParamsError, match=f"^{weight}: "):
        operation.params.read({weight: value})


@pytest.mark.parametrize(
    ("operation", "name"),
    [
        *((INFERENCE_TRANSFER1, name) for name in ("vis_weight_prompt", "ckpt_path", "batch_size", "num_input_frames")),
        *((INFERENCE_TRANSFER1, name) for name in ("upscale_weight", "edge_input_control", "save_input_noise")),
        *((INFERENCE_TRANSFER25, name) for name in ("name", "output_dir", "prompt_path", "model", "checkpoint_path")),
        *((INFERENCE_COSMOS3, name) for name in ("negative_prompt_file", "num_outputs", "defaults_file", "edge_control_weight")),
        *((INFERENCE_COSMOS3, name) for name in ("name", "parallelism_preset", "max_num_seqs", "keep_going", "edge_mask_prompt")),
    ],
    ids=lambda value: value if isinstance(value, str) else value.family,
)
def test_what_a_program_takes_and_then_ignores_or_trips_over_is_no_parameter(operation, name):
    with pytest.raises(ParamsError, match=f"unknown parameter '{name}'"):
        operation.params.read({name: "1"})


@pytest.mark.parametrize("value", [80.5, 0, -1])
def test_a_noise_that_transfer1_does_not_check_is_refused(value):
    with pytest.raises(ParamsError, match=r"^sigma_max: "):
        INFERENCE_TRANSFER1.params.read({"sigma_max": value})


@pytest.mark.parametrize(
    ("operation", "values", "key", "number"),
    [
        (INFERENCE_TRANSFER25, {"guidance": 3.0}, "guidance", 3),
        (INFERENCE_TRANSFER25, {"seed": "7"}, "seed", 7),
        (INFERENCE_COSMOS3, {"fps": 24.0}, "fps", 24),
        (INFERENCE_COSMOS3, {"num_steps": 50.0}, "num_steps", 50),
    ],
)
def test_what_a_program_wants_whole_is_written_whole(operation, values, key, number):
    (written,) = told(job_of(operation, [sample(operation, **values)])).values()

    assert (written[key], type(written[key])) == (number, int)


@pytest.mark.parametrize("operation", [INFERENCE_TRANSFER25, INFERENCE_COSMOS3], ids=named)
@pytest.mark.parametrize("given", [720, "720"], ids=repr)
def test_a_resolution_is_written_as_a_text(operation, given):
    (written,) = told(job_of(operation, [sample(operation, resolution=given)])).values()

    assert written["resolution"] == "720"


@pytest.mark.parametrize(
    "values",
    [{}, {"depth_weight": 1}, {"edge_weight": 1, "seg_weight": 1}, {"mode": "text2video"}, {"mode": "text2image"}],
    ids=repr,
)
def test_cosmos3_is_always_told_what_it_would_otherwise_draw_or_guess(values):
    (written,) = told(job_of(INFERENCE_COSMOS3, [sample(INFERENCE_COSMOS3, **values)])).values()

    assert {"name", "seed", "aspect_ratio", "fps", "guidance", "num_frames", "num_steps", "resolution"} <= written.keys()
    assert all(value is not None for value in written.values())


# Files


@pytest.mark.parametrize("operation", INFERENCES, ids=named)
@pytest.mark.parametrize("kept", [0, 40, 0.6], ids=["empty", "a head", "cut off"])
def test_a_control_that_is_no_whole_video_is_refused_by_its_path(operation, kept, tmp_path):
    video, control = a_clip(tmp_path / "video.mp4", frame_count=30), a_clip(tmp_path / "depth.mp4", frame_count=30)
    content = control.read_bytes()
    control.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    files = {"video": video, "depth": control}
    params = completed(operation, operation.params.read({"depth_weight": 1}), Prompt("a street"), files)

    with pytest.raises(InputError, match=re.escape(str(control))):
        check_request(operation, params, "a street", files)


@pytest.mark.parametrize("suffix", [*REFUSED_SUFFIXES, ".PT"])
@pytest.mark.parametrize("role", ["edge", "seg_mask", "guided_mask"])
def test_a_file_that_may_hold_code_is_refused_in_every_role(role, suffix):
    with pytest.raises(InputError, match=f"^inputs.{role}: .* may hold code"):
        check_file(role, str(Path("/videos") / f"map{suffix}"))
