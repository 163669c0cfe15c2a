"""What is said of a request for cosmos-transfer2.5 before anything is sent."""

import re

import pytest

from cosmos_ops.operations.inference_transfer25 import INFERENCE_TRANSFER25
from cosmos_ops.operations.transfer25_frames import chunk_count, last_chunk

from .transfer25 import info, params_of


def problems(values=(), **videos):
    return INFERENCE_TRANSFER25.check(params_of(**dict(values)), {"video": info(), **videos})


@pytest.mark.parametrize(
    ("values", "videos"),
    [
        ({}, {}),
        ({}, {"video": info(fps="24000/1001")}),
        ({}, {"video": info(fps="30000/1001", frames=5000)}),
        ({}, {"video": info("picture.png", frames=1, fps=25)}),
        ({"max_frames": 5000}, {"video": info(frames=9000), "edge": info("edge.mp4", frames=9000)}),
        ({"max_frames": 50}, {"edge": info("edge.mp4", frames=50)}),
        ({"max_frames": 500}, {}),
        ({}, {"edge": info("edge.mp4", frames=200)}),
        ({}, {"edge": info("edge.mp4", size=(1920, 1080)), "edge_mask": info("mask.mp4", size=(640, 360))}),
        ({"context_frame_index": 92}, {}),
        ({"max_frames": 10, "context_frame_index": 50}, {}),
        ({}, {"style_image": info("style.png", frames=1, size=(50, 900))}),
        ({"depth_weight": 1}, {"style_image": info("style.png", frames=1)}),
        ({"vis_weight": 1, "context_frame_index": 3}, {}),
        ({"distilled": True}, {}),
        ({"distilled": True, "max_frames": 93}, {"video": info(frames=200)}),
        ({"num_conditional_frames": 0}, {"video": info(frames=186)}),
        ({"num_conditional_frames": 2}, {"video": info(frames=3)}),
        ({"num_gpus": 8}, {}),
        ({"edge_mask_prompt": "car", "depth_weight": 1}, {"depth_mask": info("mask.mp4")}),
        ({"num_gpus": 2}, {"edge_mask": info("mask.mp4")}),
        ({"depth_weight": 1, "edge_mask_prompt": "car", "num_gpus": 2, "max_frames": 1}, {}),
        ({}, {"guided_mask": info("guided.mp4")}),
        ({"max_frames": 1}, {"edge": info("edge.JPG", frames=1), "guided_mask": info("guided.MP4", frames=1)}),
        ({}, {"video": info("moving.png", frames=93), "style_image": info("style.mov", frames=1)}),
    ],
)
def test_nothing_is_said_of_what_the_program_does_well(values, videos):
    assert problems(values, **videos) == []


