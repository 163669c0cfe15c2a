"""Stages alone and left out, settings of single prompts, and what the parameters of a run change.

- a stage that is left out takes nothing from the others
- the same seed gives the same bytes
"""

import hashlib

import pytest
from pydantic import ValidationError

from flows.enhance import enhance
from flows.forms import InferenceSettings, PromptRequest, UpscaleSettings
from flows.inference import inference
from flows.pipeline import pipeline
from flows.upscale import upscale
from tests.builders import a_clip, only

from . import steps


@pytest.fixture
def clip(tmp_path):
    return a_clip(tmp_path / "clip.mp4", frame_count=3)


@pytest.mark.parametrize(
    "stages", [["enhance"], ["inference"], ["inference", "upscale"], ["enhance", "inference"], ["enhance", "upscale"]]
)
def test_any_stage_can_be_left_out(prefect_api, home, clip, stages):
    state, found = steps.call(pipeline, [steps.a_request(clip)], stages=stages)

    assert state.is_completed(), state.message
    assert [run.operation for run in found.runs] == stages
    assert found.statuses() == ["completed"] * len(stages)


def test_the_upscale_stage_alone_takes_the_input_videos(prefect_api, home, clip):
    state, found = steps.call(
        pipeline, [steps.a_request(clip)], stages=["upscale"], upscale=UpscaleSettings(preview={"factor": 2})
    )

    assert state.is_completed(), state.message
    assert [(run.operation, found.video(run)[:3]) for run in found.runs] == [("upscale", (192, 128, 3))]


def test_a_pipeline_without_any_stage_is_refused(prefect_api, home, clip):
    state, found = steps.call(pipeline, [steps.a_request(clip)], stages=[])

    assert state.is_failed()
    assert "choose at least one of enhance, inference and upscale" in state.message
    assert found.runs == []


def test_each_stage_works_on_what_the_one_before_left(prefect_api, home, clip):
    _, found = steps.call(enhance, [steps.a_request(clip)])
    (enhanced,) = found.runs
    _, found = steps.call(inference, [PromptRequest(prompt_id=enhanced.outputs.prompt_id)])
    made = found.runs[-1]
    state, found = steps.call(upscale, [made.id, str(clip)])

    assert state.is_completed(), state.message
    assert found.statuses() == ["completed"] * 4
    assert made.prompt_id == enhanced.outputs.prompt_id
    of_run, of_file = found.of("upscale")
    assert (of_run.parent_id, of_file.parent_id) == (made.id, None)
    assert found.video(of_run)[:3] == found.video(of_file)[:3] == (384, 256, 3)


@pytest.mark.parametrize(("source", "words"), [("rs_nothing", "there is no run 'rs_nothing'"), ("absent.mp4", "does not exist")])
def test_upscaling_what_is_not_there_fails_in_one_line(prefect_api, home, source, words):
    state, found = steps.call(upscale, [source])

    assert state.is_failed()
    assert words in state.message
    assert "queued" not in found.statuses()


def test_upscaling_an_enhance_run_says_that_it_left_no_video(prefect_api, home, clip):
    _, found = steps.call(enhance, [steps.a_request(clip)])

    state, found = steps.call(upscale, [found.runs[0].id])

    assert found.statuses() == ["completed", "failed"]
    assert "left no video to upscale" in state.message


def test_own_settings_of_a_prompt_give_one_run_each(prefect_api, home, clip):
    own = [steps.ask(only("edge", max_frames=1)), steps.ask(only("vis", max_frames=2))]

    state, found = steps.call(inference, [steps.a_request(clip, inference=own), steps.a_request(clip)])

    assert state.is_completed(), state.message
    assert [found.video(run)[2] for run in found.runs] == [1, 2, 3]
    assert found.runs[0].prompt_id == found.runs[1].prompt_id != found.runs[2].prompt_id


def test_seed_prompt_and_controls_change_the_video_and_nothing_else_does(prefect_api, home, clip):
    def ask(text, *controls, seed):
        return steps.a_request(clip, text, inference=[steps.ask(only(*controls, seed=seed))])

    night, snow = "a street at night in the rain", "a sunny street under snow"
    requests = [
        ask(night, "vis", "edge", seed=1),
        ask(night, "vis", "edge", seed=1),
        ask(night, "vis", "edge", seed=2),
        ask(snow, "vis", "edge", seed=1),
        ask(night, "depth", seed=1),
    ]

    state, found = steps.call(inference, requests)

    assert state.is_completed(), state.message
    first, same, *others = [hashlib.sha256(found.file(run, "video").read_bytes()).hexdigest() for run in found.runs]
    assert first == same
    assert len({first, *others}) == 4


