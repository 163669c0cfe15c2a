"""What Cosmos 3 refuses, fails on later or quietly does otherwise is said before anything starts."""

from dataclasses import replace

import pytest

from cosmos_ops.errors import ParamsError
from cosmos_ops.operations.cosmos3_params import InferenceCosmos3

from .cosmos3_samples import files, info, problems

SHORT = {"video": info("video.mp4"), "depth": info("depth.mp4", frames=60)}
SQUARE = {"video": info("video.mp4"), "depth": info("depth.mp4", width=720, height=720)}
BOTH = {"edge_weight": 1, "depth_weight": 1}
PLAIN = {"edge_weight": 0}
NAMED_IMAGE = {"video": replace(info("video.png"), frame_count=30)}
FAST = {"mode": "text2image", "checkpoint": "Cosmos3-Super-Text2Image-4Step"}


@pytest.mark.parametrize(
    ("videos", "values"),
    [
        (files("video"), {}),
        (files("edge.png"), {}),
        (files("edge.jpeg", "depth.png"), BOTH),
        (files("video", "depth"), BOTH),
        (files("video", "edge.mkv", "depth.avi"), BOTH),
        ({"video": info("video.mp4"), "depth": info("depth.mp4", width=854, height=480)}, BOTH),
        (SHORT, {**BOTH, "max_frames": 60}),
        (SHORT, {"depth_weight": 1}),
        ({"video": info("video.mp4"), "edge": info("edge.png")}, {**BOTH, "depth_weight": 0}),
        (files("video", frames=6000), {"max_frames": 5000}),
        (files("video", frames=1), {}),
        (files("video"), {"aspect_ratio": "1,1"}),
        (files("video"), {"fps": 24}),
        (files("edge"), {"fps": 12}),
        (files("video"), {"num_first_chunk_conditional_frames": 9, "show_input": True}),
        (files("video"), {"mode": "video2video", "edge_weight": 1}),
        (files("edge.png"), {"mode": "image2image", "edge_weight": 1}),
        (files(), {"mode": "text2video", "enable_sound": True, "prompt_upsampling": True}),
        (files(), {"mode": "text2image", "prompt_upsampling": True}),
        (files("image.webp"), PLAIN),
        (files("image.png", "video"), {"mode": "video2video"}),
        (files("image.png", "video"), {"mode": "image2image"}),
        (files("video"), {**PLAIN, "condition_video_keep": "last", "condition_frame_indexes_vision": [0, 1, 2]}),
        (files("video"), {"num_gpus": 8, "dp_shard_size": 1, "quantization_method": "mxfp8"}),
        (files("video"), {"sampler": "edm", "sigma_max": 70}),
        (files("edge", fps=240), {}),
        (files("video", frames=5), PLAIN),
        (files("video", frames=1), {**PLAIN, "condition_frame_indexes_vision": [0]}),
        (files("video"), {"guidance_interval": (0, 500), "control_guidance_interval": (0, 500)}),
        (files(), {"mode": "text2video", "prompt_upsampling": True, "prompt_upsampler_seed": 1, "prompt_upsampler_top_k": 5}),
        (files("video"), {"compile_dynamic": False, "compiled_region": "language"}),
        (files(), {"mode": "text2image", "checkpoint": "Cosmos3-Super-Text2Image-4Step"}),
        (files("image.png"), {**PLAIN, "checkpoint": "Cosmos3-Super-Image2Video"}),
    ],
)
def test_what_can_be_done_is_not_refused(videos, values):
    assert problems(videos=videos, **values) == []