@pytest.mark.parametrize(
    ("values", "videos", "said"),
    [
        ({}, {"edge": info("edge.mp4", frames=92)}, "^/videos/edge.mp4: it has 92 frames, but 93 of .* set max_frames to 92"),
        ({}, {"edge_mask": info("mask.mp4", frames=1)}, "^/videos/mask.mp4: it has 1 frames"),
        ({}, {"guided_mask": info("guided.mp4", frames=4)}, "^/videos/guided.mp4: it has 4 frames"),
        ({}, {"edge": info("edge.mp4", size=(704, 1280))}, "^/videos/edge.mp4: .* counts as 9:16, but .* counts as 16:9"),
        ({}, {"edge": info("edge.mp4", size=(1000, 720))}, "^/videos/edge.mp4: .* counts as 4:3"),
        ({}, {"video": info(frames=5001)}, "^/videos/video.mp4: it has 5001 frames, and only the first 5000"),
        ({}, {"video": info(fps="1/2")}, "^/videos/video.mp4: it has 0.5 frames per second"),
        ({}, {"video": info(size=(1280, 8))}, "^/videos/video.mp4: it is 1280x8"),
        ({"context_frame_index": 93}, {}, "^context_frame_index: .* has no frame 93; choose one from 1 to 92"),
        ({"context_frame_index": 1}, {"video": info("a.png", frames=1)}, "^context_frame_index: .*; leave it out"),
        ({"vis_weight": 0.1}, {"style_image": info("style.png", frames=1)}, "^/videos/style.png: a style image and the vis"),
        ({"context_frame_index": 2}, {"style_image": info("s.png", frames=1)}, "^/videos/s.png: .* context_frame_index"),
        ({"edge_mask_prompt": "car"}, {"edge_mask": info("mask.mp4")}, "^edge_mask_prompt: .* beside the mask /videos/mask.mp4"),
        ({"num_gpus": 2, "edge_mask_prompt": "car"}, {}, "^edge_mask_prompt: the processes of 2 GPUs .* set num_gpus to 1"),
        ({"max_frames": 1, "edge_mask_prompt": "car"}, {}, "^edge_mask_prompt: .* mask of a single frame; leave it out"),
        ({"max_frames": 1}, {"edge_mask": info("mask.png", frames=1)}, "^/videos/mask.png: .* mask of a single frame"),
        ({"max_frames": 1}, {"guided_mask": info("g.png", frames=1)}, "^/videos/g.png: a guided mask is read as mp4 alone"),
        ({"distilled": True}, {"guided_mask": info("g.mp4")}, "^/videos/g.mp4: .* nothing with the distilled model"),
        ({}, {"style_image": info("style.mp4", frames=30)}, "^/videos/style.mp4: it has 30 frames, and only the first"),
        ({}, {"style_image": info("style.WEBP", frames=1)}, "^/videos/style.WEBP: .* png and jpg alone; convert it"),
        ({}, {"video": info("video.bmp", frames=1)}, "^/videos/video.bmp: .* png and jpg alone; convert it"),
        ({"distilled": True}, {"video": info(frames=94)}, "^distilled: .* at most 93 frames, not 94"),
        ({"distilled": True, "seg_weight": 1}, {}, "^distilled: .* not seg"),
        ({"distilled": True, "edge_weight": 1, "vis_weight": 1}, {}, "^distilled: .* not vis"),
        ({"num_gpus": 3}, {}, "^num_gpus: 3 GPUs"),
        ({"num_conditional_frames": 0}, {"video": info(frames=94)}, "^num_conditional_frames: .* set max_frames to 93"),
        ({"num_conditional_frames": 0}, {"video": info(frames=187)}, "^num_conditional_frames: .* last of 3 chunks"),
        ({"num_conditional_frames": 2}, {"video": info(frames=2)}, "^num_conditional_frames: .* 2 frames; use 1"),
    ],
)
def test_what_fails_or_comes_out_wrong_is_said_with_what_to_do(values, videos, said):
    (problem,) = problems(values, **videos)

    assert re.search(said, problem)


def test_without_a_video_control_files_are_not_enough():
    said = INFERENCE_TRANSFER25.check(params_of(), {"edge": info("edge.mp4")})

    assert said == ["video: there is no input video, and the model needs one beside control files; add one"]


def test_all_problems_are_said_at_once():
    said = problems(
        {"num_gpus": 5, "context_frame_index": 500, "vis_weight": 1},
        style_image=info("style.png", frames=1),
        vis=info("vis.mp4", frames=3, size=(100, 100)),
    )

    assert [one.split(":")[0] for one in said] == [
        "num_gpus",
        "/videos/style.png",
        "/videos/style.png",
        "context_frame_index",
        "/videos/vis.mp4",
        "/videos/vis.mp4",
    ]


@pytest.mark.parametrize(
    ("frames", "overlap", "chunks", "last"),
    [
        (1, 1, 1, 1),
        (93, 1, 1, 93),
        (94, 1, 2, 2),
        (185, 1, 2, 93),
        (186, 1, 3, 2),
        (121, 1, 2, 29),
        (186, 0, 2, 93),
        (187, 0, 3, 1),
        (184, 2, 2, 93),
        (185, 2, 3, 3),
    ],
)
def test_chunks_overlap_by_the_conditional_frames(frames, overlap, chunks, last):
    assert (chunk_count(frames, overlap), last_chunk(frames, overlap)) == (chunks, last)
