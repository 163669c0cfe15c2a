"""What parameters of the GPU families need beyond scalars with a place: chosen controls, values that are left out, lists."""

from typing import Annotated, ClassVar, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from cosmos_ops.params import (
    ControlParams,
    Params,
    PerProcess,
    PerRun,
    Prepared,
    active_controls,
    process_arguments,
    process_values,
    spec_values,
)
from cosmos_ops.planning import control_signature
from tests.builders import a_run


class Region(BaseModel):
    """A part of the picture with a text of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: str
    box: tuple[float, float, float, float]


class Chosen(ControlParams):
    """Parameters of a family with chosen controls."""

    edge_weight: Annotated[float, PerRun("edge.weight", control="edge")] = Field(1.0, ge=0)
    """Weight of the contours."""
    edge_threshold: Annotated[str, PerRun("edge.preset", of="edge")] = Field("medium")
    """Strength of an edge."""
    seg_weight: Annotated[float, PerRun("seg.weight", control="seg")] = Field(0.0, ge=0)
    """Weight of the regions."""
    seg_prompt: Annotated[str, PerRun("seg.prompt", of="seg", omit="")] = Field("")
    """What to look for; empty for the prompt."""
    blur_strength: Annotated[str, Prepared()] = Field("medium")
    """How much is blurred before it is sent."""
    guidance: Annotated[float | None, PerRun("guidance")] = Field(None, ge=0)
    """Nothing for what fits the controls."""
    regions: Annotated[tuple[Region, ...], PerRun("regions")] = Field(())
    """Parts of the picture."""
    fps: Annotated[int, PerProcess("--fps", omit=0)] = Field(0, ge=0)
    """Frames per second of the output; 0 for those of the input."""
    guardrails: Annotated[bool, PerProcess("--guardrails", off="--no-guardrails")] = Field(True)
    """Whether the model looks at its text and video."""
    num_gpus: Annotated[int, PerProcess()] = Field(1, ge=1)
    """GPUs of the process."""


class SharedLoad(Chosen):
    """The same for a model that loads the same for all controls."""

    shares_controls: ClassVar[bool] = True


def test_whoever_names_a_weight_leaves_the_other_controls_out():
    assert active_controls(Chosen()) == ("edge",)
    assert active_controls(Chosen(seg_weight=0.5)) == ("seg",)
    assert active_controls(Chosen(seg_weight=0.5, edge_weight=0.2)) == ("edge", "seg")
    assert active_controls(Chosen(fps=24)) == ("edge",)


def test_stored_parameters_come_back_with_the_controls_that_they_had():
    for params in (Chosen(), Chosen(seg_weight=0.5), Chosen(edge_weight=0)):
        assert Chosen.read(params.model_dump(mode="json")) == params


def test_what_belongs_to_a_control_goes_with_it_and_what_is_empty_is_left_out():
    assert spec_values(Chosen()) == {"edge": {"weight": 1.0, "preset": "medium"}}
    assert spec_values(Chosen(seg_weight=0.5, seg_prompt="a car")) == {"seg": {"weight": 0.5, "prompt": "a car"}}
    assert spec_values(Chosen(guidance=3.0))["guidance"] == 3.0


def test_lists_of_objects_become_json_in_the_spec():
    region = {"prompt": "a red car", "box": (0.0, 0.0, 0.5, 1.0)}
    assert spec_values(Chosen(regions=(region,)))["regions"] == [{"prompt": "a red car", "box": [0.0, 0.0, 0.5, 1.0]}]


def test_prepared_values_go_neither_into_the_spec_nor_into_argv_nor_into_the_signature():
    high = Chosen(blur_strength="high")

    assert spec_values(high) == spec_values(Chosen())
    assert process_arguments(high) == process_arguments(Chosen())
    assert control_signature(a_run(high)) == control_signature(a_run(Chosen()))


def test_a_switch_with_two_flags_always_says_which():
    assert process_arguments(Chosen()) == ["--guardrails"]
    assert process_arguments(Chosen(guardrails=False, fps=30)) == ["--fps", "30", "--no-guardrails"]


def test_a_process_value_without_a_flag_is_part_of_the_signature():
    assert ("num_gpus", 4) in process_values(Chosen(num_gpus=4))
    assert control_signature(a_run(Chosen(num_gpus=4))) != control_signature(a_run(Chosen()))


def test_where_the_load_is_the_same_for_all_controls_they_are_no_part_of_the_signature():
    assert control_signature(a_run(SharedLoad(seg_weight=1))) == control_signature(a_run(SharedLoad()))
    assert control_signature(a_run(Chosen(seg_weight=1))) != control_signature(a_run(Chosen()))


def test_a_list_that_the_process_takes_once_is_hashable_in_the_signature():
    class WithRegions(Params):
        """Regions for the whole process."""

        regions: Annotated[tuple[Region, ...], PerProcess("--regions")] = Field(())
        """Parts of the picture."""

    one = WithRegions(regions=(Region(prompt="a", box=(0, 0, 1, 1)),))
    assert hash(control_signature(a_run(one))) != hash(control_signature(a_run(WithRegions())))
    assert process_arguments(one) == ["--regions", '[{"prompt": "a", "box": [0.0, 0.0, 1.0, 1.0]}]']


@pytest.mark.parametrize("values", [{"seg_weight": -1}, {"edge_weight": float("nan")}, {"regions": [{"prompt": "a"}]}])
def test_what_is_out_of_bounds_is_refused(values):
    with pytest.raises(ValueError, match="validation error"):
        Chosen(**values)


def test_a_number_is_taken_for_the_choice_of_the_same_digits():
    class Sized(Params):
        """One choice of digits."""

        resolution: Annotated[Literal["480", "720"], PerRun("resolution")] = Field("720")
        """Height class."""

    assert spec_values(Sized(resolution=480)) == {"resolution": "480"}
    with pytest.raises(ValueError, match="validation error"):
        Sized(resolution=481)
    with pytest.raises(ValueError, match="validation error"):
        Sized(resolution=480.0)
