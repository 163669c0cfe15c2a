"""What Transfer1 inference refuses: each sentence begins with what is wrong, and nothing is refused that would go well."""

from fractions import Fraction

import pytest

from cosmos_ops.errors import ParamsError
from cosmos_ops.operations.inference_transfer1 import INFERENCE_TRANSFER1, InferenceTransfer1

from .transfer1_samples import a_video, infos

OPERATION = INFERENCE_TRANSFER1
BOX = {"prompt": "a red car", "box": [0.1, 0.2, 0.5, 0.9]}
MASK = {"prompt": "a red car", "mask_prompt": "car"}
# 1.56, just nearer to 16:9 than to 4:3; enlarged to 160x104 it is not.
EDGY = {"video": a_video(width=156, height=100)}
SLIDES = {"video": a_video(fps=Fraction(1, 2))}


def params(**values):
    return InferenceTransfer1.read(values)


def check(videos, **values):
    return OPERATION.check(params(**values), videos)


@pytest.mark.parametrize(
    ("values", "videos", "begins"),
    [
        ({"edge_weight": 0}, infos("video"), "edge_weight: all control weights are 0"),
        ({"hdmap_weight": 1, "edge_weight": 1}, infos("video", "hdmap"), "hdmap_weight: hdmap belongs to the driving model"),
        ({"lidar_weight": 1}, infos("video"), "lidar_weight: there is no lidar video"),
        ({"depth_weight": 1}, {}, "depth_weight: there is no depth video, and no input video"),
        ({"distilled": True, "vis_weight": 1}, infos("video"), "distilled: the distilled model knows the edge control alone"),
        ({"distilled": True}, infos("edge"), "distilled: the distilled model needs an input video"),
        (
            {"distilled": True, "regional_prompts": [BOX]},
            infos("video", frame_count=121),
            "regional_prompts: the distilled model ignores them",
        ),
        ({"num_gpus": 3}, infos("video"), "num_gpus: 3 GPUs cannot share a clip evenly"),
        ({"negative_prompt": "x" * 10_001}, infos("video"), "negative_prompt: it has 10,001 characters"),
        ({}, infos("video", frame_count=1), "/videos/video.mp4: it has 1 frame"),
        ({}, infos("video", frame_count=5001), "/videos/video.mp4: it has 5001 frames, and the model reads the first 5000"),
        (
            {"depth_weight": 1},
            {"video": a_video(), "depth": a_video("depth", frame_count=9)},
            "/videos/depth.mp4: it has 9 frames, and /videos/video.mp4 has 10",
        ),
        (
            {"depth_weight": 1},
            {"video": a_video(), "depth": a_video("depth", width=704, height=1280)},
            "/videos/depth.mp4: it is 704x1280, and /videos/video.mp4 is 1280x704",
        ),
        (
            {"seg_weight": 1, "seg_weight_prompt": "cars"},
            infos("video", frame_count=241),
            "seg_weight_prompt: the model fails with it on videos of exactly 241 frames",
        ),
        (
            {"seg_weight": 1, "seg_weight_prompt": "cars"},
            infos("seg"),
            "seg_weight_prompt: its objects are looked for in the input",
        ),
        ({"regional_prompts": [BOX]}, infos("video", frame_count=120), "regional_prompts: they need videos of 121 frames"),
        (
            {"regional_prompts": [BOX]},
            infos("video", frame_count=121, width=960, height=960),
            "regional_prompts: they need a wide video",
        ),
        ({"regional_prompts": [MASK]}, infos("edge", frame_count=121), "regional_prompts.0.mask_prompt: its objects are looked"),
        (
            {"regional_prompts": [BOX], "num_gpus": 2},
            infos("video", frame_count=121),
            "num_gpus: regional prompts work on",
        ),
        (
            {"edge_weight": 1},
            infos("video", "edge_mask"),
            "/videos/edge_mask.mp4: this model takes no masks",
        ),
        ({"depth_weight": 1}, EDGY, "/videos/video.mp4: it is 156x100, and the depth that the model computes from it 160x104"),
        ({"seg_weight": 1}, EDGY, "/videos/video.mp4: it is 156x100, and the seg that the model computes"),
        (
            {"keypoint_weight": 1},
            SLIDES,
            "/videos/video.mp4: the model cannot compute keypoints",
        ),
        (
            {"regional_prompts": [BOX, MASK]},
            infos("video", frame_count=121, width=1920, height=1080),
            "regional_prompts.1.mask_prompt: the mask has the size of the input video, which must be 1280x704",
        ),
    ],
)
def test_what_the_model_would_refuse_or_do_wrong_is_refused_first(values, videos, begins):
    (problem,) = check(videos, **values)
    assert problem.startswith(begins)


