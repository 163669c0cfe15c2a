"""Transfer1 inference: what its parameters become, and which runs may share a process."""

import json

import pytest

from cosmos_ops.job import InputFile
from cosmos_ops.operations.inference_transfer1 import INFERENCE_TRANSFER1, InferenceTransfer1
from cosmos_ops.params import active_controls
from cosmos_ops.planning import control_signature
from cosmos_ops.runs import Prompt
from tests.builders import a_run

from .transfer1_samples import PATHS, a_sample, file_of, flags, infos, lines_of, spec_of

OPERATION = INFERENCE_TRANSFER1
BOX = {"prompt": "a red car", "box": [0.1, 0.2, 0.5, 0.9]}
MASK = {"prompt": "a red car", "mask_prompt": "car"}


def params(**values):
    return InferenceTransfer1.read(values)


def job(*samples, **videos):
    return OPERATION.build_job("jb_1", samples or [a_sample(OPERATION, params(), videos=infos("video"))], PATHS)


def job_of(videos, **values):
    return OPERATION.build_job("jb_1", [a_sample(OPERATION, params(**values), videos=videos)], PATHS)


# The base spec and the lines


def test_a_run_alone_is_a_batch_of_one():
    made = job()

    assert spec_of(made) == {"edge": {"control_weight": 1.0}}
    assert lines_of(made) == [
        {
            "visual_input": "/cosmos/inputs/videovideovideovideo.mp4",
            "prompt": "a street",
            "control_overrides": {"edge": {"input_control": "/cosmos/inputs/madeedge.mp4", "control_weight": 1.0}},
        }
    ]
    assert flags(made.container.argv)["--batch_size"] == "1"


def test_every_line_says_file_and_weight_of_every_control_so_that_nothing_leaks():
    controls = ("vis", "edge", "depth", "seg")
    one = a_sample(OPERATION, params(vis_weight=0.1, edge_weight=0.2, depth_weight=0.3, seg_weight=0.4), videos=infos("video"))
    two = a_sample(
        OPERATION,
        params(vis_weight=0.4, edge_weight=0.3, depth_weight=0.2, seg_weight=0.1, seg_prompt="cars"),
        videos=infos("video", *controls),
        run_id="rs_2",
    )
    made = job(one, two)
    first, second = (line["control_overrides"] for line in lines_of(made))

    assert list(spec_of(made)) == list(first) == list(second) == list(controls)
    assert [first[control]["control_weight"] for control in controls] == [0.1, 0.2, 0.3, 0.4]
    assert [second[control]["control_weight"] for control in controls] == [0.4, 0.3, 0.2, 0.1]
    assert first["depth"]["input_control"] is first["seg"]["input_control"] is None
    assert second["depth"]["input_control"] == "/cosmos/inputs/depthdepthdepthdepth.mp4"
    assert "input_control_prompt" not in first["seg"]
    assert "control_weight_prompt" not in first["seg"]
    assert second["seg"]["input_control_prompt"] == "cars"


def test_a_control_of_weight_0_is_in_no_line_and_in_no_signature():
    made = job_of(infos("video", "depth"), edge_weight=0.5, depth_weight=0)

    assert list(spec_of(made)) == list(lines_of(made)[0]["control_overrides"]) == ["edge"]
    assert [file.host_path.name for file in made.inputs] == ["videovideovideovideo.mp4", "madeedge.mp4"]


def test_weights_are_written_as_numbers_with_a_point_because_a_whole_number_is_no_weight_of_a_mask():
    line = file_of(job_of(infos("video"), seg_weight=1, seg_weight_prompt="cars"), "batch.jsonl")
    assert '"control_weight": 1.0' in line
    assert '"control_weight_prompt": "cars"' in line


def widened():
    """Runs with different controls in one process, as the planner may ask for."""
    runs = [
        ({"seg_weight": 0.7}, infos("seg")),
        ({"edge_weight": 0.8}, infos("video")),
        ({"edge_weight": 0.4, "depth_weight": 0.9}, infos("video")),
        ({"vis_weight": 0.6}, infos("video", "vis")),
    ]
    return job(
        *(
            a_sample(OPERATION, params(**values), videos=videos, run_id=f"rs_{number}", files=files_of(videos, number))
            for number, (values, videos) in enumerate(runs)
        )
    )


