"""All operations, by name and family. A new one is imported here and added to `OPERATIONS`; nothing else lists them."""

from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from cosmos_ops.errors import InputError
from cosmos_ops.operations.enhance_cosmos3 import ENHANCE_COSMOS3
from cosmos_ops.operations.enhance_preview import ENHANCE_PREVIEW
from cosmos_ops.operations.enhance_transfer1 import ENHANCE_TRANSFER1
from cosmos_ops.operations.inference_cosmos3 import INFERENCE_COSMOS3
from cosmos_ops.operations.inference_preview import INFERENCE_PREVIEW
from cosmos_ops.operations.inference_transfer1 import INFERENCE_TRANSFER1
from cosmos_ops.operations.inference_transfer25 import INFERENCE_TRANSFER25
from cosmos_ops.operations.operation import Operation
from cosmos_ops.operations.upscale_preview import UPSCALE_PREVIEW
from cosmos_ops.operations.upscale_transfer1 import UPSCALE_TRANSFER1
from cosmos_ops.params import Params

OPERATIONS: tuple[Operation[Any], ...] = (
    ENHANCE_PREVIEW,
    INFERENCE_PREVIEW,
    UPSCALE_PREVIEW,
    ENHANCE_COSMOS3,
    INFERENCE_COSMOS3,
    INFERENCE_TRANSFER25,
    ENHANCE_TRANSFER1,
    INFERENCE_TRANSFER1,
    UPSCALE_TRANSFER1,
)

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


def family_for(operation: str, family: str, fallbacks: Mapping[str, str]) -> str:
    """The family that does an operation for runs of a family: itself, or the one that settings name where it cannot.

    Raises:
        InputError: Neither can; the message names those that can.
    """
    able = [known.family for known in OPERATIONS if known.name == operation]
    if family not in able and fallbacks.get(operation) in able:
        return fallbacks[operation]
    find_operation(operation, family)
    return family


def read_params(name: str, family: str, data: Mapping[str, JsonValue]) -> Params:
    """Stored JSON to the parameters of an operation and family."""
    params: Params = find_operation(name, family).params.read(data)
    return params
