"""Request files: what they may say in short, and that all that is wrong is told at once, each with its path."""

import json
from pathlib import Path

import pytest

from cosmos_ops.errors import InputError
from cosmos_ops.operations.inference_preview import InferencePreview
from flows.asked import ask
from flows.request_files import read_requests
from tests.builders import a_clip, opened_store

YAML = """
family: cosmos3
stages: [inference]
inference: {edge_weight: 1, seed: 5}
prompts:
  - text: a street
    input: street
    inputs: {depth: more/depth.mp4}
"""


def written(folder, text, name="request.yaml"):
    path = folder / name
    path.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")
    return path


def the_request(folder, text, name="request.yaml"):
    (request,) = read_requests(written(folder, text, name))
    return request


def the_problem(folder, text, name="request.yaml"):
    path = written(folder, text, name)
    with pytest.raises(InputError) as raised:
        read_requests(path)
    message = str(raised.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message.removeprefix(str(path)).lstrip(": ")


def asked(path):
    with opened_store() as store:
        return ask(read_requests(path), store)


def test_yaml_and_json_of_the_same_request_are_the_same(tmp_path):
    as_json = {
        "family": "cosmos3",
        "stages": ["inference"],
        "inference": {"edge_weight": 1, "seed": 5},
        "prompts": [{"text": "a street", "input": "street", "inputs": {"depth": "more/depth.mp4"}}],
    }

    assert the_request(tmp_path, YAML) == the_request(tmp_path, as_json, "request.json")


def test_paths_are_relative_to_the_file_and_absolute_ones_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(Path(__file__).parent)
    (prompt,) = the_request(tmp_path, YAML).prompts
    (other,) = the_request(tmp_path, {"text": "a", "inputs": {"edge": "/videos/edge.mp4"}}, "a.json").prompts

    assert prompt.input == str(tmp_path / "street")
    assert prompt.inputs == {"depth": str(tmp_path / "more" / "depth.mp4")}
    assert other.inputs == {"edge": "/videos/edge.mp4"}


@pytest.mark.parametrize(("given", "kept"), [("none", "none"), ("", "")])
def test_no_input_and_the_built_in_one_are_no_paths(tmp_path, given, kept):
    assert the_request(tmp_path, {"text": "a", "input": given}).prompts[0].input == kept


def test_a_single_prompt_needs_no_list(tmp_path):
    request = the_request(tmp_path, "text: a street\nname: s\nnegative_text: fog\ninput: none\n")

    (prompt,) = request.prompts
    assert (prompt.text, prompt.name, prompt.negative_text, prompt.input) == ("a street", "s", "fog", "none")


def test_parameters_without_a_family_belong_to_that_of_their_stage(tmp_path):
    request = the_request(
        tmp_path,
        {
            "family": "transfer25",
            "families": {"upscale": "preview"},
            "inference": {"guidance": 4},
            "enhance": {"control": "edge"},
            "upscale": {"factor": 2},
            "prompts": [{"text": "a", "inference": {"seed": 9}}],
        },
    )

    assert request.inference.transfer25.guidance == 4
    assert request.prompts[0].inference[0].transfer25.seed == 9
    # transfer25 enhances nothing; the family that settings name for it does.
    assert request.enhance.transfer1.control == "edge"
    assert request.upscale.preview.factor == 2


def test_settings_decide_which_family_stands_in(tmp_path, monkeypatch):
    monkeypatch.setenv("COSMOS_FALLBACK_FAMILIES", '{"upscale": "preview"}')

    assert the_request(tmp_path, {"family": "cosmos3", "upscale": {"factor": 3}, "text": "a"}).upscale.preview.factor == 3


def test_parameters_of_several_families_can_stand_side_by_side(tmp_path):
    settings = {"preview": {"seed": 3}, "cosmos3": {"seed": 4}}
    request = the_request(tmp_path, {"inference": settings, "text": "a"})

    assert (request.inference.preview.seed, request.inference.cosmos3.seed) == (3, 4)
    assert request.inference.transfer1.seed == 1


def test_a_file_may_hold_many_requests(tmp_path):
    line = '{"text": "a street", "input": "none"}\n'

    assert len(read_requests(written(tmp_path, f"{line}\n{line}", "many.jsonl"))) == 2
    assert len(read_requests(written(tmp_path, [{"text": "a"}, {"text": "b"}, {"text": "c"}], "many.json"))) == 3
    assert len(read_requests(written(tmp_path, "- text: a\n- text: b\n"))) == 2


def test_words_of_yaml_1_1_stay_words(tmp_path):
    (prompt,) = the_request(tmp_path, "text: no\nname: off\nnegative_text: yes\n").prompts

    assert (prompt.text, prompt.name, prompt.negative_text) == ("no", "off", "yes")


def test_a_mark_of_byte_order_and_unicode_are_read(tmp_path):
    path = tmp_path / "request.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps({"text": "Straße 🌧"}, ensure_ascii=False).encode())

    assert read_requests(path)[0].prompts[0].text == "Straße 🌧"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.yaml", "text: a\ntext: b\n", "duplicate key"),
        ("a.json", '{"text": "a", "text": "b"}', "the key 'text' is there twice"),
        ("a.jsonl", '{"text": "a"}\n{"inference": {"seed": 1, "seed": 2}}\n', "the key 'seed' is there twice"),
        ("a.json", "{'text': 1}", "is no JSON"),
        ("a.yaml", "text: [a\n", "is no YAML"),
        ("a.yaml", "!!python/object/apply:os.system [ls]\n", "is no YAML"),
        ("a.yaml", "just words\n", "a request is an object with `prompts`, not str"),
        ("a.yaml", "", "a request is an object"),
        ("a.json", "[]", "there is no request in it"),
        ("a.jsonl", "\n\n", "there is no request in it"),
    ],
)
def test_what_is_no_request_is_said(tmp_path, name, text, words):
    assert words in the_problem(tmp_path, text, name)