def files_of(videos, number):
    return {role: InputFile(info.path, f"{role}{number}", 10) for role, info in videos.items()}


def test_a_process_has_the_controls_of_all_its_runs_in_the_order_of_their_declaration():
    made = widened()

    assert list(spec_of(made)) == ["vis", "edge", "depth", "seg"]
    assert all(list(line["control_overrides"]) == ["vis", "edge", "depth", "seg"] for line in lines_of(made))
    assert made.container.modes == ("always", "vis", "edge", "depth", "seg", "auto-depth")


def test_a_control_that_a_run_lacks_has_weight_0_and_a_file_of_the_run_so_that_nothing_is_computed_or_drawn():
    said = [
        {control: (values["control_weight"], values["input_control"]) for control, values in line["control_overrides"].items()}
        for line in lines_of(widened())
    ]
    seg, edge, vis = ("/cosmos/inputs/seg0.mp4", "/cosmos/inputs/madeedge.mp4", "/cosmos/inputs/vis3.mp4")

    assert said == [
        {"vis": (0.0, seg), "edge": (0.0, seg), "depth": (0.0, seg), "seg": (0.7, seg)},
        {"vis": (0.0, edge), "edge": (0.8, edge), "depth": (0.0, edge), "seg": (0.0, edge)},
        {"vis": (0.0, edge), "edge": (0.4, edge), "depth": (0.9, None), "seg": (0.0, edge)},
        {"vis": (0.6, vis), "edge": (0.0, vis), "depth": (0.0, vis), "seg": (0.0, vis)},
    ]


def test_a_control_that_a_run_lacks_is_none_of_its_outputs():
    roles = [[file.role for file in item.outputs] for item in widened().items]
    assert roles == [["video"], ["video"], ["video", "control_depth"], ["video"]]


def test_a_run_with_nothing_but_a_computed_control_lends_its_video_to_those_that_it_lacks():
    depth = a_sample(OPERATION, params(depth_weight=1), videos=infos("video"))
    edge = a_sample(OPERATION, params(edge_weight=1), videos=infos("video"), run_id="rs_2")
    (first, _) = lines_of(job(depth, edge))

    assert first["control_overrides"] == {
        "edge": {"input_control": "/cosmos/inputs/videovideovideovideo.mp4", "control_weight": 0.0},
        "depth": {"input_control": None, "control_weight": 1.0},
    }


def test_the_spec_holds_no_argument_of_the_process():
    made = job_of(infos("video"), edge_weight=1, seed=5, num_steps=3, guidance=2, fps=30, negative_prompt="rain")
    assert set(spec_of(made)) == {"edge"}


@pytest.mark.parametrize("blank", ["", "  ", "\n\t", "\x00"])
def test_a_prompt_of_blanks_for_a_control_is_none_because_nothing_would_be_found(blank):
    (line,) = lines_of(job_of(infos("video"), seg_weight=1, seg_prompt=blank, seg_weight_prompt=blank))
    assert line["control_overrides"]["seg"] == {"input_control": None, "control_weight": 1.0}


def test_regions_are_in_the_spec_the_only_place_where_the_program_takes_them():
    made = job_of(infos("video", frame_count=121), regional_prompts=[BOX, MASK])

    assert spec_of(made)["regional_prompts"] == [
        {"prompt": "a red car", "region_definitions_path": [0.1, 0.2, 0.5, 0.9]},
        {"prompt": "a red car", "mask_prompt": "car"},
    ]


def test_a_run_without_an_input_video_has_an_empty_one_in_its_line_and_a_file_that_is_there_as_the_dummy():
    made = job_of(infos("depth"), depth_weight=1)

    assert lines_of(made)[0]["visual_input"] == ""
    assert flags(made.container.argv)["--input_video_path"] == "/cosmos/inputs/depthdepthdepthdepth.mp4"


