"""Input that cannot be used: one clear line, exit code 2, and nothing left that waits or runs."""

import pytest

from tests.builders import a_clip, recorded
from tests.media.videos import write_sound_only

from .command import cosmos

TEXT = ("--prompt", "a street")


@pytest.fixture
def clip(tmp_path):
    return a_clip(tmp_path / "clip.mp4")


def missing(folder):
    return folder / "absent.mp4"


def empty(folder):
    (folder / "empty.mp4").touch()
    return folder / "empty.mp4"


def renamed(folder):
    (folder / "text.mp4").write_text("no video\n" * 50)
    return folder / "text.mp4"


def sound(folder):
    return write_sound_only(folder / "sound.mp4")


def no_video(folder):
    (folder / "folder").mkdir()
    (folder / "folder" / "notes.txt").write_text("x")
    return folder / "folder"


def the_error(done):
    """The one line of an error, checked for what every one of them has."""
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert not any(run.status.value in ("queued", "running") for run in recorded().runs)
    return line


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (missing, "does not exist"),
        (empty, "is empty"),
        (renamed, "is no video file"),
        (sound, "holds only sound"),
        (no_video, "holds no video; it needs one of color.mp4"),
    ],
)
def test_an_input_that_is_no_video_is_named(home, tmp_path, make, words):
    path = make(tmp_path)

    error = the_error(cosmos(home, "demo", "--input", path, *TEXT))

    assert words in error
    assert str(path) in error


@pytest.mark.parametrize("path", ["~nobody-of-this-name/in.mp4", "x" * 300 + ".mp4"])
def test_a_path_that_no_system_takes_is_named(home, path):
    assert path in the_error(cosmos(home, "demo", "--input", path, *TEXT))


def test_a_video_too_small_for_any_control_is_refused(home, tmp_path):
    clip = a_clip(tmp_path / "tiny.mp4", width=2, height=2)

    assert "at least 16 pixels" in the_error(cosmos(home, "demo", "--input", clip, *TEXT))


@pytest.mark.parametrize(("values", "words"), [({"width": 64}, "is 64x64, but"), ({"frame_count": 9}, "has 9 frames, but")])
def test_a_control_video_of_another_size_or_length_is_named_with_the_input(home, tmp_path, values, words):
    folder = tmp_path / "videos"
    folder.mkdir()
    color, edge = a_clip(folder / "color.mp4"), a_clip(folder / "edge.mp4", **values)

    error = the_error(cosmos(home, "demo", "--input", folder, *TEXT))

    assert words in error
    assert str(color) in error
    assert str(edge) in error


def test_a_control_of_weight_0_is_not_looked_at(home, tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    a_clip(folder / "color.mp4")
    a_clip(folder / "edge.mp4", width=64)

    error = the_error(cosmos(home, "demo", "--input", folder, "--edge-weight", "0", "--prompt", ""))

    assert "edge.mp4" not in error


def test_a_weight_beyond_1_is_told_with_its_bound(home, clip):
    error = the_error(cosmos(home, "demo", "--input", clip, *TEXT, "--edge-weight", "1.5"))

    assert "edge_weight" in error
    assert "less than or equal to 1" in error
    assert "1.5" in error


def test_weights_of_0_only_are_refused(home, clip):
    zeros = [part for name in ("vis", "edge", "depth", "seg") for part in (f"--{name}-weight", "0")]

    error = the_error(cosmos(home, "demo", "--input", clip, *TEXT, *zeros))

    assert "all control weights are 0" in error


@pytest.mark.parametrize(
    ("text", "words"), [("", "the prompt is empty"), (" \n", "the prompt is empty"), ("x" * 20_000, "20,000")]
)
def test_a_prompt_of_no_or_too_many_characters_is_refused(home, clip, text, words):
    assert words in the_error(cosmos(home, "demo", "--input", clip, "--prompt", text))


def test_an_unknown_option_gets_the_nearest_one_suggested(home, clip):
    error = the_error(cosmos(home, "demo", "--input", clip, "--edge-wight", "0.5"))

    assert "No such option" in error
    assert "--edge-weight" in error


def test_a_value_that_is_no_choice_is_told_with_the_choices(home, clip):
    done = cosmos(home, "demo", "--input", clip, "--blur-strength", "huge")

    assert done.returncode == 2
    assert "very_low" in done.stderr


def test_an_outputs_folder_that_cannot_be_written_is_named(home, clip):
    home.mkdir()
    (home / "outputs").write_text("a file in its place")

    error = the_error(cosmos(home, "demo", "--input", clip, *TEXT))

    assert str(home / "outputs") in error
    assert "cannot be written" in error


@pytest.mark.parametrize("blocked", ["home", "COSMOS_OUTPUTS"])
def test_folders_below_a_file_cannot_be_written_either(home, clip, tmp_path, blocked):
    (tmp_path / "file").write_text("")
    below = str(tmp_path / "file" / "below")
    values = {"COSMOS_OUTPUTS": below} if blocked != "home" else {}

    done = cosmos(home if values else below, "demo", "--input", clip, *TEXT, **values)

    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("runs", "show", "rs_nothing"), "there is no run 'rs_nothing'"),
        (("prompts", "show", "ps_nothing"), "there is no prompt 'ps_nothing'"),
    ],
)
def test_a_record_that_is_not_there_is_named(home, arguments, words):
    assert words in the_error(cosmos(home, *arguments))
