"""One prompt through the whole pipeline: what it leaves, what is recorded, and what Prefect shows of it."""

import base64
import json
from fractions import Fraction

import pytest

from flows.pipeline import pipeline
from tests.builders import a_clip, left_over, recorded, shape
from tests.media.videos import NTSC_FILM

from . import steps


@pytest.fixture(scope="module")
def done(prefect_api, tmp_path_factory):
    """One pipeline over one prompt: its state, what is recorded, its home folder."""
    folder = tmp_path_factory.mktemp("pipeline")
    clip = a_clip(folder / "street scene.mp4", frame_count=8, fps=NTSC_FILM)
    with steps.home_folder(folder / "home") as home:
        state, found = steps.call(
            pipeline, [steps.a_request(clip, "a street at dusk", name="misty street", negative_text="people")]
        )
        yield state, found, home


def test_all_three_runs_complete(done):
    state, found, _ = done

    assert state.is_completed(), state.message
    assert [(run.operation, run.status.value) for run in found.runs] == [
        ("enhance", "completed"),
        ("inference", "completed"),
        ("upscale", "completed"),
    ]
    assert state.result() == [run.id for run in found.runs]


def test_the_enhanced_prompt_is_a_child_of_the_original(done):
    _, found, _ = done
    enhance, inference, upscale = found.runs
    original, enhanced = found.prompts[enhance.prompt_id], found.prompts[enhance.outputs.prompt_id]

    assert original.parent_id is None
    assert enhanced.parent_id == original.id
    assert "street at dusk" in enhanced.text
    assert enhanced.text != original.text
    assert (enhanced.negative_text, enhanced.name, enhanced.inputs) == ("people", "misty street", original.inputs)
    assert found.file(enhance, "prompt").read_text().strip() == enhanced.text
    assert (inference.prompt_id, inference.parent_id) == (enhanced.id, None)
    assert (upscale.prompt_id, upscale.parent_id) == (enhanced.id, inference.id)


def test_inference_keeps_frames_rate_and_size_and_upscale_makes_it_four_times_larger(done):
    _, found, _ = done
    _, inference, upscale = found.runs

    assert found.video(inference) == (96, 64, 8, Fraction(24000, 1001))
    assert found.video(upscale) == (384, 256, 8, Fraction(24000, 1001))


@pytest.mark.parametrize("operation", ["inference", "upscale"])
def test_a_video_run_leaves_video_thumbnail_contact_sheet_spec_and_log(done, operation):
    _, found, home = done
    (run,) = found.of(operation)

    for name in ("video", "thumbnail", "contact_sheet", "spec", "log"):
        file = found.file(run, name)
        assert file.is_file(), name
        assert file.stat().st_size > 0, name
        assert file.is_relative_to(home / "outputs")
        assert run.id in str(file)
    assert found.file(run, "thumbnail").read_bytes()[:2] == b"\xff\xd8"


def test_the_spec_says_what_was_run(done):
    _, found, _ = done
    (inference,) = found.of("inference")

    spec = json.loads(found.file(inference, "spec").read_text())

    assert (spec["run"], spec["operation"], spec["job"]) == (inference.id, "inference", inference.job_id)
    assert spec["sample"]["prompt"] == found.prompts[inference.prompt_id].text
    assert "--crf" in spec["process"]["argv"]
    assert [source for source in spec["inputs"].values() if source.endswith("street scene.mp4")]


def test_the_times_of_a_run_are_in_order(done):
    _, found, _ = done

    for run in found.runs:
        assert run.created_at <= run.started_at <= run.ended_at


def test_everything_of_one_prompt_lies_in_one_folder_and_nothing_is_left_elsewhere(done):
    _, found, home = done

    assert {found.file(run, "log").parent.parent.name.rpartition("-")[0] for run in found.runs} == {"misty-street"}
    assert len({found.file(run, "log").parent.parent for run in found.runs}) == 1
    assert left_over(home) == []
    with steps.home_folder(home):
        assert recorded().statuses() == ["completed"] * 3


def test_names_of_flow_runs_and_task_runs_say_what_they_work_on(done):
    state, found, _ = done
    (inference,) = found.of("inference")
    root = str(state.state_details.flow_run_id)

    names = {flow_run.name for flow_run in steps.flow_runs(root, *(run.flow_run_id for run in found.runs)).values()}

    assert names == {f"{name}: misty street" for name in ("pipeline", "enhance", "inference", "upscale")}
    tasks = [name for name in steps.task_names(inference.flow_run_id) if "misty street" in name]
    assert sorted(name.partition(" '")[0] for name in tasks) == ["compute", "record", "regroup", "stage in", "stage out"]


@pytest.mark.parametrize("operation", ["enhance", "inference", "upscale"])
def test_the_lines_of_the_model_process_are_in_prefects_log_and_in_the_log_of_the_run(done, operation):
    _, found, _ = done
    (run,) = found.of(operation)

    in_file = found.file(run, "log").read_text().splitlines()
    in_prefect = steps.log_messages(run.flow_run_id)

    assert any(f"Sample {run.id} started" in line for line in in_file)
    assert any(f"Sample {run.id} saved" in line for line in in_file)
    assert [line for line in in_file if line not in in_prefect] == []
    assert not any("Sampling" in line for line in in_prefect)


@pytest.mark.parametrize("operation", ["enhance", "inference", "upscale"])
def test_the_progress_bar_is_full_at_the_end(done, operation):
    _, found, _ = done
    (run,) = found.of(operation)

    bars = [artifact for artifact in steps.artifacts(run.flow_run_id) if artifact.type == "progress"]

    assert [bar.data for bar in bars] == [100.0]


def test_the_results_are_a_table_of_runs_with_durations_and_paths(done):
    state, found, _ = done

    (table,) = [found.data for found in steps.artifacts(state.state_details.flow_run_id) if found.type == "markdown"]

    assert "3 of 3 runs completed" in table
    head, rows = table.partition("|---")[0], [line for line in table.splitlines() if line.startswith("| `")]
    column = [cell.strip() for cell in head.splitlines()[-1].split("|")].index("status")
    assert [row.split("|")[column].strip() for row in rows] == ["completed"] * 3
    for run in found.runs:
        assert f"`{run.id}`" in table
        assert f"{run.duration_s:.1f}" in table
    assert str(found.file(found.of("upscale")[0], "video")) in table
    assert "no neural model" in table


def test_the_pictures_are_small_jpegs(done):
    state, _, _ = done

    pictures = [found.data for found in steps.artifacts(state.state_details.flow_run_id) if found.type == "image"]

    assert len(pictures) == 2
    for url in pictures:
        head, _, data = url.partition(",")
        assert head == "data:image/jpeg;base64"
        assert base64.b64decode(data)[:2] == b"\xff\xd8"
        assert len(base64.b64decode(data)) <= 60_000


def test_the_input_is_as_it_was(done):
    _, found, _ = done

    (path,) = {prompt.inputs["video"] for prompt in found.prompts.values()}

    assert shape(path) == (96, 64, 8, NTSC_FILM)
