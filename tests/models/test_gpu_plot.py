"""What the GPUs did while a job ran ends as a picture on each of its runs, and in a line of the log."""

import cv2
import pytest

from flows.inference import inference
from tests.builders import a_clip, recorded
from tests.flows.steps import log_messages, task_names

from . import rig

pytestmark = pytest.mark.gpu_machines


def test_a_run_on_a_gpu_has_a_plot_and_a_summary(server, tmp_path):
    clip = a_clip(tmp_path / "clip.mp4", frame_count=25)

    state = inference(
        rig.a_batch(clip, {1: "slow:1"}, count=1), family="transfer25", settings=rig.settings("transfer25"), return_state=True
    )

    run = recorded().runs[0]
    picture = cv2.imread(str(recorded().file(run, "gpu_plot")))
    assert picture.shape[:2] == (260, 640)
    flow_run_id = state.state_details.flow_run_id
    assert any(name.startswith("compute") for name in task_names(flow_run_id))
    assert any("GPU 0: 0 % busy" in message for message in log_messages(flow_run_id))
    assert not list((recorded().results.root / ".staging").iterdir())
