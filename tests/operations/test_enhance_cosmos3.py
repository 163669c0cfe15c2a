"""Prompt enhancement by Cosmos 3: by its reasoner in one batch, or by a server, one call for each prompt."""

from dataclasses import replace

import pytest

from cosmos_ops.errors import OutputMissingError, ProcessKilledError, SampleFailedError
from cosmos_ops.job import (
    Completed,
    ContainerExit,
    Findings,
    NotRun,
    SampleBlocked,
    SampleEnded,
    SampleStarted,
)
from cosmos_ops.operations.cosmos3_enhance_params import EnhanceCosmos3
from cosmos_ops.operations.enhance_cosmos3 import ENHANCE_COSMOS3
from cosmos_ops.operations.operation import Preparation
from cosmos_ops.planning import control_signature
from cosmos_ops.runs import Prompt
from tests.builders import a_run

from .cosmos3_samples import ENDED, SERVER, a_job, an_enhancement, enhanced, files, info, kinds, specs


def problems(videos=None, **values):
    params = EnhanceCosmos3.read(values)
    return ENHANCE_COSMOS3.check(ENHANCE_COSMOS3.complete(params, Prompt("a"), videos or {}), videos or {})


def test_the_reasoner_gets_an_instruction_and_the_text():
    job = a_job(an_enhancement(text="a street\nin rain"))
    (spec,) = specs(job)

    assert spec["prompt"].endswith("\n\na street\nin rain")
    assert len(spec["prompt"]) > 100
    assert {key: spec[key] for key in spec if key != "prompt"} == {
        "name": "rs_1",
        "model_mode": "reasoner",
        "seed": 1,
        "max_new_tokens": 1024,
        "do_sample": False,
    }
    assert job.container.modes == ("nano",)
    assert "--no-guardrails" in job.container.argv
    assert "--no-diffusion-cache" in job.container.argv


def test_the_reasoner_sees_the_video():
    shown = an_enhancement(videos=files("video"), video_fps=2)
    hidden = an_enhancement(videos=files("video"), shows_input=False)

    assert specs(a_job(shown))[0]["vision_path"] == "/cosmos/inputs/video1.mp4"
    assert specs(a_job(shown))[0]["video_fps"] == 2
    assert [file.source.name for file in a_job(shown).inputs] == ["video.mp4"]
    assert "vision_path" not in specs(a_job(hidden))[0]
    assert a_job(hidden).inputs == ()


def test_a_temperature_makes_the_reasoner_choose():
    (spec,) = specs(a_job(an_enhancement(temperature=0.7, top_p=0.8, top_k=20, instruction="Say it again.", max_tokens=300)))

    assert spec["do_sample"] is True
    assert (spec["temperature"], spec["top_p"], spec["top_k"], spec["max_new_tokens"]) == (0.7, 0.8, 20, 300)
    assert spec["prompt"] == "Say it again.\n\na street"


@pytest.mark.parametrize(
    ("videos", "values", "said"),
    [
        ({}, {"num_gpus": 3}, "num_gpus"),
        ({}, {"top_p": 0.5}, "top_p: without a temperature"),
        (files("image.bmp"), {}, "/videos/image.bmp: Cosmos 3 reads no .bmp"),
        ({}, {"method": "server", "endpoint_url": "models.example"}, "endpoint_url: it is no address"),
        ({}, {"method": "server", "endpoint_url": "https://["}, "endpoint_url: it is no address"),
        ({}, {"method": "server", "endpoint_url": "https://me:secret@models.example/v1"}, "endpoint_url: it holds a login"),
        ({}, {"method": "server", "endpoint_url": "https://models.example/v1?key=1"}, "endpoint_url: it holds a login"),
        ({}, {**SERVER, "task": "image2video"}, "task: image2video needs an input image"),
        ({}, {**SERVER, "model": "-big"}, "model: no name of a model"),
        ({}, {**SERVER, "endpoint_url": "https://models.example/v1 "}, "endpoint_url: it is no address"),
        ({}, {**SERVER, "instruction": "Say it again."}, "instruction: only the method reasoner takes it"),
        ({}, {**SERVER, "num_gpus": 2}, "num_gpus: only the method reasoner takes it"),
        ({}, {"min_p": 0.1}, "min_p: only the method server takes it"),
        ({}, {"endpoint_url": "https://models.example/v1"}, "endpoint_url: only the method server takes it"),
        ({"video": replace(info("clip.png"), frame_count=9)}, {}, "/videos/clip.png: it is named as an image"),
    ],
)
def test_what_cannot_be_done_is_said(videos, values, said):
    (problem,) = problems(videos, **values)

    assert problem.startswith(said)


