"""Six prompts: what shares a control signature shares a process, and a poisoned input costs its own run only.

- a text that calls itself a video is found before anything starts
- a video that breaks off passes every check and fails inside the process
"""

import pytest

from flows.inference import inference
from tests.builders import a_clip, left_over, only
from tests.media.videos import truncated

from . import steps

SIGNATURES = [only("edge"), only("edge", "depth"), only("edge", "depth", crf=30)]


def six_requests(folder, poisoned=None):
    clip = a_clip(folder / "clip.mp4", frame_count=4)
    requests = [
        steps.a_request(clip, f"street number {number}", name=f"street {number}", inference=[steps.ask(SIGNATURES[number % 3])])
        for number in range(1, 6)
    ]
    last = poisoned or clip
    return [*requests, steps.a_request(last, "street number 6", name="street 6", inference=[steps.ask(SIGNATURES[0])])]


@pytest.fixture
def text_as_video(tmp_path):
    path = tmp_path / "text.mp4"
    path.write_text("no video\n" * 100)
    return path


@pytest.fixture
def broken_off(tmp_path):
    return truncated(a_clip(tmp_path / "whole.mp4", frame_count=200), tmp_path / "broken off.mp4")


def test_six_prompts_with_three_control_signatures_make_three_jobs(prefect_api, home, tmp_path):
    state, found = steps.call(inference, six_requests(tmp_path))

    assert state.is_completed(), state.message
    assert len(found.runs) == 6
    jobs = [run.job_id for run in found.runs]
    assert len(set(jobs)) == 3
    assert jobs[:3] == jobs[3:]
    assert len(set(jobs[:3])) == 3


@pytest.mark.parametrize(("poison", "reason"), [("text_as_video", "is no video file"), ("broken_off", "breaks off")])
def test_a_poisoned_input_fails_its_own_run_and_the_flow_names_it(prefect_api, home, tmp_path, request, poison, reason):
    poisoned = request.getfixturevalue(poison)

    state, found = steps.call(inference, six_requests(tmp_path, poisoned))

    assert found.statuses() == ["completed"] * 5 + ["failed"]
    culprit = found.runs[5]
    assert state.is_failed()
    for words in (culprit.id, "street 6", reason, "1 of 6"):
        assert words in state.message
    assert reason in culprit.failure.message
    assert not any(run.id in state.message for run in found.runs[:5])
    assert all(found.video(run)[2] == 4 for run in found.runs[:5])
    assert left_over(home) == []