def test_what_is_no_text_or_not_there_is_said(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"text: \xff\xfe\n")

    for path in (tmp_path / "a.yaml", tmp_path / "absent.yaml"):
        with pytest.raises(InputError, match="cannot be read"):
            read_requests(path)


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        ({"promts": [{"text": "a"}]}, "promts: there is no such key; did you mean prompts?"),
        ({"text": "a", "famly": "preview"}, "famly: there is no such key; did you mean family?"),
        (
            {"text": "a", "family": "cosmos4"},
            "family: Input should be 'preview', 'cosmos3', 'transfer25' or 'transfer1', not 'cosmos4'",
        ),
        ({"text": "a", "families": {"upscale": "x"}}, "families.upscale: Input should be 'preview'"),
        (
            {"text": "a", "stages": ["inferense"]},
            "stages[0]: Input should be 'enhance', 'inference' or 'upscale', not 'inferense'",
        ),
        ({"text": "a", "stages": []}, "stages: List should have at least 1 item"),
        ({"prompts": []}, "prompts: List should have at least 1 item"),
        ({"family": "preview"}, "prompts: Field required"),
        ({"prompts": [{"text": "a", "txt": "b"}]}, "prompts[0].txt: there is no such key; did you mean text?"),
        ({"text": "a", "inference": {"sed": 1}}, "inference.preview: unknown parameter 'sed'; did you mean 'seed'?"),
        ({"text": "a", "inference": {"seed": -1}}, "inference.preview.seed: Input should be greater than or equal to 0, not -1"),
        ({"text": "a", "inference": {"seed": "much"}}, "inference.preview.seed: Input should be a valid integer"),
        ({"text": "a", "inference": {"seed": 1.5}}, "inference.preview.seed: Input should be a valid integer"),
        ({"text": "a", "inference": {"guidance": float("nan")}}, "inference.preview.guidance: Input should be a finite number"),
        ({"text": "a", "inference": {"guidance": float("inf")}}, "inference.preview.guidance: Input should be a finite number"),
        (
            {"text": "a", "upscale": {"transfer25": {"seed": 1}}},
            "upscale.transfer25: no such family, or it has no upscale; families that have it: preview",
        ),
        ({"text": "a", "family": "cosmos3", "inference": {"preview": {}, "seed": 1}}, "unknown parameter 'preview'"),
        ({"text": "a", "sweep": {"seed": 1}}, "sweep.seed: Input should be a valid list, not 1"),
        ({"text": "a", "inputs": ["edge.mp4"]}, "prompts[0].inputs: Input should be a valid dictionary"),
    ],
)
def test_a_problem_has_its_path_and_what_would_do(tmp_path, request_, problem):
    assert problem in the_problem(tmp_path, request_, "request.json")