def test_names_with_braces_quotes_and_newlines_are_only_names(prefect_api, home, clip):
    request = steps.a_request(clip, 'a {fast} car, 100 % "real"', name="../{fast} {0}\n'car' %s")

    state, found = steps.call(pipeline, [request])

    assert state.is_completed(), state.message
    assert all(found.file(run, "log").is_relative_to(home / "outputs") for run in found.runs)


def test_an_unknown_parameter_of_nested_settings_gets_a_suggestion():
    with pytest.raises(ValidationError, match="unknown parameter 'edge_wight'; did you mean 'edge_weight'"):
        InferenceSettings.model_validate({"preview": {"edge_wight": 0.5}})


def test_a_flow_run_with_an_unknown_parameter_ends_with_the_suggestion(prefect_api, home, clip):
    state = inference([{"text": "x", "input": str(clip), "inference": [{"preview": {"edge_wight": 0.5}}]}], return_state=True)

    assert state.is_failed()
    assert "did you mean 'edge_weight'" in state.message


def test_a_host_that_nobody_set_up_is_named(prefect_api, home, clip):
    state, _ = steps.call(enhance, [steps.a_request(clip)], host="gpu-17")

    assert state.is_failed()
    assert "there is no host 'gpu-17'" in state.message


def test_an_outputs_folder_that_cannot_be_written_fails_the_flow_before_any_run(prefect_api, home, clip):
    home.mkdir()
    (home / "outputs").write_text("a file in its place")

    state = enhance([steps.a_request(clip)], return_state=True)

    assert state.is_failed()
    assert str(home / "outputs") in state.message


@pytest.mark.parametrize("text", ["", "   ", "x" * 20_000])
def test_a_prompt_of_no_or_far_too_many_characters_fails_its_own_run(prefect_api, home, clip, text):
    state, found = steps.call(enhance, [steps.a_request(clip, text), steps.a_request(clip)])

    assert found.statuses() == ["failed", "completed"]
    assert "the prompt" in state.message


def test_the_same_prompt_may_be_asked_for_twice(prefect_api, home, clip):
    _, first = steps.call(inference, [steps.a_request(clip)])
    again = [PromptRequest(prompt_id=first.runs[0].prompt_id, inference=[steps.ask(only("edge", seed=n))]) for n in (1, 2)]

    state, found = steps.call(inference, again)

    assert state.is_completed(), state.message
    assert sorted(run.params.seed for run in found.runs if run.id != first.runs[0].id) == [1, 2]


def test_a_source_that_is_no_good_leaves_the_others_alone(prefect_api, home, clip):
    state, found = steps.call(upscale, ["rs_0000000000000000", str(clip)], settings=UpscaleSettings(preview={"factor": 2}))

    assert state.is_failed()
    assert "rs_0000000000000000" in state.message
    assert sorted(found.statuses()) == ["completed", "failed"]


def test_a_pipeline_of_upscale_alone_takes_the_named_video_and_keeps_text_and_name(prefect_api, home, tmp_path):
    clip = a_clip(tmp_path / "clip.mp4", frame_count=3, width=48, height=32)
    wanted = PromptRequest(text="a street", name="mine", inputs={"video": str(clip)})

    state, found = steps.call(pipeline, [wanted, PromptRequest(inputs={"video": str(clip)})], stages=["upscale"])

    assert state.is_completed()
    assert [found.video(run)[:3] for run in found.runs] == [(192, 128, 3)] * 2
    assert [(prompt.text, prompt.name) for prompt in map(found.prompts.get, [run.prompt_id for run in found.runs])] == [
        ("a street", "mine"),
        ("", ""),
    ]


def test_what_the_guardrail_blocked_is_not_tried_again_when_the_flow_run_is(prefect_api, home, tmp_path):
    clip = a_clip(tmp_path / "clip.mp4", frame_count=3)
    prompts = [steps.a_request(clip), steps.a_request(clip, "a gory street")]

    state, found = steps.call(inference.with_options(retries=1, retry_delay_seconds=0), prompts)

    assert state.is_failed()
    assert sorted(found.statuses()) == ["blocked", "completed"]
