"""A parameter is declared once, as a field of a `Params` class; everything that follows from it is derived here.

    class InferencePreview(Params):
        seed: Annotated[int, PerRun("seed")] = Field(1, ge=0, le=2**31 - 1)
        \"\"\"Seed of grain and weather; the same seed gives the same video.\"\"\"

Name, type, bounds, default, one sentence with its unit, and where it goes: `PerRun` (a key of the sample's spec) or
`PerProcess` (a flag of the process, shared by the batch, and so part of the control signature).
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError, model_validator
from pydantic.fields import FieldInfo
from typing_extensions import Self

from cosmos_ops.errors import ParamsError

Scalar = bool | int | float | str


@dataclass(frozen=True)
class PerRun:
    """The value goes into the spec of the run's sample."""

    key: str
    """Key in the spec; dots lead into nested objects: `controls.edge.weight`."""
    control: str | None = None
    """Name of the control whose weight this is; at 0 the control is left out and the signature lacks it."""


@dataclass(frozen=True)
class PerProcess:
    """The value is a flag of the model process, shared by all samples of the batch."""

    flag: str


Placement = PerRun | PerProcess


class Params(BaseModel):
    """What a caller may choose for one run: frozen, validated, stored as JSON.

    Stored rows load for ever: a field may be added with a default, and is never renamed or removed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        for position, (name, field) in enumerate(cls.model_fields.items()):
            if not field.description:
                raise TypeError(f"{cls.__name__}.{name} needs one sentence of documentation below it")
            _placement(cls, name, field)
            # Prefect's form sorts the fields of a nested model by this number.
            field.json_schema_extra = {"position": position}
        cls.model_rebuild(force=True)

    @model_validator(mode="before")
    @classmethod
    def _names_are_known(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            for name in data:
                if name not in cls.model_fields:
                    raise ValueError(unknown_name(str(name), list(cls.model_fields)))
        return data

    @classmethod
    def read(cls, data: Mapping[str, JsonValue]) -> Self:
        """Validate values from outside.

        Raises:
            ParamsError: One line that names every parameter that is wrong, and how.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise ParamsError(one_line(error)) from error


@dataclass(frozen=True)
class Parameter:
    """One declared field, as forms, flags, documents and signatures need it."""

    name: str
    field: FieldInfo
    placement: Placement


def parameters(params: Params | type[Params]) -> tuple[Parameter, ...]:
    """All parameters of a class in the order of their declaration."""
    return _declared(params if isinstance(params, type) else type(params))


@lru_cache
def _declared(cls: type[Params]) -> tuple[Parameter, ...]:
    return tuple(Parameter(name, field, _placement(cls, name, field)) for name, field in cls.model_fields.items())


def spec_values(params: Params) -> dict[str, JsonValue]:
    """The nested spec object of one sample; controls of weight 0 are left out, because listing one costs full compute."""
    spec: dict[str, JsonValue] = {}
    for parameter in parameters(params):
        place = parameter.placement
        if not isinstance(place, PerRun):
            continue
        value = _scalar(params, parameter.name)
        if place.control is not None and value == 0:
            continue
        *path, last = place.key.split(".")
        target = spec
        for step in path:
            nested = target.setdefault(step, {})
            assert isinstance(nested, dict)
            target = nested
        target[last] = value
    return spec


def process_arguments(params: Params) -> list[str]:
    """The flags of the model process: `--flag value`; a switch stands alone where it is on and is left out where it is off."""
    argv: list[str] = []
    for parameter in parameters(params):
        if isinstance(parameter.placement, PerProcess):
            value = _scalar(params, parameter.name)
            if isinstance(value, bool):
                argv += [parameter.placement.flag] if value else []
            else:
                argv += [parameter.placement.flag, str(value)]
    return argv


def active_controls(params: Params) -> tuple[str, ...]:
    """Names of the controls whose weight is above 0, in the order of their declaration."""
    return tuple(
        parameter.placement.control
        for parameter in parameters(params)
        if isinstance(parameter.placement, PerRun) and parameter.placement.control and _scalar(params, parameter.name) != 0
    )


def process_values(params: Params) -> tuple[tuple[str, Scalar], ...]:
    """Name and value of every `PerProcess` parameter: what runs must have in common to share a process."""
    return tuple((p.name, _scalar(params, p.name)) for p in parameters(params) if isinstance(p.placement, PerProcess))


def unknown_name(name: str, known: list[str]) -> str:
    """The sentence for a parameter that does not exist, with the nearest one that does."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"unknown parameter '{name}'" + (f"; did you mean '{near[0]}'?" if near else f"; there are {', '.join(known)}")


def one_line(error: ValidationError) -> str:
    """All problems of a validation in one line, each with its path."""
    problems = []
    for problem in error.errors(include_url=False, include_context=False):
        path = ".".join(str(step) for step in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        given = problem.get("input")
        shown = f", not {given!r}" if path and isinstance(given, bool | int | float | str) else ""
        problems.append(f"{path}: {message}{shown}" if path else message)
    return "; ".join(problems)


def _placement(cls: type[Params], name: str, field: FieldInfo) -> Placement:
    placements = [mark for mark in field.metadata if isinstance(mark, PerRun | PerProcess)]
    if len(placements) != 1:
        raise TypeError(f"{cls.__name__}.{name} needs exactly one of PerRun and PerProcess in its annotation")
    return placements[0]


def _scalar(params: Params, name: str) -> Scalar:
    value = getattr(params, name)
    if not isinstance(value, bool | int | float | str):
        raise TypeError(f"{type(params).__name__}.{name} is no bool, int, float or str")
    return value