@pytest.mark.parametrize(
    ("videos", "values", "said"),
    [
        ({}, {}, "edge_weight: there is no edge file, and no video"),
        (files("video"), {"depth_weight": 1}, "depth_weight: there is no depth file"),
        (files("video"), {"wsm_weight": 1}, "wsm_weight: there is no wsm file"),
        (SHORT, BOTH, "/videos/depth.mp4: it has 60 frames, but /videos/video.mp4 has 121"),
        (SQUARE, BOTH, "/videos/depth.mp4: it is 720x720, but /videos/video.mp4 is 1280x720"),
        ({"edge": info("edge.png"), "depth": info("depth.mp4")}, BOTH, "/videos/depth.mp4: it has 121 frames"),
        ({"video": info("photo.png"), "depth": info("depth.mp4")}, BOTH, "/videos/depth.mp4: it has 121 frames"),
        (
            {"image": info("image.png"), "edge": info("edge.mp4")},
            {"num_first_chunk_conditional_frames": 1},
            "/videos/image.png: it has 1 frame, but /videos/edge.mp4 has 121",
        ),
        (files("edge.webp"), {}, "/videos/edge.webp: Cosmos 3 reads no .webp image beside controls"),
        (files("image.webp"), {}, "/videos/image.webp: Cosmos 3 reads no .webp image beside controls"),
        (files("video", frames=5001), {}, "/videos/video.mp4: it has 5,001 frames; at most 5,000"),
        (files("video"), {"num_frames": 50}, "num_frames: controls decide the length, here 121"),
        (files("video"), {"fps": 30}, "fps: /videos/video.mp4 makes the output 24"),
        (files("edge"), {"aspect_ratio": "1,1"}, "aspect_ratio: /videos/edge.mp4 makes the output 16,9"),
        (files("edge"), {"show_input": True}, "show_input: there is no input video"),
        (files("edge"), {"num_first_chunk_conditional_frames": 1}, "num_first_chunk_conditional_frames: there is no input"),
        (files("video"), {"num_first_chunk_conditional_frames": 121}, "num_first_chunk_conditional_frames: 121 leaves no frame"),
        (
            files("video"),
            {"num_conditional_frames": 25, "num_video_frames_per_chunk": 22},
            "num_conditional_frames: 25 is not below the 25 frames of a chunk",
        ),
        (files("video"), {"mode": "text2video", "edge_weight": 1}, "mode: text2video takes no controls"),
        (files("video"), {"mode": "image2image", "edge_weight": 1}, "mode: /videos/video.mp4 has 121 frames"),
        (files("edge.png"), {"mode": "video2video", "edge_weight": 1}, "mode: /videos/edge.png gives a single frame"),
        (files("video"), {"enable_sound": True}, "enable_sound: it has no effect with controls"),
        (files("video"), {"prompt_upsampling": True}, "prompt_upsampling: it has no effect with controls"),
        (files("video"), {"control_guidance_interval": (500, 500)}, "control_guidance_interval: 500 is not below 500"),
        ({}, {"mode": "text2video", "max_frames": 50}, "max_frames: it works with controls only"),
        ({}, {"mode": "text2video", "control_guidance": 2}, "control_guidance: it works with controls only"),
        ({}, {"mode": "text2video", "num_video_frames_per_chunk": 93}, "num_video_frames_per_chunk: it works with controls"),
        ({}, {"mode": "text2video", "share_vision_temporal_positions": False}, "share_vision_temporal_positions: it works"),
        ({}, {"mode": "text2video", "num_frames": 1}, "num_frames: text2video makes a video of 2 frames or more"),
        ({}, {"mode": "text2image", "num_frames": 5}, "num_frames: text2image makes one image"),
        ({}, {"mode": "text2image", "enable_sound": True}, "enable_sound: text2image makes an image"),
        ({}, {"mode": "text2video", "enable_sound": True, "checkpoint": "Cosmos3-Edge"}, "enable_sound: Cosmos3-Edge"),
        ({}, {"mode": "text2video", "condition_frame_indexes_vision": [0]}, "condition_frame_indexes_vision: text2video"),
        ({}, {"mode": "image2video"}, "mode: image2video needs an input image"),
        ({}, {"mode": "video2video"}, "mode: video2video needs an input video"),
        (files("image.png", "video"), PLAIN, "mode: there is both an image and a video"),
        (files("video"), {"mode": "image2video"}, "/videos/video.mp4: image2video needs an image"),
        ({"video": info("photo.png")}, {"mode": "video2video"}, "/videos/photo.png: video2video needs a video"),
        (files("image.bmp"), PLAIN, "/videos/image.bmp: Cosmos 3 reads no .bmp image"),
        (files("video"), {**PLAIN, "num_frames": 5}, "num_frames: 5 frames are 2 latent frames"),
        (
            files("image.png"),
            {**PLAIN, "num_frames": 9, "condition_frame_indexes_vision": [7]},
            "condition_frame_indexes_vision: 9 frames are 3 latent frames",
        ),
        (files("video"), {**PLAIN, "prompt_upsampling": True}, "prompt_upsampling: video2video cannot do it"),
        (files("image.png"), {**PLAIN, "condition_video_keep": "last"}, "condition_video_keep: image2video"),
        (files("video"), {"num_gpus": 3}, "num_gpus: 3 GPUs cannot share one video evenly"),
        (files("video"), {"num_gpus": 4, "dp_shard_size": 3}, "dp_shard_size: 4 GPUs cannot be divided"),
        (files("video"), {"num_gpus": 2, "quantization_method": "nvfp4"}, "quantization_method: spread weights"),
        (files("video"), {"num_gpus": 2, "use_cuda_graphs": True}, "use_cuda_graphs: they work on one GPU only"),
        (files("video"), {"diffusion_cache": False, "diffusion_cache_thresh": 1}, "diffusion_cache_thresh: the diffusion cache"),
        (files("video"), {"sigma_max": 70}, "sigma_max: the sampler unipc ignores it"),
        (files("video"), {"sampler": "edm", "shift": 5}, "shift: the sampler edm ignores it"),
        (NAMED_IMAGE, {}, "/videos/video.png: it is named as an image and holds 30 frames"),
        (NAMED_IMAGE, PLAIN, "/videos/video.png: it is named as an image and holds 30 frames"),
        (files("video", frames=4), PLAIN, "/videos/video.mp4: it has 4 frames, but the output takes over 5"),
        (
            files("video", frames=12),
            {**PLAIN, "condition_frame_indexes_vision": [3]},
            "/videos/video.mp4: it has 12 frames, but the output takes over 13",
        ),
        (
            files("video"),
            {**PLAIN, "condition_frame_indexes_vision": [1, 1]},
            "condition_frame_indexes_vision: a number is there",
        ),
        (files("video", frames=100_000), {"max_frames": 121}, "/videos/video.mp4: Cosmos 3 decodes all of it at once"),
        (files("video", frames=100_000), PLAIN, "/videos/video.mp4: Cosmos 3 decodes all of it at once"),
        (files("wsm"), {"wsm_weight": 1, "guidance_interval": (0, 5)}, "guidance_interval: guidance is 1, which is off"),
        (
            files("video", "seg"),
            {"edge_weight": 1, "seg_weight": 1, "control_guidance_interval": (0, 5)},
            "control_guidance_interval: control_guidance is 1",
        ),
        (files("video"), {"offload_guardrail_models": True}, "offload_guardrail_models: the guardrails are off"),
        (files("video"), {"use_torch_compile": False, "compile_dynamic": False}, "compile_dynamic: nothing is compiled"),
        ({}, {"mode": "text2video", "prompt_upsampler_seed": 1}, "prompt_upsampler_seed: no prompt is rewritten"),
        ({}, {"mode": "text2video", "checkpoint": "Cosmos3-Super-Text2Image"}, "checkpoint: Cosmos3-Super-Text2Image is for"),
        (files("video"), {"checkpoint": "Cosmos3-Super-Image2Video-4Step"}, "checkpoint: Cosmos3-Super-Image2Video-4Step takes"),
        ({}, {**FAST, "num_steps": 10}, "num_steps: Cosmos3-Super-Text2Image-4Step makes 4 steps"),
        ({}, {**FAST, "guidance": 3}, "guidance: Cosmos3-Super-Text2Image-4Step has its own"),
        ({}, {**FAST, "shift": 3}, "shift: Cosmos3-Super-Text2Image-4Step has its own"),
    ],
)
def test_what_cannot_be_done_is_said_with_its_path(videos, values, said):
    found = problems(videos=videos, **values)

    assert [problem for problem in found if problem.startswith(said)], found
    assert all("; " in problem for problem in found), "each says what to do"


