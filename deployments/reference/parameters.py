"""The page of all parameters, from their declarations: `python -m deployments.reference parameters > docs/parameters.md`."""

from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

import annotated_types
from pydantic.fields import FieldInfo

from cosmos_ops.operations import OPERATIONS
from cosmos_ops.operations.operation import Operation
from cosmos_ops.params import Parameter, PerProcess, PerRun, Placement, parameters
from deployments import cli
from deployments.reference.tables import heads, row

INTRODUCTION = """\
# Parameters

All parameters of all operations, family by family. `python -m deployments.reference parameters > docs/parameters.md` writes this
page from their declarations in `cosmos_ops/operations/`; do not edit it.

A flow takes them as `{"<family>": {"<name>": value}}`, for example `inference={"preview": {"seed": 7}}`, a request file
([requests.md](requests.md)) in short as `inference: {seed: 7}`; what is not given stays at its default. A key goes into the
spec of the run alone. A flag goes to the model process, so runs share a process only if they agree in it. `sample` and
`process` stand for what has no single key or flag; `preparation` for what decides a file that is made on this machine.
Controls of weight 0 are left out of the spec.
"""
COLUMNS = ("name", "type", "bounds", "default", "goes to", "option of `cosmos demo`", "meaning")
TYPES: Mapping[Any, str] = {bool: "switch", int: "whole number", float: "number", str: "text"}


def parameters_page() -> str:
    """The page in Markdown."""
    return "\n".join([INTRODUCTION, *(_section(operation) for operation in OPERATIONS)])


def _section(operation: Operation[Any]) -> str:
    options = _options(operation)
    rows = [_row(parameter, options.get(parameter.name, "")) for parameter in parameters(operation.params)]
    sentence = (operation.params.__doc__ or "").strip().splitlines()[0]
    return "\n".join([f"## {operation.name}, family {operation.family}", "", sentence, "", *heads(COLUMNS), *rows, ""])


def _options(operation: Operation[Any]) -> Mapping[str, str]:
    """Name of a parameter to its option; `cosmos demo` takes those of inference."""
    if (operation.name, operation.family) != ("inference", cli.FAMILY):
        return {}
    return {str(option.name): f"`{option.opts[0]}`" for option in cli.demo.params}


def _row(parameter: Parameter, option: str) -> str:
    field = parameter.field
    return row(
        f"`{parameter.name}`",
        _type(field.annotation),
        _bounds(field),
        f"`{field.default}`",
        _place(parameter.placement),
        option,
        " ".join(str(field.description).split()),
    )


def _type(annotation: Any) -> str:
    parts = [part for part in get_args(annotation) if part is not type(None)]
    if get_origin(annotation) is Literal:
        return "choice"
    if get_origin(annotation) is tuple:
        return "list"
    return TYPES[annotation] if annotation in TYPES else f"{_type(parts[0])}, or nothing"


def _bounds(field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(field.annotation))
    above = [f"above {mark.gt}" for mark in field.metadata if isinstance(mark, annotated_types.Gt)]
    lower = [f"{mark.ge}" for mark in field.metadata if isinstance(mark, annotated_types.Ge)]
    upper = [f"{mark.le}" for mark in field.metadata if isinstance(mark, annotated_types.Le)]
    return " to ".join([*above, *lower, *upper])


def _place(placement: Placement) -> str:
    if isinstance(placement, PerRun):
        return f"key `{placement.key}`" if placement.key else "sample"
    if isinstance(placement, PerProcess):
        return f"flag `{placement.flag}`" if placement.flag else "process"
    return "preparation"
