"""Cosmos 3 inference: a request becomes one line of the specs file and one command line, and meets no trap of the program."""

import json

import pytest

from cosmos_ops.operations.cosmos3_params import TRANSFER_ONLY, InferenceCosmos3
from cosmos_ops.operations.inference_cosmos3 import INFERENCE_COSMOS3
from cosmos_ops.operations.operation import Preparation
from cosmos_ops.params import active_controls
from cosmos_ops.runs import Prompt

from .cosmos3_samples import a_job, a_sample, a_spec, files, info, specs


def test_edges_from_the_video_are_one_complete_sample():
    assert a_spec(videos=files("video", fps="30000/1001")) == {
        "name": "rs_1",
        "prompt": "a street",
        "model_mode": "video2video",
        "seed": 1,
        "resolution": "720",
        "aspect_ratio": "16,9",
        "fps": 30,
        "num_frames": 121,
        "num_steps": 35,
        "guidance": 3.0,
        "control_guidance": 1.5,
        "shift": 10.0,
        "num_video_frames_per_chunk": 121,
        "edge": {"weight": 1.0, "preset_edge_threshold": "medium"},
        "vision_path": "/cosmos/inputs/video1.mp4",
    }


def test_controls_with_files_need_no_input_video():
    sample = a_sample(videos=files("video", "edge", "vis", "depth"), edge_weight=1, vis_weight=0.5, depth_weight=2)
    spec = specs(a_job(sample))[0]

    assert "vision_path" not in spec
    assert spec["edge"]["control_path"] == "/cosmos/inputs/edge1.mp4"
    assert spec["blur"] == {"weight": 0.5, "preset_blur_strength": "medium", "control_path": "/cosmos/inputs/vis1.mp4"}
    assert spec["depth"] == {"weight": 2.0, "control_path": "/cosmos/inputs/depth1.mp4"}
    assert {file.source.name for file in a_job(sample).inputs} == {"edge.mp4", "vis.mp4", "depth.mp4"}


@pytest.mark.parametrize(
    ("values", "guidance", "control_guidance"),
    [
        ({"edge_weight": 1}, 3.0, 1.5),
        ({"vis_weight": 1}, 3.0, 1.5),
        ({"depth_weight": 1}, 3.0, 1.5),
        ({"seg_weight": 1}, 3.0, 2.0),
        ({"wsm_weight": 1}, 1.0, 3.0),
        ({"edge_weight": 1, "seg_weight": 1}, 6.0, 1.0),
        ({"seg_weight": 1, "guidance": 0, "control_guidance": 0}, 0.0, 0.0),
    ],
)
def test_guidance_is_what_the_control_was_tuned_with_and_always_written(values, guidance, control_guidance):
    spec = a_spec(videos=files("video", "depth", "seg", "wsm"), **values)

    assert (spec["guidance"], spec["control_guidance"]) == (guidance, control_guidance)


def test_a_weight_of_0_leaves_a_control_out():
    assert not {"edge", "blur"} & a_spec(videos=files("depth"), depth_weight=0.3).keys()
    assert active_controls(InferenceCosmos3()) == ("edge",)


@pytest.mark.parametrize(
    ("videos", "values", "expected"),
    [
        (files(), {"mode": "text2video"}, ("text2video", 189, 24, "16,9", 35, 6.0, 10.0)),
        (files(), {"edge_weight": 0}, ("text2video", 189, 24, "16,9", 35, 6.0, 10.0)),
        (files(), {"mode": "text2image"}, ("text2image", 1, 24, "1,1", 50, 4.0, 3.0)),
        (files("image.png"), {"edge_weight": 0}, ("image2video", 189, 24, "16,9", 35, 6.0, 10.0)),
        ({"video": info("photo.jpg", width=900, height=900)}, {"edge_weight": 0}, ("image2video", 189, 24, "1,1", 35, 6.0, 10.0)),
        (files("image.png", width=600, height=800), {"mode": "image2image"}, ("image2image", 1, 24, "3,4", 35, 6.0, 5.0)),
        (files("video", fps="23.976"), {"edge_weight": 0}, ("video2video", 189, 24, "16,9", 35, 6.0, 10.0)),
        (files(), {"mode": "text2video", "checkpoint": "Cosmos3-Edge"}, ("text2video", 121, 24, "16,9", 35, 6.0, 10.0)),
    ],
)
def test_a_mode_without_controls_follows_from_the_inputs(videos, values, expected):
    spec = a_spec(videos=videos, **values)

    keys = ("model_mode", "num_frames", "fps", "aspect_ratio", "num_steps", "guidance", "shift")
    assert tuple(spec[key] for key in keys) == expected
    assert not spec.keys() & {*TRANSFER_ONLY, "edge", "blur"}
    assert ("vision_path" in spec) == bool(videos)


def test_an_image_as_a_control_makes_an_image():
    sample = a_sample(videos=files("edge.png"))
    job = a_job(sample)

    assert (specs(job)[0]["model_mode"], specs(job)[0]["num_frames"]) == ("image2image", 1)
    assert {file.role: (str(file.path), file.name) for file in job.items[0].outputs} == {
        "image": ("out/rs_1/vision.jpg", "image.jpg"),
        "control_edge": ("out/rs_1/control_edge.jpg", "control_edge.jpg"),
        "spec": ("out/rs_1/sample_args.json", "spec.json"),
    }


