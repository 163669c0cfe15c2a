"""`cosmos demo` as a process: from start to end on its own, and after it was killed."""

import json
import re
import signal
from pathlib import Path

import pytest

from cosmos_ops.media.probe import probe
from tests.builders import a_clip, left_over

from .command import cosmos, listed, processes_of, started

pytestmark = pytest.mark.long

FIELDS = {
    "id",
    "prompt_id",
    "parent_run_id",
    "operation",
    "family",
    "status",
    "params",
    "outputs",
    "created_at",
    "started_at",
    "ended_at",
}
FILES = {"video", "thumbnail", "contact_sheet", "spec", "log"}
NAME = '../"we\nird {0} 🎬"'


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A demo with its embedded server, over a folder of videos, piped."""
    folder = tmp_path_factory.mktemp("demo")
    home, videos = folder / "home", folder / "videos"
    videos.mkdir()
    a_clip(videos / "video.mp4")
    a_clip(videos / "segmentation.mp4")
    a_clip(videos / "depth.mp4", width=32)
    arguments = ["--input", videos, "--name", NAME, "--prompt", "a street at dusk", "--negative", "people"]
    result = cosmos(home, "demo", *arguments, "--depth-weight", "0", "--crf", "30")
    return result, home, videos


def test_it_ends_well_and_says_where_everything_is(done):
    result, home, _ = done

    assert result.returncode == 0, result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    paths = re.findall(r"(?m)^  (?:video|thumbnail|contact sheet|spec|log|prompt) +(/.*)$", result.stdout)
    assert len(paths) == 13
    assert all(Path(path).is_file() for path in paths)
    assert str(home / "outputs") in result.stdout.split("Everything is under ")[1]


def test_piped_output_is_plain(done):
    result, _, _ = done

    assert "\x1b" not in result.stdout + result.stderr
    assert "\r" not in result.stdout
    assert len(re.findall(r"(?m)^(?:enhance|inference|upscale) rs_\w+: completed in [\d.]+ s$", result.stdout)) == 3


def test_a_strange_name_stays_inside_the_outputs(done):
    _, home, videos = done

    assert {path.name for path in home.parent.iterdir()} == {"home", "videos"}
    (folder,) = [path for path in (home / "outputs").iterdir() if not path.name.startswith(".")]
    assert re.fullmatch(r"[\w.-]+", folder.name)
    assert {path.name for path in videos.iterdir()} == {"video.mp4", "segmentation.mp4", "depth.mp4"}
    assert left_over(home) == []


def test_the_list_of_runs_has_what_programs_need(done):
    _, home, _ = done

    runs = listed(home)

    assert [run["operation"] for run in runs] == ["upscale", "inference", "enhance"]
    upscale, inference, enhance = runs
    for run in runs:
        assert set(run) >= FIELDS
        assert run["status"] == "completed"
        assert run["created_at"] <= run["started_at"] <= run["ended_at"]
        assert all(Path(path).is_absolute() for name, path in run["outputs"].items() if name != "prompt_id")
    assert set(upscale["outputs"]) == set(inference["outputs"]) == FILES
    assert {"prompt", "log", "spec"} <= set(enhance["outputs"])
    assert upscale["parent_run_id"] == inference["id"]
    assert inference["params"]["crf"] == 30
    assert inference["params"]["depth_weight"] == 0
    assert Path(inference["outputs"]["video"]).is_file()


def test_the_other_names_of_a_folders_videos_are_known_and_unused_controls_are_left(done):
    _, home, videos = done

    (prompt,) = [found for found in listed(home, "prompts", "list") if found["parent_prompt_id"] is None]

    names = {"video": "video", "seg": "segmentation", "depth": "depth"}
    assert prompt["inputs"] == {role: str(videos / f"{name}.mp4") for role, name in names.items()}
    assert (prompt["name"], prompt["text"], prompt["negative_text"]) == (NAME, "a street at dusk", "people")


def test_one_prompt_is_shown_with_its_runs_and_one_run_with_its_outputs(done):
    _, home, _ = done
    (inference,) = listed(home, "runs", "list", "--operation", "inference")

    prompt = cosmos(home, "prompts", "show", inference["prompt_id"])
    run = cosmos(home, "runs", "show", inference["id"])

    assert [shown["operation"] for shown in json.loads(prompt.stdout)["runs"]] == ["upscale", "inference"]
    assert json.loads(run.stdout) == inference


def test_the_plain_list_is_one_line_per_record(done):
    _, home, _ = done

    result = cosmos(home, "prompts", "list")

    assert len(result.stdout.splitlines()) == 3
    assert result.stderr == ""


def test_nothing_goes_on_after_it_has_ended(done):
    _, home, _ = done

    assert processes_of(home) == []


@pytest.mark.usefixtures("shared_server")
@pytest.mark.parametrize("phase", ["inference rs_", "upscale rs_"])
def test_after_kill_9_the_next_demo_leaves_nothing_unfinished(home, tmp_path, phase):
    clip = a_clip(tmp_path / "clip.mp4", frame_count=60, width=128, height=80)
    arguments = ("demo", "--input", clip, "--prompt", "a street", "--smoothing-passes", "0")
    with started(home, *arguments) as process:
        for line in process.stdout:
            if line.startswith(phase):
                process.send_signal(signal.SIGKILL)
                break
        process.wait(30)
    assert process.returncode == -signal.SIGKILL

    again = cosmos(home, *arguments)

    assert again.returncode == 0, again.stdout + again.stderr
    runs = listed(home)
    assert {run["status"] for run in runs} <= {"completed", "failed"}
    assert [run["status"] for run in runs[:3]] == ["completed"] * 3
    assert all("run it again" in run["failure"]["message"] for run in runs if run["status"] == "failed")
    videos = [path for path in (home / "outputs").glob("*/*/*.mp4") if not path.name.startswith(".")]
    assert len(videos) >= 2
    assert all(probe(video).frame_count == 60 for video in videos)
    assert left_over(home) == []
    assert processes_of(home) == []
