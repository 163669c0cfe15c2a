"""What of a Transfer1 request follows from its files, and what is made of them before anything is sent."""

from dataclasses import replace
from fractions import Fraction

import pytest

from cosmos_ops.operations.inference_transfer1 import INFERENCE_TRANSFER1, InferenceTransfer1
from cosmos_ops.operations.operation import Preparation
from cosmos_ops.runs import Prompt

from .transfer1_samples import a_video, infos

OPERATION = INFERENCE_TRANSFER1


def params(**values):
    return InferenceTransfer1.read(values)


@pytest.mark.parametrize(
    ("videos", "fps", "sigma_max"),
    [
        (infos("video", fps=30), 30, 70.0),
        ({"video": a_video(fps=24), "edge": a_video("edge", fps=30)}, 24, 70.0),
        (infos("edge", fps=30), 30, 80.0),
        ({"video": a_video(fps=1)}, 1, 70.0),
        ({"video": a_video(fps=1000)}, 240, 70.0),
        ({}, 0, 70.0),
    ],
)
def test_rate_and_noise_follow_the_files(videos, fps, sigma_max):
    full = OPERATION.complete(params(), Prompt("a street"), videos)

    assert (full.fps, full.sigma_max) == (fps, sigma_max)
    assert InferenceTransfer1.read(full.model_dump(mode="json")) == full


def test_a_fractional_rate_is_rounded():
    film = replace(a_video(), fps=Fraction(24000, 1001))
    assert OPERATION.complete(params(), Prompt("x"), {"video": film}).fps == 24


@pytest.mark.parametrize(
    ("own", "of_prompt", "taken"),
    [("rain", "snow", "rain"), ("", " snow ", "snow"), (" \n", "snow\x00", "snow"), ("", " ", ""), ("", "", "")],
)
def test_the_negative_prompt_follows_the_prompt_unless_it_is_given(own, of_prompt, taken):
    assert OPERATION.complete(params(negative_prompt=own), Prompt("x", of_prompt), {}).negative_prompt == taken


def test_edges_and_blur_are_made_here_because_the_programs_own_are_random():
    given = params(vis_weight=1, edge_weight=1, depth_weight=1, blur_strength="high", canny_threshold="low")

    assert OPERATION.prepare(given, infos("video")) == (
        Preparation("vis", "video", "blur", "high"),
        Preparation("edge", "video", "edge", "low"),
    )
    assert OPERATION.prepare(given, infos("video", "vis", "edge", "depth")) == ()
    assert OPERATION.prepare(given, infos("depth")) == ()


def test_files_that_are_no_mp4_become_one():
    videos = {"video": a_video(suffix=".mov"), "depth": a_video("depth", suffix=".MP4"), "seg": a_video("seg", suffix=".webm")}
    assert OPERATION.prepare(params(depth_weight=1, seg_weight=1), videos) == (
        Preparation("video", "video", "mp4"),
        Preparation("seg", "seg", "mp4"),
    )