def test_prompts_with_line_breaks_and_quotes_stay_one_line_each():
    texts = ['a "street"\nat night', "ein Straßenzug — 街"]
    samples = [a_sample(OPERATION, params(), videos=infos("video"), run_id=f"rs_{n}", text=text) for n, text in enumerate(texts)]
    assert [line["prompt"] for line in lines_of(job(*samples))] == texts


# The command line


def test_the_command_line():
    container = job_of(infos("video"), edge_weight=1, seed=7, num_steps=20, guidance=4.5, sigma_max=60, fps=30).container

    assert container.argv[:6] == (
        *("torchrun", "--nproc_per_node=1", "--nnodes=1", "--node_rank=0"),
        *(container.argv[4], "cosmos_transfer1/diffusion/inference/transfer.py"),
    )
    assert flags(container.argv) == {
        "--checkpoint_dir": "/cosmos/models/transfer1",
        "--controlnet_specs": "/cosmos/job/spec.json",
        "--batch_input_path": "/cosmos/job/batch.jsonl",
        "--batch_size": "1",
        "--video_save_folder": "/cosmos/job/out",
        "--input_video_path": "/cosmos/inputs/videovideovideovideo.mp4",
        "--num_steps": "20",
        "--guidance": "4.5",
        "--sigma_max": "60.0",
        "--seed": "7",
        "--fps": "30",
        "--num_gpus": "1",
        "--offload_text_encoder_model": True,
        "--offload_guardrail_models": True,
    }
    assert (container.workdir, container.family, container.image) == ("/workspace", "transfer1", "cosmos-transfer1")
    assert container.env["HF_HOME"] == "/cosmos/models/hf"


def test_all_gpus_are_told_to_torchrun_to_the_program_and_to_the_host():
    container = job_of(infos("video"), num_gpus=4).container

    assert "--nproc_per_node=4" in container.argv
    assert flags(container.argv)["--num_gpus"] == "4"
    assert container.gpu_count == 4


def test_two_jobs_have_two_ports_in_the_range_that_is_theirs():
    ports = set()
    for number in range(50):
        argv = job(a_sample(OPERATION, params(), videos=infos("video"), run_id=f"rs_{number}")).container.argv
        ports.add(int(argv[4].removeprefix("--master_port=")))

    assert len(ports) > 45
    assert all(20_000 <= port < 29_500 for port in ports)


@pytest.mark.parametrize(
    ("given", "flag"),
    [("", None), ("rain", "rain"), ("--seed 5", " --seed 5"), ("-rain", " -rain"), (" rain\x00 ", "rain")],
)
def test_a_negative_prompt_is_one_value_whatever_it_begins_with(given, flag):
    assert flags(job_of(infos("video"), negative_prompt=given).container.argv).get("--negative_prompt") == flag


def test_halves_of_surrogate_pairs_reach_no_command_line():
    assert flags(job_of(infos("video"), negative_prompt="\ud800 rain").container.argv)["--negative_prompt"] == "? rain"


def test_switches_stand_alone_where_they_are_on():
    off = job_of(infos("video"), offload_text_encoder_model=False, offload_guardrail_models=False).container.argv
    on = job_of(infos("video"), offload_diffusion_transformer=True, distilled=True).container.argv

    assert not [argument for argument in off if "offload" in argument]
    assert flags(on)["--offload_diffusion_transformer"] is flags(on)["--use_distilled"] is True


@pytest.mark.parametrize(("controls", "is_driving"), [(("hdmap",), True), (("hdmap", "lidar"), True), (("edge",), False)])
def test_the_driving_controls_have_their_own_base_model(controls, is_driving):
    made = job_of(infos("video", *controls), **{f"{control}_weight": 1 for control in controls})

    assert ("--is_av_sample" in made.container.argv) is is_driving
    assert list(spec_of(made)) == list(controls)


