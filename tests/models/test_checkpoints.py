"""A run whose model files are missing is refused before its container starts, with the command that mends it."""

import shutil

import pytest

from flows.inference import inference
from tests.builders import a_clip, recorded

from . import rig

pytestmark = pytest.mark.gpu_machines


@pytest.mark.parametrize("family", rig.FAMILIES)
def test_missing_model_files_are_said_with_the_command_that_brings_them(family, server, tmp_path):
    models = server.workspace / "cosmos" / "models"
    shutil.rmtree(models / ("transfer1" if family == "transfer1" else "hf"))
    clip = a_clip(tmp_path / "clip.mp4", frame_count=25)

    inference(rig.a_batch(clip, {}, count=1), family=family, settings=rig.settings(family), return_state=True)

    run = recorded().runs[0]
    assert (run.status.value, run.failure.kind) == ("failed", "CheckpointMissingError")
    assert f"cosmos checkpoints download --host gpu-a --family {family}" in run.failure.message
    assert not rig.starts(server)