@pytest.mark.parametrize("values", [{}, SERVER, {"method": "server"}, {"temperature": 1, "top_p": 1, "top_k": 5}])
def test_what_can_be_done_is_not_refused(values):
    assert problems(files("video"), **values) == []


@pytest.mark.parametrize(("name", "made"), [("video.mov", ["video"]), ("video.mp4", []), ("image.jpg", [])])
def test_only_an_mp4_is_shown(name, made):
    steps = ENHANCE_COSMOS3.prepare(EnhanceCosmos3(), files(name))

    assert list(steps) == [Preparation(role, role, "mp4") for role in made]
    assert ENHANCE_COSMOS3.prepare(EnhanceCosmos3(method="server"), files(name)) == ()


def test_prompts_of_different_length_share_a_process_and_methods_do_not():
    def signature(**values):
        return control_signature(a_run(EnhanceCosmos3.read(values), operation="enhance", family="cosmos3"))

    assert signature(max_tokens=5, seed=3, temperature=1) == signature()
    assert len({signature(), signature(**SERVER), signature(method="server"), signature(checkpoint="Cosmos3-Edge")}) == 4


def test_a_new_text_is_a_success_and_an_empty_or_endless_one_is_none():
    job = a_job(*(an_enhancement(number) for number in range(1, 5)))
    texts = {"rs_1": "A street in rain.", "rs_2": " \n", "rs_3": "x" * 10_001}
    outcomes = ENHANCE_COSMOS3.read_outputs(job, ENDED, [SampleStarted(f"rs_{n}") for n in range(1, 5)], enhanced(job, texts))

    assert kinds(outcomes) == [Completed, SampleFailedError, SampleFailedError, OutputMissingError]
    assert outcomes["rs_1"].files["prompt"].name == "prompt.txt"
    assert "10,001 characters" in str(outcomes["rs_3"].error)


def test_the_text_alone_is_no_success_of_the_reasoner():
    job = a_job(an_enhancement())

    assert kinds(ENHANCE_COSMOS3.read_outputs(job, ENDED, [], enhanced(job, {"rs_1": "A street."}, reasoner=False))) == [
        OutputMissingError
    ]


def test_the_reasoner_goes_on_with_the_next_in_order_and_only_that_is_lost_with_it():
    job = a_job(*(an_enhancement(number) for number in range(1, 9)))
    reader = ENHANCE_COSMOS3.reader(job)
    saved = "[08-21 10:00:00|job=|SUCCESS|inference/inference.py:1981:_generate] Saved reasoner outputs to '/cosmos/job/out/{}'"
    events = [event for run_id in ("rs_1", "rs_2") for event in reader(saved.format(run_id))]
    texts = {"rs_1": "One.", "rs_2": "Two."}
    outcomes = ENHANCE_COSMOS3.read_outputs(job, ContainerExit(137), events, enhanced(job, texts))

    assert events == [SampleEnded("rs_1"), SampleStarted("rs_2"), SampleEnded("rs_2"), SampleStarted("rs_3")]
    assert kinds(outcomes) == [Completed, Completed, ProcessKilledError, *[NotRun] * 5]


def test_a_prompt_that_the_guardrail_refuses_is_blocked():
    reader = ENHANCE_COSMOS3.reader(a_job(an_enhancement(guardrails=True)))
    why = "Error generating sample 'rs_1': Guardrail blocked prompt '/cosmos/job/out/rs_1': 'a fight'"

    assert reader(f"[08-21 10:00:00|job=|ERROR|common/inference.py:266:_handle] {why}") == [
        SampleBlocked("rs_1", "the guardrail refused the prompt"),
        SampleEnded("rs_1"),
    ]


def test_completing_twice_changes_nothing():
    for videos in (files("video"), files("image.png"), {}):
        for values in ({}, SERVER):
            once = ENHANCE_COSMOS3.complete(EnhanceCosmos3.read(values), Prompt("a"), videos)
            assert ENHANCE_COSMOS3.complete(once, Prompt("a"), videos) == once


def test_a_run_without_files_is_judged_by_the_exit():
    job = a_job(an_enhancement())

    assert kinds(ENHANCE_COSMOS3.read_outputs(job, replace(ENDED, code=137), [], Findings({}))) == [ProcessKilledError]