def test_all_problems_of_all_requests_come_in_one_line(tmp_path):
    first = {
        "prompts": [{"text": 1}, {"text": "b", "inference": {"crf": 99}}],
        "stages": ["x"],
        "inference": {"seed": -1, "crf": 1},
    }
    problem = the_problem(tmp_path, [first, {"text": "fine"}, {"tex": "a"}], "many.json")

    for path in (
        "prompts[0].text",
        "prompts[1].inference[0].preview.crf",
        "stages[0]",
        "inference.preview.seed",
        "inference.preview.crf",
    ):
        assert f"request 1: {path}: " in problem
    assert "request 3: tex: there is no such key" in problem
    assert "request 2" not in problem


def test_what_the_inputs_make_wrong_is_found_for_every_prompt(home, tmp_path):
    a_clip(tmp_path / "in.mp4")
    (tmp_path / "map.pt").write_bytes(b"x")
    prompts = [
        {"text": "fine", "input": "in.mp4"},
        {"text": " ", "input": "in.mp4"},
        {"text": "a", "input": "absent.mp4"},
        {"text": "a", "inputs": {"edg": "in.mp4"}},
        {"text": "a", "inputs": {"video": "in.mp4", "edge": "map.pt"}},
        {"text": "a", "inputs": {"depth": "absent.mp4"}},
        {"prompt_id": "ps_absent"},
    ]
    answer = asked(written(tmp_path, {"stages": ["inference"], "prompts": prompts}, "a.json"))

    expected = [
        "prompts[1]: the prompt is empty",
        f"prompts[2]: inference by preview: {tmp_path / 'absent.mp4'} does not exist",
        "prompts[3]: inputs.edg: there is no such role; did you mean edge?",
        f"prompts[4]: inputs.edge: {tmp_path / 'map.pt'} may hold code that runs when it is read",
        f"prompts[5]: inputs.depth: there is no file {tmp_path / 'absent.mp4'}",
        "prompts[6]: there is no prompt 'ps_absent'",
    ]
    assert len(answer.problems) == len(expected)
    for problem, words in zip(answer.problems, expected, strict=True):
        assert problem.startswith(words)
    assert [one.path for one in answer.asked] == ["prompts[0]"]


def test_every_problem_of_one_prompt_is_told(home, tmp_path):
    a_clip(tmp_path / "in.mp4")
    request = {"family": "transfer1", "inference": {"num_gpus": 3, "hdmap_weight": 1}, "text": "a", "input": "in.mp4"}
    first, second = asked(written(tmp_path, {**request, "stages": ["inference"]}, "a.json")).problems

    assert first.startswith("prompts[0]: inference by transfer1: num_gpus: 3 GPUs cannot share")
    assert second.startswith("prompts[0]: inference by transfer1: hdmap_weight: there is no hdmap video")


def test_each_prompt_is_asked_with_its_own_settings_and_with_every_variant(home, tmp_path):
    a_clip(tmp_path / "in.mp4")
    text = """
    stages: [inference]
    inference: {guidance: 2}
    sweep: {seed: [1, 2]}
    zipped: {grain: [0, 1], crf: [20, 30]}
    prompts:
      - {text: a, input: in.mp4}
      - {text: b, input: in.mp4, inference: [{guidance: 3}, {guidance: 4}]}
    """
    params = [(one.path, one.run.params) for one in asked(written(tmp_path, text)).asked]

    assert [path for path, _ in params] == ["prompts[0]"] * 4 + ["prompts[1]"] * 8
    assert {(one.guidance, one.seed, one.grain, one.crf) for path, one in params if path == "prompts[0]"} == {
        (2, seed, grain, crf) for seed in (1, 2) for grain, crf in ((0, 20), (1, 30))
    }
    assert {one.guidance for path, one in params if path == "prompts[1]"} == {3, 4}
    assert all(isinstance(one, InferencePreview) for _, one in params)


