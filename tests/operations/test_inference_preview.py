"""Preview inference: what its parameters become."""

from cosmos_ops.operations.inference_preview import InferencePreview
from cosmos_ops.params import process_arguments, spec_values


def test_a_control_of_weight_0_is_left_out_of_the_spec():
    spec = spec_values(InferencePreview(vis_weight=0, edge_weight=0.25))

    assert "vis" not in spec["controls"]
    assert spec["controls"]["edge"] == {"weight": 0.25}


def test_flags_of_the_process_stand_apart_from_the_spec():
    params = InferencePreview(blur_strength="high")

    assert "--blur-strength high" in " ".join(process_arguments(params))
    assert "blur_strength" not in spec_values(params)


def test_grain_belongs_to_the_sample():
    assert spec_values(InferencePreview(grain=0))["grain"] == 0
    assert not any("grain" in argument for argument in process_arguments(InferencePreview(grain=2)))
