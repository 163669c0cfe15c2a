"""What a caller asks for: the models from which Prefect makes its forms, and which the API and the command line take."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, create_model

from cosmos_ops.operations import FAMILIES, OPERATIONS, find_operation
from cosmos_ops.params import Params

Stage = Literal["enhance", "inference", "upscale"]
STAGES: tuple[Stage, ...] = ("enhance", "inference", "upscale")

NO_INPUT = "none"
DEMO_TEXT = "A drive through a city at golden hour, long shadows, light mist between the towers"


class StageSettings(BaseModel):
    """The parameters of one operation, one card for each family that offers it; the chosen family's card counts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def params(self, operation: str, family: str) -> Params:
        """The parameters of a family.

        Raises:
            InputError: The family has no such operation.
        """
        find_operation(operation, family)
        params: Params = getattr(self, family)
        return params


def settings_model(operation: str) -> type[StageSettings]:
    """The settings of an operation; a family added to `cosmos_ops.operations` has its card here at once."""
    cards: dict[str, Any] = {
        known.family: (
            known.params,
            Field(default=known.params(), title=known.family, description=f"Settings of {operation} by family {known.family}."),
        )
        for known in OPERATIONS
        if known.name == operation
    }
    return create_model(f"{operation.capitalize()}Settings", __base__=StageSettings, **cards)


if TYPE_CHECKING:
    Family = str

    class EnhanceSettings(StageSettings): ...  # noqa: D101

    class InferenceSettings(StageSettings): ...  # noqa: D101

    class UpscaleSettings(StageSettings): ...  # noqa: D101

else:
    # Prefect's form makes a choice of `enum`; a Literal of one value would be a constant that nobody can change.
    Family = Annotated[Literal[FAMILIES], WithJsonSchema({"type": "string", "enum": list(FAMILIES)})]
    EnhanceSettings = settings_model("enhance")
    InferenceSettings = settings_model("inference")
    UpscaleSettings = settings_model("upscale")


def _at(position: int) -> dict[str, Any]:
    # Prefect's form sorts the fields of a nested model by this number.
    return {"position": position}


class PromptRequest(BaseModel):
    """One prompt: a text with its input videos, or one that is recorded already."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str = Field("", title="Text", description="What the video is to show.", json_schema_extra=_at(0))
    input: str = Field(
        "",
        title="Input",
        description="A video, or a folder with color.mp4 and control videos (edge, depth, seg, vis); `none` for no input; "
        "empty: the built-in city.",
        json_schema_extra=_at(1),
    )
    inputs: dict[str, str] = Field(
        {},
        title="Files by role",
        description="Single files by role, such as edge, depth or image; each takes the place of that in the folder.",
        json_schema_extra=_at(2),
    )
    negative_text: str = Field("", title="Negative text", description="What the video must not show.", json_schema_extra=_at(3))
    name: str = Field(
        "", title="Name", description="What to call it; empty for the first words of the text.", json_schema_extra=_at(4)
    )
    prompt_id: str = Field(
        "",
        title="Prompt id",
        description="A recorded prompt (ps_...) to use instead of the fields above.",
        json_schema_extra=_at(5),
    )
    inference: Annotated[
        list[InferenceSettings],
        Field(
            title="Own inference settings",
            description="Settings of this prompt alone; several give one run each; none: those of the whole request.",
            json_schema_extra=_at(6),
        ),
    ] = []


Values = list[bool | int | float | str]
Sweep = dict[str, Values]
"""Name of an inference parameter to the values that it takes in turn."""

DEMO_PROMPTS = [PromptRequest(text=DEMO_TEXT)]