def test_a_sweep_names_parameters_of_the_family_only(home, tmp_path):
    a_clip(tmp_path / "in.mp4")
    request = {"stages": ["inference"], "text": "a", "input": "in.mp4", "sweep": {"control_guidance": [1, 2]}}
    problems = asked(written(tmp_path, request, "a.json")).problems

    assert problems == ("prompts[0]: inference by preview: unknown parameter 'control_guidance'; did you mean 'guidance'?",)


def test_later_stages_say_what_stands_in_for_what_is_not_made_yet(home, tmp_path):
    a_clip(tmp_path / "in.mp4")
    found = asked(written(tmp_path, {"text": "a", "input": "in.mp4"}, "a.json")).asked

    assert [(one.run.operation, one.stands_in) for one in found] == [
        ("enhance", ""),
        ("inference", "the original text stands in for the enhanced one"),
        ("upscale", "the input video stands in for the output of inference"),
    ]


def test_a_family_that_cannot_do_a_stage_is_named_with_those_that_can(home, tmp_path, monkeypatch):
    monkeypatch.setenv("COSMOS_FALLBACK_FAMILIES", "{}")
    answer = asked(written(tmp_path, {"text": "a", "family": "transfer25", "stages": ["upscale"]}, "a.json"))

    assert answer.problems == ("family 'transfer25' has no operation 'upscale'; families that have it: preview, transfer1",)
    assert answer.asked == ()


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "request.json"
    with path.open("wb") as file:
        file.truncate(50_000_001)

    with pytest.raises(InputError, match="50,000,001 bytes; a request file has at most 50,000,000"):
        read_requests(path)


def test_an_unknown_key_does_not_hide_what_else_is_wrong(tmp_path):
    said = the_problem(tmp_path, {"text": "a", "famly": "cosmos3", "inference": {"seed": -1}}, "request.json")

    assert "famly: there is no such key; did you mean family" in said
    assert "inference.preview.seed: " in said


def test_a_bad_line_of_jsonl_is_named_by_its_number(tmp_path):
    path = tmp_path / "requests.jsonl"
    path.write_text('{"text": "a"}\n\n{"text": }\n')

    with pytest.raises(InputError, match="line 3"):
        read_requests(path)


def test_a_wrong_value_does_not_hide_a_missing_file(home, tmp_path):
    said = the_problem(
        tmp_path, {"text": "a", "input": "nowhere.mp4", "inputs": {"edg": "x"}, "inference": {"seed": -1}}, "a.json"
    )

    assert "inference.preview.seed: " in said
    assert "prompts[0]: inputs.edg: there is no such role" in said


def test_an_address_is_said_to_be_none(home, tmp_path):
    (problem,) = asked(written(tmp_path, {"text": "a", "input": "https://example.com/a.mp4"}, "a.json")).problems

    assert problem == "prompts[0]: https://example.com/a.mp4 is an address; download the file, and name it here"


def test_a_video_that_is_yet_to_be_made_is_no_problem_of_upscale(home, tmp_path):
    request = {"family": "cosmos3", "stages": ["inference", "upscale"], "text": "a", "input": "none"}
    found = asked(written(tmp_path, {**request, "inference": {"mode": "text2video"}}, "a.json"))

    assert found.problems == ()
    assert [one.run.operation for one in found.asked] == ["inference"]


def test_a_sweep_without_inference_is_said_to_do_nothing(home, tmp_path):
    found = asked(written(tmp_path, {"stages": ["enhance"], "text": "a", "sweep": {"seed": [1]}}, "a.json"))

    assert found.problems == ("sweep: it changes parameters of inference, which is not among the stages",)
