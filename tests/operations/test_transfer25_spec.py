"""What the parameters of cosmos-transfer2.5 become: the lines of the batch and the files that they name."""

import pytest

from cosmos_ops.errors import ParamsError
from cosmos_ops.operations.inference_transfer25 import INFERENCE_TRANSFER25, InferenceTransfer25
from cosmos_ops.runs import Prompt

from .transfer25 import a_job, a_sample, info, line_of, lines_of, params_of

KEYS = {
    *("name", "prompt", "negative_prompt", "seed", "guidance", "video_path", "max_frames", "context_frame_index"),
    *("image_context_path", "num_conditional_frames", "resolution", "num_video_frames_per_chunk", "num_steps"),
    *("show_control_condition", "show_input", "keep_input_resolution", "edge", "vis", "depth", "seg"),
    *("guided_generation_mask", "guided_generation_step_threshold"),
}


def test_a_plain_run_has_these_keys_and_no_others():
    assert line_of(a_sample()) == {
        "name": "rs_1",
        "prompt": "a street",
        "video_path": "/cosmos/inputs/video1.mp4",
        "edge": {"control_weight": 1.0, "preset_edge_threshold": "medium"},
        "seed": 2025,
        "guidance": 3,
        "num_steps": 35,
        "resolution": "720",
        "keep_input_resolution": True,
        "num_conditional_frames": 1,
        "guided_generation_step_threshold": 25,
        "show_control_condition": False,
        "show_input": False,
    }


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"seed": 7}, {"seed": 7}),
        ({"guidance": 0}, {"guidance": 0}),
        ({"num_steps": 10}, {"num_steps": 10}),
        ({"resolution": "480"}, {"resolution": "480"}),
        ({"max_frames": 50}, {"max_frames": 50}),
        ({"num_conditional_frames": 0}, {"num_conditional_frames": 0}),
        ({"context_frame_index": 4}, {"context_frame_index": 4}),
        ({"keep_input_resolution": False}, {"keep_input_resolution": False}),
        ({"show_control_condition": True, "show_input": True}, {"show_control_condition": True, "show_input": True}),
        ({"negative_prompt": "rain"}, {"negative_prompt": "rain"}),
        ({"vis_weight": 0.25}, {"vis": {"control_weight": 0.25, "preset_blur_strength": "medium"}}),
        (
            {"vis_weight": 1, "blur_strength": "very_high"},
            {"vis": {"control_weight": 1.0, "preset_blur_strength": "very_high"}},
        ),
        ({"edge_threshold": "low"}, {"edge": {"control_weight": 1.0, "preset_edge_threshold": "low"}}),
        ({"depth_weight": 0.5, "depth_mask_prompt": "car"}, {"depth": {"control_weight": 0.5, "mask_prompt": "car"}}),
        ({"seg_weight": 1, "seg_control_prompt": "car . tree"}, {"seg": {"control_weight": 1.0, "control_prompt": "car . tree"}}),
        ({"seg_weight": 1, "seg_control_prompt": " \n"}, {"seg": {"control_weight": 1.0}}),
    ],
)
def test_a_parameter_arrives_where_the_program_reads_it(values, expected):
    line = line_of(a_sample(params_of(**values)))

    assert {key: line[key] for key in expected} == expected
    assert set(line) <= KEYS


def test_a_control_of_weight_0_is_left_out_with_all_that_belongs_to_it():
    line = line_of(a_sample(params_of(edge_weight=0, edge_threshold="high", edge_mask_prompt="car", depth_weight=0.4)))

    assert "edge" not in line
    assert line["depth"] == {"control_weight": 0.4}


def test_whoever_names_a_control_leaves_the_edges_out():
    assert not {"edge", "vis", "depth"} & set(line_of(a_sample(params_of(seg_weight=0.5))))


def test_files_arrive_as_the_container_sees_them():
    params = params_of(edge_weight=0.8, depth_weight=0.2)
    line = line_of(
        a_sample(
            params,
            edge="edge.MP4",
            edge_mask="edge_mask.mp4",
            depth="depth.mp4",
            style_image="style.PNG",
            guided_mask="guided_mask.mp4",
        )
    )

    assert (line["edge"]["control_path"], line["edge"]["mask_path"]) == (
        "/cosmos/inputs/edge1.mp4",
        "/cosmos/inputs/edge_mask1.mp4",
    )
    assert line["depth"] == {"control_weight": 0.2, "control_path": "/cosmos/inputs/depth1.mp4"}
    assert line["image_context_path"] == "/cosmos/inputs/style_image1.png"
    assert line["guided_generation_mask"] == "/cosmos/inputs/guided_mask1.mp4"