@pytest.mark.parametrize(
    ("values", "videos"),
    [
        ({}, infos("video")),
        ({}, infos("edge")),
        ({"hdmap_weight": 0.5, "lidar_weight": 0.5}, infos("hdmap", "lidar")),
        ({"vis_weight": 1, "edge_weight": 1, "depth_weight": 1, "seg_weight": 1, "keypoint_weight": 1}, infos("video")),
        ({"seg_weight": 1, "seg_weight_prompt": "cars"}, infos("video", frame_count=121)),
        ({"seg_weight": 1}, infos("video", frame_count=241)),
        ({"regional_prompts": [BOX, MASK]}, infos("video", frame_count=121)),
        ({"depth_weight": 1}, {"video": a_video(), "depth": a_video("depth", width=640, height=360)}),
        ({"keypoint_weight": 1, "edge_weight": 1}, EDGY),
        ({"depth_weight": 1}, {**EDGY, "depth": a_video("depth", width=160, height=88)}),
        ({"depth_weight": 1}, {"video": a_video(width=33, height=17)}),
        ({"depth_weight": 1}, SLIDES),
        ({"regional_prompts": [BOX]}, infos("video", frame_count=121)),
    ],
)
def test_what_the_model_can_do_is_not_refused(values, videos):
    assert check(videos, **values) == []


def test_all_problems_are_told_at_once():
    problems = check(infos("video", frame_count=1), hdmap_weight=1, edge_weight=1, num_gpus=5)
    assert [problem.partition(":")[0] for problem in problems] == [
        *("num_gpus", "hdmap_weight", "hdmap_weight", "/videos/video.mp4"),
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"edge_weight": "/tmp/weights.pt"}, "edge_weight"),
        ({"edge_weight": float("nan")}, "edge_weight"),
        ({"edge_weight": -0.1}, "edge_weight"),
        ({"blur_strength": "bad"}, "blur_strength"),
        ({"regional_prompts": [{"prompt": " ", "box": [0, 0, 1, 1]}]}, "regional_prompts.0.prompt"),
        ({"regional_prompts": [{"prompt": "x", "mask_prompt": " \x00"}]}, "regional_prompts.0: give a region either"),
        ({"seg_prompt": "x" * 10_001}, "seg_prompt"),
        ({"regional_prompts": [{"prompt": "x"}]}, "regional_prompts.0: give a region either a box or a mask_prompt"),
        ({"regional_prompts": [{**BOX, "mask_prompt": "car"}]}, "regional_prompts.0: give a region either"),
        ({"regional_prompts": [{"prompt": "x", "box": [0.5, 0, 0.5, 1]}]}, "regional_prompts.0: the box is empty"),
        ({"regional_prompts": [{"prompt": "x", "box": [0, 0, 1, 2]}]}, "regional_prompts.0.box.3"),
        ({"regional_prompts": [{"prompt": "x", "region_definitions_path": "mask.mp4"}]}, "regional_prompts.0"),
    ],
)
def test_values_out_of_their_bounds_are_refused_by_name(values, message):
    with pytest.raises(ParamsError, match=message):
        params(**values)


def test_a_mask_of_a_control_that_is_left_out_is_not_looked_at():
    assert "edge_mask" in OPERATION.reads(params(edge_weight=1))
    assert "depth_mask" not in OPERATION.reads(params(edge_weight=1))