@pytest.mark.parametrize(
    ("values", "modes"),
    [
        ({"edge_weight": 1}, ("always", "edge")),
        ({"vis_weight": 1, "seg_weight": 1}, ("always", "vis", "seg", "auto-seg")),
        ({"depth_weight": 1, "keypoint_weight": 1}, ("always", "depth", "keypoint", "auto-depth", "auto-keypoint")),
        ({"distilled": True}, ("always", "distilled")),
        ({"seg_weight": 1, "seg_weight_prompt": "cars"}, ("always", "seg", "auto-seg", "mask")),
        ({"regional_prompts": [MASK]}, ("always", "edge", "mask")),
        ({"regional_prompts": [BOX]}, ("always", "edge")),
    ],
)
def test_modes_name_the_model_files_that_the_process_reads(values, modes):
    assert job_of(infos("video"), **values).container.modes == modes


def test_a_control_that_is_given_as_a_file_needs_no_model_to_compute_it():
    assert job_of(infos("video", "depth"), depth_weight=1).container.modes == ("always", "depth")


# Items and limits


def test_an_item_has_its_marker_with_its_prompt_its_video_and_the_controls_that_are_computed():
    (item,) = job_of(infos("video", "seg"), depth_weight=1, seg_weight=1, edge_weight=1).items

    assert [str(marker) for marker in item.markers] == ["out/video_0/prompt.txt"]
    assert item.text == "a street"
    assert [(file.role, str(file.path), file.name, file.is_optional) for file in item.outputs] == [
        ("video", "out/video_0/output.mp4", "video.mp4", False),
        ("control_depth", "out/video_0/depth_input_control_0.mp4", "control_depth.mp4", True),
    ]


@pytest.mark.parametrize(("frame_count", "clips"), [(2, 1), (121, 1), (122, 2), (241, 2), (242, 3), (5000, 42)])
def test_clips_of_121_frames_overlap_by_one(frame_count, clips):
    made = job_of(infos("video", frame_count=frame_count))
    assert json.loads(file_of(made, "plan.json")) == [{"run": "rs_1", "clips": clips}]


def test_silence_may_last_as_long_as_a_slow_gpu_takes():
    slow, quick = job_of(infos("video"), num_steps=100), job_of(infos("video"), distilled=True)

    assert slow.stall_limits_s["sampling"] > 100 * 200
    assert quick.stall_limits_s["sampling"] < job_of(infos("video")).stall_limits_s["sampling"]
    assert slow.stall_limits_s["loading"] >= 3600


# What may share a process


@pytest.mark.parametrize(
    ("values", "shares"),
    [
        ({"edge_weight": 0.3}, True),
        ({"edge_weight": 1, "canny_threshold": "high"}, True),
        ({"edge_weight": 1, "vis_weight": 0}, True),
        ({"edge_weight": 1, "negative_prompt": "  "}, True),
        ({"edge_weight": 1, "vis_weight": 0.1}, False),
        ({"vis_weight": 1}, False),
        *[
            ({"edge_weight": 1, **value}, False)
            for value in (
                *({"seed": 2}, {"num_steps": 30}, {"guidance": 6}, {"sigma_max": 60}, {"fps": 30}, {"negative_prompt": "x"}),
                *({"num_gpus": 2}, {"distilled": True}, {"offload_diffusion_transformer": True}, {"regional_prompts": [BOX]}),
            )
        ],
    ],
)
def test_runs_share_a_process_if_all_that_it_takes_once_is_equal(values, shares):
    first, second = (control_signature(a_run(given)) for given in (params(), params(**values)))
    assert (first == second) is shares


def test_controls_come_in_one_order_however_they_are_named():
    assert active_controls(params(seg_weight=1, vis_weight=1, edge_weight=1)) == ("vis", "edge", "seg")


def test_stored_parameters_come_back():
    given = params(edge_weight=0.5, regional_prompts=[BOX, MASK], seed=3)
    assert InferenceTransfer1.read(json.loads(given.model_dump_json())) == given


def test_a_run_whose_segmentation_is_computed_has_a_process_of_its_own():
    """Its colours are drawn anew for each place in a batch."""
    one, other = Prompt("a street"), Prompt("a street")

    def signature(prompt, *roles):
        full = OPERATION.complete(params(seg_weight=1), prompt, infos("video", *roles))
        return control_signature(a_run(full, family="transfer1"))

    assert signature(one) != signature(other)
    assert signature(one, "seg") == signature(other, "seg")
