"""Lengths, chunks and aspect ratios of Cosmos 3, by the formulas of the program."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_ops.operations.cosmos3_shape import best_chunk, chunks_of, nearest_aspect_ratio, rounded_up

from .cosmos3_samples import a_spec, files, info


@pytest.mark.parametrize(
    ("frames", "chunk", "overlap", "count"),
    [(300, 93, 1, 4), (121, 93, 1, 2), (121, 121, 1, 1), (1, 93, 1, 1), (93, 90, 1, 1), (94, 93, 0, 2), (241, 121, 1, 2)],
)
def test_chunks_are_counted_as_the_program_counts_them(frames, chunk, overlap, count):
    assert chunks_of(frames, chunk=chunk, overlap=overlap) == count


@pytest.mark.parametrize(
    ("frames", "chunk"), [(121, 121), (93, 93), (94, 97), (122, 65), (186, 97), (300, 101), (361, 121), (24, 25), (2, 25)]
)
def test_a_chunk_is_as_short_as_covers_the_video_in_as_few_chunks_as_121_frames_allow(frames, chunk):
    assert best_chunk(frames, overlap=1) == chunk


@given(st.integers(2, 5000), st.integers(0, 60))
def test_a_chosen_chunk_wastes_less_than_the_longest_one(frames, overlap):
    chunk = best_chunk(frames, overlap=overlap)
    count, longest = chunks_of(frames, chunk=chunk, overlap=overlap), chunks_of(frames, chunk=121, overlap=overlap)

    assert chunk == rounded_up(chunk)
    assert 25 <= chunk <= 121
    assert count <= longest
    assert chunk > overlap or count == 1
    assert count * chunk <= longest * 121


def test_a_world_scenario_map_keeps_the_chunk_that_it_was_trained_with():
    assert a_spec(videos=files("wsm", frames=300), wsm_weight=1)["num_video_frames_per_chunk"] == 101


@pytest.mark.parametrize(
    ("width", "height", "ratio"),
    [(1280, 720, "16,9"), (1280, 704, "16,9"), (640, 480, "4,3"), (500, 500, "1,1"), (480, 640, "3,4"), (720, 1280, "9,16")],
)
def test_the_aspect_ratio_is_the_nearest_of_five(width, height, ratio):
    assert nearest_aspect_ratio(info("video.mp4", width=width, height=height)) == ratio
    assert a_spec(videos=files("edge", width=width, height=height))["aspect_ratio"] == ratio


@pytest.mark.parametrize(
    ("fps", "whole"), [("30000/1001", 30), ("24000/1001", 24), (25, 25), ("1/4", 1), (240, 240), (5000, 1000), ("12.4", 12)]
)
def test_the_rate_is_that_of_the_input_as_a_whole_number(fps, whole):
    assert a_spec(videos=files("edge", fps=fps))["fps"] == whole


@pytest.mark.parametrize(
    ("videos", "values", "expected"),
    [
        (files(), {"checkpoint": "Cosmos3-Super-Text2Image", "mode": "text2image"}, ("720", 50, 4.0, 3.0)),
        (files(), {"checkpoint": "Cosmos3-Super-Text2Image-4Step", "mode": "text2image"}, ("768", 4, 1.0, None)),
        (files("image.png"), {"checkpoint": "Cosmos3-Super-Image2Video", "mode": "image2video"}, ("720", 35, 6.0, 10.0)),
        (files("image.png"), {"checkpoint": "Cosmos3-Super-Image2Video-4Step", "edge_weight": 0}, ("480", 4, 1.0, None)),
        (files("video"), {"sampler": "edm"}, ("720", 35, 3.0, None)),
    ],
)
def test_what_a_checkpoint_or_sampler_has_built_in_is_not_overridden(videos, values, expected):
    spec = a_spec(videos=videos, **values)

    assert (spec["resolution"], spec["num_steps"], spec["guidance"], spec.get("shift")) == expected


def test_the_small_checkpoint_makes_480_lines_unless_it_is_asked_for_more():
    assert a_spec(checkpoint="Cosmos3-Edge")["resolution"] == "480"
    assert a_spec(checkpoint="Cosmos3-Edge", resolution="720")["resolution"] == "720"