# The program calls str.splitlines, which knows more line ends than JSON escapes.
@pytest.mark.parametrize("text", ["two\nlines", "a\x0bb", "a\x1cb", "a\x85b", "a\u2028b", "Straße 🚗", '"quoted"', "a\\b"])
def test_every_sample_is_one_line_of_ascii(text):
    job = a_job(a_sample(text=text), a_sample(number=2, text=text, negative=text))

    assert [line["prompt"] for line in lines_of(job)] == [text, text]
    assert lines_of(job)[1]["negative_prompt"] == text.strip()
    assert job.files[0].text.isascii()


@pytest.mark.parametrize(
    ("own", "of_prompt", "expected"), [("rain", "snow", "rain"), ("", "snow", "snow"), (" ", "", None), ("", "", None)]
)
def test_an_empty_negative_prompt_is_never_written(own, of_prompt, expected):
    # The program would compute nothing for it, and use that of the sample before.
    line = line_of(a_sample(params_of(negative_prompt=own), negative=of_prompt))

    assert line.get("negative_prompt") == expected


@pytest.mark.parametrize(
    ("values", "steps"), [({}, 35), ({"distilled": True}, 4), ({"num_steps": 7}, 7), ({"distilled": True, "num_steps": 2}, 2)]
)
def test_what_follows_from_prompt_and_model_is_filled_in_before_the_run_is_recorded(values, steps):
    full = INFERENCE_TRANSFER25.complete(params_of(**values), Prompt("a", "b"), {})

    assert (full.num_steps, full.negative_prompt) == (steps, "b")
    assert INFERENCE_TRANSFER25.complete(full, Prompt("a", "c"), {}) == full


@pytest.mark.parametrize(("frames", "values"), [(1, {}), (1, {"max_frames": 9}), (30, {"max_frames": 1})])
def test_a_single_frame_is_a_chunk_of_one(frames, values):
    # The program would fill up a chunk of 93 for ever.
    line = line_of(a_sample(params_of(**values), frames=frames))

    assert (line["num_video_frames_per_chunk"], line["max_frames"]) == (1, 1)


def test_of_videos_the_released_models_set_the_size_of_a_chunk():
    assert "num_video_frames_per_chunk" not in line_of(a_sample(frames=2))


def test_files_that_the_program_may_not_read_become_mp4():
    videos = {
        "video": info("a.mov"),
        "edge": info("edge.mp4"),
        "depth": info("depth.MKV"),
        "style_image": info("style.jpeg", frames=1),
        "guided_mask": info("mask.webm"),
        "depth_mask": info("moving.png", frames=93),
    }
    steps = INFERENCE_TRANSFER25.prepare(params_of(), videos)

    assert [(step.role, step.source, step.kind) for step in steps] == [
        ("video", "video", "mp4"),
        ("depth", "depth", "mp4"),
        ("guided_mask", "guided_mask", "mp4"),
        ("depth_mask", "depth_mask", "mp4"),
    ]


def test_it_reads_the_video_the_files_of_its_controls_and_what_sets_the_style():
    roles = {"video", "edge", "edge_mask", "seg", "seg_mask", "style_image", "guided_mask"}

    assert INFERENCE_TRANSFER25.reads(params_of(edge_weight=1, seg_weight=0.1)) == roles


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"guidance": 3.5}, "guidance"),
        ({"guidance": 8}, "guidance: Input should be less than or equal to 7, not 8"),
        ({"edge_weight": 1.1}, "edge_weight: Input should be less than or equal to 1"),
        ({"edge_weight": -0.1}, "edge_weight"),
        ({"resolution": "704"}, "resolution"),
        ({"resolution": 704}, "resolution: Input should be '1080'"),
        ({"resolution": True}, "resolution"),
        ({"num_steps": -1}, "num_steps"),
        ({"max_frames": 5001}, "max_frames"),
        ({"num_conditional_frames": 3}, "num_conditional_frames"),
        ({"edge_threshold": "strong"}, "edge_threshold"),
        ({"compile_tokenizer": "MODERATE"}, "compile_tokenizer"),
        ({"edge_weight": 0}, "^edge_weight: all control weights are 0"),
        ({"sigma_max": 70}, "unknown parameter 'sigma_max'"),
        ({"num_video_frames_per_chunk": 93}, "unknown parameter"),
        ({"keypoint_weight": 1}, "unknown parameter 'keypoint_weight'"),
    ],
)
def test_what_the_model_does_not_know_is_refused(values, said):
    with pytest.raises(ParamsError, match=said):
        params_of(**values)


def test_a_resolution_that_is_written_as_a_number_is_the_same():
    assert params_of(resolution=720) == params_of(resolution="720")
    assert line_of(a_sample(params_of(resolution=480)))["resolution"] == "480"


def test_stored_parameters_come_back():
    params = params_of(edge_weight=0.25, vis_weight=1, seg_mask_prompt="car", distilled=False, num_gpus=4, resolution="480p")

    assert InferenceTransfer25.read(params.model_dump(mode="json")) == params
    assert InferenceTransfer25.read({}) == InferenceTransfer25()
