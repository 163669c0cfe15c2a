"""The shared queue on this machine alone: submitted, dispatched, and every run gets its end."""

import pytest

from flows.dispatch import dispatch
from flows.forms import PromptRequest
from flows.submit import submit
from tests.builders import a_clip, recorded

pytestmark = pytest.mark.usefixtures("prefect_api", "home")


def test_a_pipeline_goes_through_the_queue(tmp_path):
    clip = a_clip(tmp_path / "clip.mp4")
    submit([PromptRequest(text="a misty street", input=str(clip)), PromptRequest(text="a canyon", input=str(clip))])

    answer = dispatch()

    assert recorded().statuses() == ["completed"] * 6
    assert [run.operation for run in recorded().runs] == ["enhance", "enhance", "inference", "inference", "upscale", "upscale"]
    assert answer == "3 batches carried out"
