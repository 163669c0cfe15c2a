"""A pipeline over families, on two servers that hold one family each."""

import pytest

from cosmos_ops.runs import RunStatus
from flows.forms import EnhanceSettings, InferenceSettings, PromptRequest
from flows.pipeline import pipeline
from tests.builders import a_clip, recorded
from tests.faults.rig import assert_clean

from . import rig

pytestmark = pytest.mark.gpu_machines


def test_enhanced_by_one_made_by_another_upscaled_by_the_first(machines, prefect_api, home, tmp_path):
    first, second = machines
    rig.make_ready(first, "gpu-a", "transfer1")
    rig.make_ready(second, "gpu-b", "cosmos3")
    clip = a_clip(tmp_path / "clip.mp4", frame_count=130, width=128, height=72)

    state = pipeline(
        [PromptRequest(text="a market street", input=str(clip))],
        family="cosmos3",
        families={"enhance": "transfer1"},
        enhance=EnhanceSettings(),
        inference=InferenceSettings.model_validate({"cosmos3": {"edge_weight": 1, "num_steps": 2}}),
        return_state=True,
    )

    found = recorded()
    assert state.is_completed(), state.message
    assert [(run.operation, run.family, run.status) for run in found.runs] == [
        ("enhance", "transfer1", RunStatus.COMPLETED),
        ("inference", "cosmos3", RunStatus.COMPLETED),
        ("upscale", "transfer1", RunStatus.COMPLETED),
    ]
    enhanced = found.prompts[found.of("enhance")[0].outputs.prompt_id]
    assert enhanced.text != "a market street"
    assert found.prompts[enhanced.parent_id].text == "a market street"
    made, enlarged = (found.video(found.of(operation)[0]) for operation in ("inference", "upscale"))
    # Longer than the upscaler takes at once: it went in two pieces and came back without losing a frame.
    assert made[2] == enlarged[2] == 130
    assert enlarged[0] > 2 * made[0]
    for machine in (first, second):
        assert_clean(machine, may_resume=False)
