"""A parameter is declared once: form, flag, JSON, spec or argv, and signature follow, also for one added at run time."""

from typing import Annotated, Literal

import click
import pytest
from click.testing import CliRunner
from pydantic import BaseModel, Field

from cosmos_ops.errors import ParamsError
from cosmos_ops.operations import OPERATIONS
from cosmos_ops.operations.inference_preview import InferencePreview
from cosmos_ops.params import Params, PerProcess, PerRun, active_controls, parameters, process_arguments, spec_values
from cosmos_ops.planning import control_signature
from deployments.options import given_params, params_options
from flows.forms import PromptRequest, settings_model
from tests.builders import a_run, only


class Extended(InferencePreview):
    """Parameters of preview inference and three that exist in this test only."""

    haze: Annotated[float, PerRun("weather.haze")] = Field(0.1, ge=0, le=2, title="Haze")
    """Density of the haze, per kilometre."""
    denoise_steps: Annotated[int, PerProcess("--denoise-steps")] = Field(3, ge=1, le=9)
    """Denoising passes over each frame."""
    half_precision: Annotated[bool, PerProcess("--half-precision")] = Field(False)
    """Whether to compute with 16 bits."""


def test_the_form_has_title_sentence_bounds_default_and_place():
    fields = Extended.model_json_schema()["properties"]

    known = len(InferencePreview.model_fields)
    assert fields["haze"] == {
        "title": "Haze",
        "type": "number",
        "description": "Density of the haze, per kilometre.",
        "default": 0.1,
        "minimum": 0,
        "maximum": 2,
        "position": known,
    }
    steps = fields["denoise_steps"]
    assert (steps["title"], steps["minimum"], steps["maximum"], steps["position"]) == ("Denoise Steps", 1, 9, known + 1)


def test_every_field_of_every_form_has_a_title_a_sentence_and_its_own_place():
    for model in (Extended, PromptRequest):
        fields = model.model_json_schema()["properties"].values()
        assert all(field["title"] and field["description"].endswith(".") for field in fields)
        assert [field["position"] for field in fields] == list(range(len(fields)))


def test_the_command_has_an_option_with_bounds_and_sentence():
    @click.command()
    @params_options(Extended)
    def command(**options):
        click.echo(given_params(Extended, options).model_dump_json())

    shown = " ".join(CliRunner().invoke(command, ["--help"]).output.split())
    given = CliRunner().invoke(command, ["--haze", "0.5", "--denoise-steps", "4"])

    assert "Density of the haze, per kilometre. [0 to 2; default: 0.1]" in shown
    assert Extended.model_validate_json(given.output) == Extended(haze=0.5, denoise_steps=4)
    assert isinstance(CliRunner().invoke(command, ["--haze", "3"]).exception, ParamsError)
    assert "--denoise-steps" in CliRunner().invoke(command, ["--denoise-step", "3"]).output


def test_stored_json_comes_back_and_older_json_takes_the_defaults():
    params = Extended(haze=1.5, denoise_steps=2)

    assert Extended.read(params.model_dump(mode="json")) == params
    assert Extended.read(InferencePreview().model_dump(mode="json")) == Extended()


def test_a_parameter_of_the_run_goes_into_the_spec_and_not_into_argv():
    params = Extended(haze=1.5)

    assert spec_values(params)["weather"] == {"haze": 1.5}
    assert not any("haze" in argument for argument in process_arguments(params))


def test_a_parameter_of_the_process_goes_into_argv_and_not_into_the_spec():
    params = Extended(denoise_steps=7)
    argv = process_arguments(params)

    assert argv[argv.index("--denoise-steps") + 1] == "7"
    assert "denoise_steps" not in str(spec_values(params))


def test_a_switch_stands_alone_where_it_is_on():
    assert process_arguments(Extended(half_precision=True))[-1] == "--half-precision"
    assert "--half-precision" not in process_arguments(Extended())


def test_only_a_parameter_of_the_process_changes_the_control_signature():
    def signature(**values):
        return control_signature(a_run(Extended(**values)))

    assert signature(haze=0.2, seed=5, edge_weight=0.1) == signature()
    assert signature(denoise_steps=4) != signature()
    assert signature(half_precision=True) != signature()


def test_the_set_of_controls_follows_the_weights():
    def signature(*controls):
        return control_signature(a_run(only(*controls)))

    assert active_controls(only("edge", "seg")) == signature("edge", "seg").controls == ("edge", "seg")
    assert signature("edge") != signature("edge", "seg")


def test_a_form_of_all_families_takes_a_new_card_by_itself():
    families = [known.family for known in OPERATIONS if known.name == "inference"]
    assert list(settings_model("inference").model_fields) == families
    assert len(families) == 4


def test_unknown_names_get_the_nearest_one_and_wrong_values_their_bounds():
    with pytest.raises(ParamsError, match="unknown parameter 'denoise_step'; did you mean 'denoise_steps'") as unknown:
        Extended.read({"denoise_step": 3})
    with pytest.raises(ParamsError, match=r"haze: Input should be less than or equal to 2, not 3") as beyond:
        Extended.read({"haze": 3, "denoise_steps": 0})

    assert "\n" not in str(unknown.value) + str(beyond.value)
    assert "denoise_steps" in str(beyond.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "much", None, [1]])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(ParamsError, match="haze"):
        Extended.read({"haze": value})


def test_a_field_without_a_sentence_is_refused_when_the_class_is_made():
    fields = {"__module__": __name__, "__annotations__": {"haze": Annotated[float, PerRun("haze")]}, "haze": 0.0}
    with pytest.raises(TypeError, match=r"Silent\.haze needs one sentence"):
        type(Params)("Silent", (Params,), fields)


@pytest.mark.parametrize("marks", [(), (PerRun("a"), PerProcess("--a"))])
def test_a_field_without_exactly_one_place_is_refused_when_the_class_is_made(marks):
    annotation = Annotated[(float, *marks, "note")]
    fields = {"__module__": __name__, "__annotations__": {"a": annotation}, "a": Field(0.0, description="A.")}
    with pytest.raises(TypeError, match=r"Placeless\.a needs exactly one of PerRun, PerProcess and Prepared"):
        type(Params)("Placeless", (Params,), fields)


def test_params_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Extended().haze = 1.0


def test_parameters_come_in_the_order_of_their_declaration():
    assert [found.name for found in parameters(Extended)] == list(Extended.model_fields)


def test_choices_are_choices_on_the_command_line_too():
    class Chosen(Params):
        """One choice."""

        style: Annotated[Literal["calm", "wild"], PerProcess("--style")] = Field("calm")
        """Manner."""

    @click.command()
    @params_options(Chosen)
    def command(**options):
        click.echo(given_params(Chosen, options).style)

    assert CliRunner().invoke(command, ["--style", "wild"]).output == "wild\n"
    assert CliRunner().invoke(command, ["--style", "loud"]).exit_code == 2
    assert issubclass(Chosen, BaseModel)


def test_an_unknown_name_does_not_hide_what_else_is_wrong():
    with pytest.raises(ParamsError) as error:
        Extended.read({"denoise_step": 3, "haze": 9, "seed": "many"})

    assert all(part in str(error.value) for part in ("unknown parameter 'denoise_step'", "haze: ", "seed: "))
