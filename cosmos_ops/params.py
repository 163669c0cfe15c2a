"""A parameter is declared once, as a field of a `Params` class; everything that follows from it is derived here.

    class InferencePreview(Params):
        seed: Annotated[int, PerRun("seed")] = Field(1, ge=0, le=2**31 - 1)
        \"\"\"Seed of grain and weather; the same seed gives the same video.\"\"\"

Name, type, bounds, default, one sentence with its unit, and where it goes: `PerRun` (a key of the sample's spec) or
`PerProcess` (a flag of the process, shared by the batch, and so part of the control signature). `Prepared` values are used
on this machine and go nowhere.
"""

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    JsonValue,
    ModelWrapValidatorHandler,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError
from typing_extensions import Self

from cosmos_ops.errors import ParamsError

Scalar = bool | int | float | str
SHOWN_LENGTH_MAX = 200
"""Of a value in a message."""


@dataclass(frozen=True)
class PerRun:
    """The value goes into the spec of the run's sample."""

    key: str
    """Key in the spec; dots lead into nested objects: `controls.edge.weight`. Empty: the family's module writes it."""
    control: str | None = None
    """Name of the control whose weight this is; at 0 the control is left out and the signature lacks it."""
    of: str | None = None
    """Name of the control that this belongs to; left out with it."""
    omit: Scalar | None = None
    """The value at which the key is left out; None and empty lists are always left out."""


@dataclass(frozen=True)
class PerProcess:
    """The value belongs to the model process, shared by all samples of the batch."""

    flag: str = ""
    """Flag on the command line. Empty: the family's module writes it."""
    off: str = ""
    """Of a switch: the flag that says off; without one, a switch that is off is left out."""
    omit: Scalar | None = None
    """The value at which the flag is left out; None and empty lists are always left out."""


@dataclass(frozen=True)
class Prepared:
    """The value is used on this machine, before anything is sent: it decides what a file is, which then differs by itself."""


Placement = PerRun | PerProcess | Prepared

_JSON: TypeAdapter[Any] = TypeAdapter(Any)
_SCALARS = get_args(Scalar)


class Params(BaseModel):
    """What a caller may choose for one run: frozen, validated, stored as JSON.

    Stored rows load for ever: a field may be added with a default, and is never renamed or removed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    shares_controls: ClassVar[bool] = False
    """Whether runs with different controls may share a process, because the model loads the same for all."""

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

    @model_validator(mode="wrap")
    @classmethod
    def _with_hints(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        fields = cls.model_fields
        if isinstance(data, Mapping):
            data = {name: _as_meant(value, fields[name]) if name in fields else value for name, value in data.items()}
        try:
            return handler(data)
        except ValidationError as error:
            raise ValidationError.from_exception_data(
                error.title, [_with_hint(problem, list(fields)) for problem in error.errors(include_url=False)]
            ) from None

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


class ControlParams(Params):
    """Params of a family in which a request chooses its controls: whoever names the weight of one leaves out the others."""

    @model_validator(mode="before")
    @classmethod
    def _named_controls_only(cls, data: Any) -> Any:
        weights = _weights(cls)
        if isinstance(data, Mapping) and any(name in data for name in weights):
            return {**dict.fromkeys(weights, 0.0), **data}
        return data


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
    active = active_controls(params)
    for parameter in parameters(params):
        place, value = parameter.placement, _value(params, parameter.name)
        if not isinstance(place, PerRun) or not place.key or _is_left_out(place, value):
            continue
        control = place.control or place.of
        if control is not None and control not in active:
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
    """The flags of the model process: `--flag value`; a switch stands alone, where it is off by its own flag or not at all."""
    argv: list[str] = []
    for parameter in parameters(params):
        place, value = parameter.placement, _value(params, parameter.name)
        if not isinstance(place, PerProcess) or not place.flag or _is_left_out(place, value):
            continue
        if isinstance(value, bool):
            argv += [place.flag] if value else [place.off] * bool(place.off)
        else:
            argv += [place.flag, value if isinstance(value, str) else json.dumps(value)]
    return argv


def active_controls(params: Params) -> tuple[str, ...]:
    """Names of the controls whose weight is above 0, in the order of their declaration."""
    return tuple(control for name, control in _weights(type(params)).items() if getattr(params, name) != 0)


def process_values(params: Params) -> tuple[tuple[str, Scalar | None], ...]:
    """Name and value of every `PerProcess` parameter: what runs must have in common to share a process."""
    return tuple((p.name, _hashable(_value(params, p.name))) for p in parameters(params) if isinstance(p.placement, PerProcess))


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
        shown = f", not {_shortened(repr(given))}" if path and isinstance(given, bool | int | float | str) else ""
        problems.append(f"{path}: {message}{shown}" if path else message)
    return "; ".join(problems)


def _shortened(text: str) -> str:
    return text if len(text) <= SHOWN_LENGTH_MAX else f"{text[:SHOWN_LENGTH_MAX]}..."


def _with_hint(problem: ErrorDetails, known: list[str]) -> InitErrorDetails:
    """The same problem; of a parameter that does not exist with the nearest one that does."""
    kind: str | PydanticCustomError = problem["type"]
    path = problem["loc"]
    if kind == "extra_forbidden" and len(path) == 1:
        kind, path = PydanticCustomError("unknown_parameter", "{sentence}", {"sentence": unknown_name(str(path[0]), known)}), ()
    return InitErrorDetails(type=kind, loc=path, input=problem["input"], ctx=problem.get("ctx", {}))


def _as_meant(value: Any, field: FieldInfo) -> Any:
    """A whole number where a text of digits is among the choices: YAML makes one of `720`. Texts as every file can hold them."""
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    if get_origin(field.annotation) is Literal and type(value) is int and str(value) in get_args(field.annotation):
        return str(value)
    return value


def _placement(cls: type[Params], name: str, field: FieldInfo) -> Placement:
    placements = [mark for mark in field.metadata if isinstance(mark, PerRun | PerProcess | Prepared)]
    if len(placements) != 1:
        raise TypeError(f"{cls.__name__}.{name} needs exactly one of PerRun, PerProcess and Prepared in its annotation")
    return placements[0]


@lru_cache
def _weights(cls: type[Params]) -> dict[str, str]:
    """Name of the parameter that is a control's weight to the control, in the order of their declaration."""
    places = {parameter.name: parameter.placement for parameter in parameters(cls)}
    return {name: place.control for name, place in places.items() if isinstance(place, PerRun) and place.control}


def _is_left_out(place: PerRun | PerProcess, value: JsonValue) -> bool:
    return value is None or value == [] or (place.omit is not None and value == place.omit)


def _value(params: Params, name: str) -> JsonValue:
    """A value as JSON has it."""
    value = getattr(params, name)
    if value is None or isinstance(value, _SCALARS):
        return value
    dumped: JsonValue = _JSON.dump_python(value, mode="json")
    return dumped


def _hashable(value: JsonValue) -> Scalar | None:
    return value if value is None or isinstance(value, _SCALARS) else json.dumps(value, sort_keys=True)
