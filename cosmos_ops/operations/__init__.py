"""All operations, by name and family. A new one is imported here and added to `OPERATIONS`; nothing else lists them."""

from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from cosmos_ops.errors import InputError
from cosmos_ops.operations.enhance_preview import ENHANCE_PREVIEW
from cosmos_ops.operations.inference_preview import INFERENCE_PREVIEW
from cosmos_ops.operations.operation import Operation
from cosmos_ops.operations.upscale_preview import UPSCALE_PREVIEW
from cosmos_ops.params import Params

OPERATIONS: tuple[Operation[Any], ...] = (ENHANCE_PREVIEW, INFERENCE_PREVIEW, UPSCALE_PREVIEW)

FAMILIES: tuple[str, ...] = tuple(dict.fromkeys(operation.family for operation in OPERATIONS))
"""All families in the order in which forms offer them."""


def find_operation(name: str, family: str) -> Operation[Any]:
    """The operation of that name and family.

    Raises:
        InputError: The family has no such operation; the message names those that have.
    """
    for operation in OPERATIONS:
        if (operation.name, operation.family) == (name, family):
            return operation
    families = ", ".join(operation.family for operation in OPERATIONS if operation.name == name)
    raise InputError(
        f"family '{family}' has no operation '{name}'" + (f"; families that have it: {families}" if families else "")
    )


def read_params(name: str, family: str, data: Mapping[str, JsonValue]) -> Params:
    """Stored JSON to the parameters of an operation and family."""
    params: Params = find_operation(name, family).params.read(data)
    return params