def test_edges_come_from_an_image_too():
    assert a_spec(videos=files("image.png"))["vision_path"] == "/cosmos/inputs/image1.png"


def test_the_blurred_control_comes_home_under_our_name():
    (item,) = a_job(a_sample(vis_weight=1)).items

    assert ("control_vis", "out/rs_1/control_blur.mp4", "control_vis.mp4", True) in [
        (file.role, str(file.path), file.name, file.is_optional) for file in item.outputs
    ]


def test_numbers_that_a_user_gives_are_written_as_they_are():
    given = {
        "seed": 7,
        "num_steps": 50,
        "guidance": 2.5,
        "control_guidance": 2.0,
        "shift": 5.0,
        "num_video_frames_per_chunk": 61,
        "num_conditional_frames": 5,
        "num_first_chunk_conditional_frames": 1,
        "max_frames": 100,
        "show_input": True,
        "show_control_condition": True,
        "share_vision_temporal_positions": False,
        "emphasize_control_in_prompt": False,
        "normalize_cfg": True,
        "video_save_quality": 8,
        "negative_metadata_mode": "inverse",
        "negative_prompt_keep_metadata": False,
        "negative_prompt": "fog",
    }
    intervals = {"guidance_interval": (0, 900), "control_guidance_interval": (100.5, 1000)}
    spec = a_spec(**given, **intervals)

    assert {key: spec[key] for key in given} == given
    assert (spec["guidance_interval"], spec["control_guidance_interval"]) == ([0, 900], [100.5, 1000])
    assert spec["num_frames"] == 100


def test_a_negative_prompt_is_that_of_the_parameters_or_of_the_prompt_or_left_to_the_model():
    def negative(params, prompt):
        return INFERENCE_COSMOS3.complete(InferenceCosmos3(negative_prompt=params), Prompt("a", prompt), {}).negative_prompt

    assert (negative("fog", "rain"), negative("", "rain")) == ("fog", "rain")
    assert "negative_prompt" not in a_spec()


def test_a_dense_caption_goes_as_a_text_on_one_line_of_ascii():
    caption = json.dumps({"subjects": ["ein Fußgänger"], "fps": 30}, indent=1)
    job = a_job(a_sample(text=caption))

    assert specs(job)[0]["prompt"] == caption
    assert job.files[0].text.isascii()
    assert job.files[0].text.count("\n") == 1


def test_completing_twice_changes_nothing():
    for videos in (files("video"), files("video", "depth"), files("image.png"), {}):
        for values in ({}, {"depth_weight": 1}, {"edge_weight": 0}, {"mode": "text2image"}):
            once = INFERENCE_COSMOS3.complete(InferenceCosmos3.read(values), Prompt("a", "b"), videos)
            assert INFERENCE_COSMOS3.complete(once, Prompt("a", "b"), videos) == once
            assert InferenceCosmos3.read(once.model_dump(mode="json")) == once


def test_samples_stand_by_shape_and_then_in_the_order_of_arrival():
    samples = [
        a_sample(number=1, videos=files("video", frames=50)),
        a_sample(number=2, videos=files("video", width=720, height=1280)),
        a_sample(number=3, resolution="480"),
        a_sample(number=4, videos=files("video", frames=50)),
        a_sample(number=5, videos=files("video", frames=20)),
    ]
    names = [spec["name"] for spec in specs(a_job(*samples))]

    assert names == ["rs_3", "rs_5", "rs_1", "rs_4", "rs_2"]
    assert [item.run_id for item in a_job(*samples).items] == names


@pytest.mark.parametrize(
    ("values", "roles"),
    [
        ({}, {"video", "image", "edge"}),
        ({"depth_weight": 1, "vis_weight": 1}, {"video", "image", "depth", "vis"}),
        ({"edge_weight": 0}, {"video", "image"}),
        ({"mode": "text2video"}, set()),
        ({"mode": "text2image"}, set()),
        ({"mode": "image2image"}, {"video", "image"}),
        ({"mode": "video2video"}, {"video"}),
    ],
)
def test_what_a_run_reads_follows_from_mode_and_weights(values, roles):
    assert INFERENCE_COSMOS3.reads(InferenceCosmos3.read(values)) == roles


@pytest.mark.parametrize(
    ("videos", "values", "made"),
    [
        (files("video"), {}, []),
        (files("video.mov"), {}, ["video"]),
        (files("video.MP4"), {}, []),
        (files("video.mov", "edge.mov"), {}, []),
        (files("edge.m4v"), {}, ["edge"]),
        (files("video.mkv", "depth.ts"), {"depth_weight": 1, "edge_weight": 1}, ["depth", "video"]),
        (files("image.png"), {"edge_weight": 0}, []),
        (files("video.webm"), {"mode": "video2video"}, ["video"]),
        (files("video.webm"), {"mode": "text2video"}, []),
    ],
)
def test_a_container_format_that_the_program_refuses_is_made_an_mp4_first(videos, values, made):
    steps = INFERENCE_COSMOS3.prepare(InferenceCosmos3.read(values), videos)

    assert sorted(steps, key=lambda step: step.role) == [Preparation(role, role, "mp4") for role in made]
