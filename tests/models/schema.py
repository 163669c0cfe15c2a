"""Values checked as pydantic checks them, with its texts, for the simulated models whose originals use pydantic and tyro.

A `Kind` is a type: how a JSON value is checked, and how the words of a command line become such a value.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from .problems import Problem, Refusal, ValidationError, refuse

REQUIRED = object()
TRUE_WORDS = ("1", "on", "t", "true", "y", "yes")
FALSE_WORDS = ("0", "off", "f", "false", "n", "no")
BOUNDS: tuple[tuple[str, str, str, Callable[[float, float], bool]], ...] = (
    ("le", "less_than_equal", "less than or equal to", lambda value, bound: value <= bound),
    ("ge", "greater_than_equal", "greater than or equal to", lambda value, bound: value >= bound),
    ("gt", "greater_than", "greater than", lambda value, bound: value > bound),
)


@dataclass(frozen=True)
class Kind:
    """A type of values."""

    check: Callable[[Any], Any]
    metavar: str = ""
    """How help and boxes name it; one without has no flag."""
    count: int | None = 1
    """How many words a flag takes; None for any number."""
    words: Mapping[str, Any] = field(default_factory=dict)
    """The only words that a flag takes, with their values."""


class Field(NamedTuple):
    """A key of an object."""

    kind: Kind
    default: Any = REQUIRED
    is_nullable: bool = False


def optional(kind: Kind) -> Field:
    return Field(kind, None, is_nullable=True)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise refuse("string_type", "Input should be a valid string", value)
    return value


def _truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in TRUE_WORDS + FALSE_WORDS:
        return value.lower() in TRUE_WORDS
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    if isinstance(value, str | int):
        raise refuse("bool_parsing", "Input should be a valid boolean, unable to interpret input", value)
    raise refuse("bool_type", "Input should be a valid boolean", value)


def _path(value: Any) -> Path:
    if not isinstance(value, str | Path):
        raise refuse("path_type", "Input is not a valid path for <class 'pathlib.Path'>", value)
    return Path(value).expanduser()


def _file(value: Any) -> str:
    if not _path(value).is_file():
        raise refuse("path_not_file", "Path does not point to a file", value)
    return str(_path(value).absolute())


def _file_or_folder(value: Any) -> str:
    return str(_path(value).absolute()) if _path(value).is_dir() else _file(value)


def _file_or_url(value: Any) -> str:
    if _text(value).startswith(("http://", "https://", "s3://")):
        return value
    if not Path(value).expanduser().is_file():
        raise refuse("value_error", f"Value error, Path does not point to a file: {value}", value)
    return str(Path(value).expanduser().absolute())


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise refuse("dict_type", "Input should be a valid dictionary", value)
    return value


TEXT = Kind(_text, "STR")
TRUTH = Kind(_truth, "{True,False}", words={"True": True, "False": False})
SWITCH = Kind(_truth, "switch", count=0)
FOLDER = Kind(lambda value: str(_path(value)), "PATH")
FILE = Kind(_file, "PATH")
FILE_OR_FOLDER = Kind(_file_or_folder, "PATH")
FILE_OR_URL = Kind(_file_or_url, "STR")
MAPPING = Kind(_mapping)


def integer(**bounds: int) -> Kind:
    """An integer within `gt`, `ge` and `le`; a text or a float that means one is taken."""

    def check(value: Any) -> int:
        if isinstance(value, float):
            if not math.isfinite(value):
                raise refuse("finite_number", "Input should be a finite number", value)
            if not value.is_integer():
                raise refuse("int_from_float", "Input should be a valid integer, got a number with a fractional part", value)
        elif isinstance(value, str):
            if not re.fullmatch(r"\s*[+-]?\d+(_\d+)*(\.0+)?\s*", value):
                raise refuse("int_parsing", "Input should be a valid integer, unable to parse string as an integer", value)
            return _bounded(int(value.partition(".")[0]), value, bounds)
        elif not isinstance(value, int):
            raise refuse("int_type", "Input should be a valid integer", value)
        return _bounded(int(value), value, bounds)

    return Kind(check, "INT")


def number(**bounds: float) -> Kind:
    """A float within `gt`, `ge` and `le`; a text that means one is taken."""

    def check(value: Any) -> float:
        if not isinstance(value, int | float | str):
            raise refuse("float_type", "Input should be a valid number", value)
        try:
            return _bounded(float(value), value, bounds)
        except ValueError:
            text = "Input should be a valid number, unable to parse string as a number"
            raise refuse("float_parsing", text, value) from None

    return Kind(check, "FLOAT")


def _bounded(number: Any, value: Any, bounds: Mapping[str, float]) -> Any:
    for name, kind, words, holds in BOUNDS:
        if name in bounds and not holds(number, bounds[name]):
            raise refuse(kind, f"Input should be {words} {bounds[name]}", value)
    return number


def literal(*options: Any) -> Kind:
    """One of some values; a flag takes them as they are written."""
    return Kind(_one_of(options, "literal_error"), f"{{{','.join(map(str, options))}}}", words={str(one): one for one in options})


def enum(*options: str) -> Kind:
    """One of some texts; a flag takes the name of the member, in capitals."""
    words = {one.upper(): one for one in options}
    return Kind(_one_of(options, "enum"), f"{{{','.join(words)}}}", words=words)


def _one_of(options: tuple[Any, ...], kind: str) -> Callable[[Any], Any]:
    shown = [repr(one) for one in options]
    text = f"Input should be {' or '.join([', '.join(shown[:-1]), shown[-1]])}"

    def check(value: Any) -> Any:
        for one in options:
            if value == one:
                return one
        raise refuse(kind, text, value)

    return check


def items(of: Kind, *, count: int | None = None) -> Kind:
    """A list, or with a `count` a tuple of so many."""

    def check(value: Any) -> list[Any]:
        if not isinstance(value, list | tuple):
            name = "list" if count is None else "tuple"
            raise refuse(f"{name}_type", f"Input should be a valid {name}", value)
        if count is not None and len(value) > count:
            text = f"Tuple should have at most {count} items after validation, not {len(value)}"
            raise refuse("too_long", text, value)
        made, problems = _each({place: (of, item) for place, item in enumerate(value)})
        missing = [Problem((place,), "missing", "Field required", value) for place in range(len(value), count or 0)]
        if problems or missing:
            raise Refusal(*problems, *missing)
        return list(made.values())

    return Kind(check, f"[{of.metavar} ...]" if count is None else " ".join([of.metavar] * count), count=count)


def record(
    title: str,
    fields: Mapping[str, Field],
    *,
    forbids_others: bool = True,
    after: Callable[[dict[str, Any]], None] | None = None,
) -> Kind:
    """An object with these keys; `after` may refuse it as a whole, with a ValueError."""

    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise refuse("model_type", f"Input should be a valid dictionary or instance of {title}", value)
        is_null = {key: key in value and value[key] is None and field.is_nullable for key, field in fields.items()}
        given = {key: (field.kind, value[key]) for key, field in fields.items() if key in value and not is_null[key]}
        made, problems = _each(given)
        found = {problem.place[0]: [] for problem in problems}
        for problem in problems:
            found[problem.place[0]].append(problem)
        for key, one in fields.items():
            if key not in value and one.default is REQUIRED:
                found[key] = [Problem((key,), "missing", "Field required", value)]
        others = [key for key in value if key not in fields] if forbids_others else []
        listed = [problem for key in fields for problem in found.get(key, [])]
        listed += [Problem((key,), "extra_forbidden", "Extra inputs are not permitted", value[key]) for key in others]
        if listed:
            raise Refusal(*listed)
        whole = {key: made.get(key, None if is_null[key] else one.default) for key, one in fields.items()}
        if after:
            try:
                after(whole)
            except ValueError as error:
                raise refuse("value_error", f"Value error, {error}", value) from None
        return whole

    return Kind(check)


def _each(values: Mapping[Any, tuple[Kind, Any]]) -> tuple[dict[Any, Any], list[Problem]]:
    made, problems = {}, []
    for place, (kind, value) in values.items():
        try:
            made[place] = kind.check(value)
        except Refusal as refusal:
            problems += [problem._replace(place=(place, *problem.place)) for problem in refusal.problems]
    return made, problems


def validated(title: str, kind: Kind, value: Any) -> Any:
    """The value as its kind makes it.

    Raises:
        ValidationError: It is none of that kind.
    """
    try:
        return kind.check(value)
    except Refusal as refusal:
        raise ValidationError(title, list(refusal.problems)) from None
