"""Parameters as options of a command: name, type, choices, bounds and sentence come from the declaration."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin

import annotated_types
import click
from pydantic.fields import FieldInfo

from cosmos_ops.params import Params, parameters

Command = TypeVar("Command", bound=Callable[..., Any])


def params_options(params: type[Params]) -> Callable[[Command], Command]:
    """Give a command one option for each parameter; one that is not given stays at its default."""

    def decorate(command: Command) -> Command:
        for parameter in reversed(list(parameters(params))):
            command = click.option(
                f"--{parameter.name.replace('_', '-')}",
                parameter.name,
                type=_type(parameter.field),
                default=None,
                help=f"{parameter.field.description} [{_bounds(parameter.field)}default: {parameter.field.default}]",
            )(command)
        return command

    return decorate


def given_params(params: type[Params], options: Mapping[str, Any]) -> Params:
    """The parameters that a command was given.

    Raises:
        ParamsError: One of them is out of its bounds.
    """
    return params.read({name: value for name, value in options.items() if name in params.model_fields and value is not None})


def _type(field: FieldInfo) -> Any:
    if get_origin(field.annotation) is Literal:
        return click.Choice([str(choice) for choice in get_args(field.annotation)])
    return field.annotation


def _bounds(field: FieldInfo) -> str:
    lower = [str(mark.ge) for mark in field.metadata if isinstance(mark, annotated_types.Ge)]
    upper = [str(mark.le) for mark in field.metadata if isinstance(mark, annotated_types.Le)]
    return f"{lower[0]} to {upper[0]}; " if lower and upper else ""
