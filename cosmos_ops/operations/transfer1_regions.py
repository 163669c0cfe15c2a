"""Regional prompts of Cosmos-Transfer1: texts that hold for a part of the picture only."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator
from typing_extensions import Self

from cosmos_ops.operations.transfer1_params import TEXT_LENGTH_MAX, Text

CELL_PX = 8
"""Side of a cell of the latent space."""
MASK_CELLS = (160, 88)
"""Width and height of a mask in the latent space, always those of 1280x704."""

Share = Annotated[float, Field(ge=0, le=1)]


class RegionalPrompt(BaseModel):
    """A text for a part of the picture."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    prompt: Text = Field(min_length=1, max_length=TEXT_LENGTH_MAX)
    """What the region is to show."""
    box: tuple[Share, Share, Share, Share] | None = None
    """Left, top, right and bottom of the region, as shares of width and height from 0 to 1."""
    mask_prompt: Text = Field("", max_length=TEXT_LENGTH_MAX)
    """Objects of the input video that make up the region, in place of a box."""

    @model_validator(mode="after")
    def _has_one_region(self) -> Self:
        if (self.box is None) == (not self.mask_prompt):
            raise ValueError("give a region either a box or a mask_prompt")
        if self.box is not None:
            left, top, right, bottom = self.box
            width, height = MASK_CELLS
            if int(left * width) >= int(right * width) or int(top * height) >= int(bottom * height):
                raise ValueError("the box is empty; it is left, top, right, bottom, with left < right and top < bottom")
        return self

    def spec(self) -> dict[str, JsonValue]:
        """The region as the program reads it."""
        if self.box is None:
            return {"prompt": self.prompt, "mask_prompt": self.mask_prompt}
        return {"prompt": self.prompt, "region_definitions_path": list(self.box)}