def test_all_problems_come_at_once():
    found = problems(videos=SHORT, **BOTH, num_gpus=3, fps=30, enable_sound=True, guidance_interval=(5, 1))

    assert [problem.split(":")[0] for problem in found] == [
        "num_gpus",
        "guidance_interval",
        "enable_sound",
        "/videos/depth.mp4",
        "fps",
    ]


def test_a_file_that_is_missing_hides_no_other_problem():
    found = problems(videos={}, mode="text2video", depth_weight=1, enable_sound=True, num_gpus=3)

    assert [problem.split(":")[0] for problem in found] == ["num_gpus", "mode", "enable_sound", "depth_weight"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"edge_weight": -1}, "edge_weight"),
        ({"guidance": 7.5}, "guidance"),
        ({"control_guidance": 11}, "control_guidance"),
        ({"control_guidance_interval": (0, 1001)}, "control_guidance_interval"),
        ({"resolution": "1080"}, "resolution"),
        ({"resolution": 721}, "resolution"),
        ({"aspect_ratio": "16:9"}, "aspect_ratio"),
        ({"fps": 29.97}, "fps"),
        ({"mode": "reasoner"}, "mode"),
        ({"checkpoint": "Cosmos3-Ultra"}, "checkpoint"),
        ({"control_weight": 1}, "unknown parameter 'control_weight'"),
        ({"condition_frame_indexes_vision": []}, "condition_frame_indexes_vision"),
    ],
)
def test_values_out_of_their_bounds_are_refused(values, said):
    with pytest.raises(ParamsError, match=said):
        InferenceCosmos3.read(values)
