"""What a batch is made of: the lines of samples.jsonl, checked strictly before any work starts."""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cosmos_ops.errors import InputError
from cosmos_ops.videos import CONTROL_NAMES

SEED_MAX = 2**31 - 1
_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
_REQUIRED: Final = object()

Check = Callable[[Any], Any]
"""Returns the value to keep, or raises ValueError with what is wrong."""


class SamplesError(InputError):
    """The file of samples is wrong; `problems` has one sentence for each problem."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Control:
    """One control of an inference sample."""

    weight: float
    input: Path | None
    """A video of the control; absent if it is computed from the sample's video."""


@dataclass(frozen=True)
class Sample:
    """One checked line; what an operation does not know stays at its default."""

    name: str
    spec: Mapping[str, Any]
    """The line with all defaults filled in."""

    @property
    def prompt(self) -> str:
        """The text; empty for operations without one."""
        return str(self.spec.get("prompt", ""))

    @property
    def video(self) -> Path | None:
        """The input video, if there is one."""
        return Path(self.spec["video"]) if self.spec.get("video") else None

    @property
    def controls(self) -> dict[str, Control]:
        """Controls by name, in the order of `CONTROL_NAMES`."""
        listed = self.spec.get("controls", {})
        return {
            name: Control(listed[name]["weight"], Path(listed[name]["input"]) if "input" in listed[name] else None)
            for name in CONTROL_NAMES
            if name in listed
        }


def read_samples(path: Path, operation: str) -> list[Sample]:
    """Read all samples of an operation.

    Raises:
        SamplesError: With every problem of every line.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise SamplesError([f"{path.name}:1: is not UTF-8 text"]) from error
    except OSError as error:
        raise SamplesError([f"{path.name}:1: cannot be read: {error.strerror}"]) from error
    samples: list[Sample] = []
    problems: list[str] = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            found = _check_line(line, operation, {sample.name for sample in samples}, samples)
            problems += [f"{path.name}:{number}: {problem}" for problem in found]
    if not samples and not problems:
        problems.append(f"{path.name}:1: holds no sample")
    if problems:
        raise SamplesError(problems)
    return samples


def _check_line(line: str, operation: str, names: set[str], samples: list[Sample]) -> list[str]:
    """Append the sample of one line; return what is wrong with it."""
    try:
        data = json.loads(line, parse_constant=_no_constant, object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError) as error:
        return [f"is no valid JSON: {error}"]
    if not isinstance(data, dict):
        return ["is no JSON object"]
    problems: list[str] = []
    spec = _checked(data, _FIELDS[operation], "", problems)
    if spec.get("name") in names:
        problems.append(f"name: '{spec['name']}' is there twice")
    if operation == "inference" and not problems:
        problems += _missing_sources(spec)
    if spec.get("name"):
        samples.append(Sample(spec["name"], spec))
    return problems


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number here")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    twice = {key for key in keys if keys.count(key) > 1}
    if twice:
        raise ValueError(f"key '{sorted(twice)[0]}' is there twice")
    return dict(pairs)


def _checked(data: dict[str, Any], fields: Mapping[str, tuple[Check, Any]], at: str, problems: list[str]) -> dict[str, Any]:
    """Values with defaults filled in; a key whose default is None stays absent."""
    problems += [f"{at}{key}: unknown key; known are {', '.join(fields)}" for key in data if key not in fields]
    values: dict[str, Any] = {}
    for key, (check, default) in fields.items():
        if key not in data:
            if default is _REQUIRED:
                problems.append(f"{at}{key}: missing")
            elif default is not None:
                values[key] = default
            continue
        try:
            values[key] = check(data[key])
        except ValueError as error:
            problems.append(f"{at}{key}: {error}")
    return values


def _missing_sources(spec: dict[str, Any]) -> list[str]:
    computed = [name for name, control in spec["controls"].items() if "input" not in control]
    if computed and "video" not in spec:
        return [f"video: missing, and {', '.join(computed)} would be computed from it"]
    return []


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a text, not {value!r}")
    return value


def _name(value: Any) -> str:
    if not _NAME.fullmatch(_text(value)):
        raise ValueError(f"must be 1 to 128 of A-Z a-z 0-9 _ -, not {value!r}")
    return str(value)


def _whole(low: int, high: int) -> Check:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"must be a whole number from {low} to {high}, not {value!r}")
        return value

    return check


def _number(low: float, high: float, *, above_low: bool = False) -> Check:
    def check(value: Any) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not is_number or not low <= value <= high or (above_low and value == low):
            raise ValueError(f"must be a number {'above' if above_low else 'from'} {low:g} to {high:g}, not {value!r}")
        return float(value)

    return check


def _file(value: Any) -> str:
    try:
        exists = Path(_text(value)).is_file()
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error
    if not exists:
        raise ValueError(f"no file {value!r}")
    return str(value)


def _controls(value: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(value, dict) or not value:
        raise ValueError(f"must be an object with at least one of {', '.join(CONTROL_NAMES)}")
    problems: list[str] = []
    known: dict[str, tuple[Check, Any]] = dict.fromkeys(CONTROL_NAMES, (_object, None))
    listed = _checked(value, known, "", problems)
    fields: dict[str, tuple[Check, Any]] = {"weight": (_number(0, 1, above_low=True), _REQUIRED), "input": (_file, None)}
    controls = {name: _checked(control, fields, f"{name}.", problems) for name, control in listed.items()}
    if problems:
        raise ValueError("; ".join(problems))
    return controls


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"must be an object, not {value!r}")
    return value


_PROMPTED: dict[str, tuple[Check, Any]] = {
    "name": (_name, _REQUIRED),
    "prompt": (_text, _REQUIRED),
    "negative_prompt": (_text, ""),
    "seed": (_whole(0, SEED_MAX), 1),
}
_FIELDS: dict[str, dict[str, tuple[Check, Any]]] = {
    "enhance": _PROMPTED,
    "inference": {
        **_PROMPTED,
        "guidance": (_number(0, 10), 5.0),
        "grain": (_number(0, 4), 1.0),
        "max_frames": (_whole(0, 10**9), 0),
        "video": (_file, None),
        "controls": (_controls, _REQUIRED),
    },
    "upscale": {"name": (_name, _REQUIRED), "video": (_file, _REQUIRED), "sharpness": (_number(0, 1), 0.3)},
}
