"""Samples are checked strictly, all of them, before any work: one ERROR line for each problem, and exit code 2."""

import pytest

from .program import run, run_samples, write_samples, write_scene

ENHANCE = {"name": "a", "prompt": "a city"}


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return str(write_scene(tmp_path_factory.mktemp("videos") / "in.mp4", frame_count=1))


def inference(video, **changes):
    return {**ENHANCE, "video": video, "controls": {"vis": {"weight": 1}}, **changes}


ENHANCE_PROBLEMS = {
    "prompt: missing": {"name": "a"},
    "colour: unknown key": {**ENHANCE, "colour": 1},
    "name: must be 1 to 128": {**ENHANCE, "name": "../a"},
    "prompt: must be a text": {**ENHANCE, "prompt": 3},
    "seed: must be a whole number": {**ENHANCE, "seed": True},
    "seed: must be a whole number from 0": {**ENHANCE, "seed": -1},
    "is no valid JSON": "{not json}\n",
    "is no JSON object": "[]\n",
    "NaN is no number": '{"name": "a", "prompt": "x", "seed": NaN}\n',
    "key 'name' is there twice": '{"name": "a", "name": "b", "prompt": "x"}\n',
}


def test_each_problem_of_a_text_sample_has_its_line(tmp_path):
    result, out = run_samples(tmp_path, "enhance", *(p if isinstance(p, str) else {**p} for p in ENHANCE_PROBLEMS.values()))

    assert result.returncode == 2
    assert not out.exists()
    for number, words in enumerate(ENHANCE_PROBLEMS, start=1):
        assert any(line.startswith(f"ERROR samples.jsonl:{number}: ") and words in line for line in result.stdout.splitlines()), (
            words
        )


def test_each_problem_of_an_inference_has_its_line(tmp_path, video):
    problems = {
        "controls: must be an object with at least one": {"controls": {}},
        "blur: unknown key": {"controls": {"blur": {"weight": 1}}},
        "vis.weight: must be a number above 0": {"controls": {"vis": {"weight": 0}}},
        "vis.weight: must be a number above 0 to 1, not 1.5": {"controls": {"vis": {"weight": 1.5}}},
        "vis.weight: missing": {"controls": {"vis": {}}},
        "vis.input: no file": {"controls": {"vis": {"weight": 1, "input": "/absent.mp4"}}},
        "video: no file": {"video": "/absent.mp4"},
        "guidance: must be a number from 0 to 10": {"guidance": 11},
        "max_frames: must be a whole number": {"max_frames": 1.5},
    }
    samples = [{**inference(video), "name": f"s{i}", **changes} for i, changes in enumerate(problems.values())]
    without_video = inference(video, name="last")
    del without_video["video"]

    result, out = run_samples(tmp_path, "inference", *samples, without_video)

    assert result.returncode == 2
    assert not out.exists()
    lines = result.stdout.splitlines()
    for number, words in enumerate([*problems, "video: missing, and vis would be computed"], start=1):
        assert any(line.startswith(f"ERROR samples.jsonl:{number}: ") and words in line for line in lines), (words, lines)


def test_a_name_may_be_there_once(tmp_path):
    result, _ = run_samples(tmp_path, "enhance", ENHANCE, ENHANCE)

    assert (result.returncode, result.stdout) == (2, "ERROR samples.jsonl:2: name: 'a' is there twice\n")


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_an_empty_file_is_wrong(tmp_path, content):
    result, _ = run_samples(tmp_path, "enhance", content)

    assert result.returncode == 2


def test_a_missing_file_is_wrong(tmp_path):
    result = run("enhance", tmp_path / "absent.jsonl", tmp_path / "out")

    assert (result.returncode, result.stdout) == (2, "ERROR absent.jsonl:1: cannot be read: No such file or directory\n")


@pytest.mark.parametrize(
    "flags", [["--unknown", "1"], ["--crf", "9"], ["--smoothing-passes", "5"], ["--blur-strength", "huge"], ["--edge", "low"]]
)
def test_unknown_flags_and_values_are_wrong(tmp_path, video, flags):
    samples = write_samples(tmp_path / "samples.jsonl", inference(video))

    assert run("inference", samples, tmp_path / "out", *flags).returncode == 2
