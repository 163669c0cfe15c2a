"""Videos that must simply work, all in one pipeline; frames and rates are kept."""

from fractions import Fraction

import pytest

from cosmos_ops.media.probe import probe
from flows.forms import UpscaleSettings
from flows.pipeline import pipeline
from tests.builders import a_clip, left_over, only
from tests.media.videos import NTSC_FILM, stamps, turned, write_vfr_clip

from . import steps

pytestmark = pytest.mark.long


def awkward(folder):
    return {
        "portrait": a_clip(folder / "portrait.mp4", width=64, height=96),
        "odd": a_clip(folder / "odd.mp4", width=97, height=65, pix_fmt="yuv444p"),
        "film": a_clip(folder / "film.mp4", fps=NTSC_FILM),
        "variable": write_vfr_clip(folder / "variable.mkv", [0, 10, 200, 210, 900]),
        "sound": a_clip(folder / "sound.mp4", sound=True),
        "single": a_clip(folder / "single.mp4", frame_count=1),
        "deep": a_clip(folder / "deep.mp4", pix_fmt="yuv420p10le"),
        "turned": turned(a_clip(folder / "lying.mp4"), folder / "turned.mp4"),
        "fast": a_clip(folder / "fast.mp4", fps=Fraction(60)),
        "long": a_clip(folder / "long.mp4", frame_count=2000, width=32, height=32),
    }


TWICE = UpscaleSettings(preview={"factor": 2})
NAMES = ["portrait", "odd", "film", "variable", "sound", "single", "deep", "turned", "fast", "long"]


@pytest.fixture(scope="module")
def done(prefect_api, tmp_path_factory):
    folder = tmp_path_factory.mktemp("awkward")
    clips = awkward(folder)
    assert list(clips) == NAMES
    with steps.home_folder(folder / "home") as home:
        quick = [steps.ask(only("edge", smoothing_passes=0))]
        requests = [steps.a_request(clips[name], name=name, inference=quick) for name in NAMES]
        state, found = steps.call(pipeline, requests, stages=["inference", "upscale"], upscale=TWICE)
        yield state, found, clips, home


def test_all_of_them_complete(done):
    state, found, _, home = done

    assert state.is_completed(), state.message
    assert found.statuses() == ["completed"] * 2 * len(NAMES)
    assert left_over(home) == []


@pytest.mark.parametrize("name", NAMES)
def test_size_frames_and_rate_are_kept(done, name):
    _, found, clips, _ = done
    before = probe(clips[name])
    made, enlarged = (probe(found.file(run, "video")) for run in found.runs if found.prompts[run.prompt_id].name == name)

    # The encoder takes even sides only.
    width, height = before.width_px + before.width_px % 2, before.height_px + before.height_px % 2
    assert (made.width_px, made.height_px) == (width, height)
    assert (enlarged.width_px, enlarged.height_px) == (2 * width, 2 * height)
    assert made.frame_count == enlarged.frame_count == before.frame_count
    if name != "variable":
        assert made.fps == enlarged.fps == before.fps


def test_every_frame_of_a_variable_rate_keeps_its_time(done):
    _, found, _, _ = done
    runs = [run for run in found.runs if found.prompts[run.prompt_id].name == "variable"]

    for run in runs:
        assert sorted(float(stamp) for stamp in stamps(found.file(run, "video"))) == pytest.approx(
            [0, 0.01, 0.2, 0.21, 0.9], abs=2e-3
        )
