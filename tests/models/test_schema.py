"""The simulated checks say what pydantic says of the same values; a flag takes what tyro takes."""

import enum
import re
from typing import Annotated, Literal

import pydantic
import pytest
from pydantic import model_validator

from .flags import Group, parse
from .problems import ValidationError
from .schema import (
    FILE,
    FOLDER,
    MAPPING,
    SWITCH,
    TEXT,
    TRUTH,
    Field,
    integer,
    items,
    literal,
    number,
    optional,
    record,
    validated,
)
from .schema import enum as enum_kind

Level = enum.Enum("Level", {"LOW": "low", "HIGH": "high"}, type=str)


class Inner(pydantic.BaseModel):
    weight: Annotated[float, pydantic.Field(ge=0, le=1)] = 1.0


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    name: str
    count: pydantic.PositiveInt = 1
    share: Annotated[float, pydantic.Field(ge=0, le=7)] = 1.0
    show_input: bool = False
    overlap: Literal[0, 1, 2] = 1
    kind: Literal["a", "b", "c"] = "a"
    level: Level | None = None
    inner: Inner | None = None
    path: pydantic.FilePath | None = None
    numbers: list[int] | None = None
    interval: tuple[float, float] | None = None
    extra: dict | None = None

    @model_validator(mode="after")
    def refuse_many(self):
        if self.count == 99:
            raise ValueError("Too many of them")
        return self


def refuse_many(values):
    if values["count"] == 99:
        raise ValueError("Too many of them")


FIELDS = {
    "name": Field(TEXT),
    "count": Field(integer(gt=0), 1),
    "share": Field(number(ge=0, le=7), 1.0),
    "show_input": Field(TRUTH, default=False),
    "overlap": Field(literal(0, 1, 2), 1),
    "kind": Field(literal("a", "b", "c"), "a"),
    "level": optional(enum_kind("low", "high")),
    "inner": optional(record("Inner", {"weight": Field(number(ge=0, le=1), 1.0)}, forbids_others=False)),
    "path": optional(FILE),
    "numbers": optional(items(integer())),
    "interval": optional(items(number(), count=2)),
    "extra": optional(MAPPING),
}
KIND = record("Model", FIELDS, after=refuse_many)
VALUES = [
    {"count": value}
    for value in (3, 3.0, 3.5, "3", "3.0", " 5 ", "x", True, None, [1], 0, -1, float("nan"), float("inf"), 99, {"a": "b" * 90})
]
VALUES += [{"share": value} for value in (0, 7, 7.1, -0.1, "0.5", "x", True, None, [], float("nan"))]
VALUES += [{"show_input": value} for value in (True, 0, 1, 2, 1.0, 0.5, "yes", "Off", "maybe", None, [])]
VALUES += [{"overlap": value} for value in (0, 2, 3, 1.0, "1", None)]
VALUES += [{"kind": value} for value in ("b", "d", 3, None)]
VALUES += [{"level": value} for value in ("low", "LOW", 3, None)]
VALUES += [{"inner": value} for value in ({}, {"weight": 1}, {"weight": 2}, {"weight": None}, {"other": 1}, None, 3, [])]
VALUES += [{"path": value} for value in (__file__, "missing.mp4", "/tmp", 3, None)]
VALUES += [{"numbers": value} for value in ([], [1, "2"], [1, "x", 2.5], 3, "12", None)]
VALUES += [{"interval": value} for value in ([0, 1], [1], [], [1, 2, 3], ["x", 1], "ab", None)]
VALUES += [{"extra": value} for value in ({}, {"run": 1}, [], None)]
VALUES += [{"name": None}, {"name": 3}, {"zzz": 1, "yyy": None, "count": "x"}]


def outcome(check, values):
    try:
        made = check(values)
    except (pydantic.ValidationError, ValidationError) as error:
        return re.sub(r"pydantic\.dev/[\d.]+/", "pydantic.dev/", str(error))
    return made


def checked_by_pydantic(values):
    made = Model.model_validate(values).model_dump(mode="json")
    return made | {"path": values.get("path") and str(made["path"])}


@pytest.mark.parametrize("values", [{"name": "x", **value} for value in VALUES] + [{}, [1], "text", None], ids=repr)
def test_a_value_has_the_outcome_that_it_has_with_pydantic(values):
    assert outcome(lambda given: validated("Model", KIND, given), values) == outcome(checked_by_pydantic, values)


FLAGS = {
    "output_dir": Field(FOLDER),
    "keep_going": Field(SWITCH, default=True),
    "mode": Field(enum_kind("none", "some_mode"), "none"),
    "seed": optional(integer()),
    "guidance": optional(integer(ge=0, le=7)),
    "shift": optional(number()),
    "show": optional(TRUTH),
    "resolution": optional(literal("256", "480")),
    "interval": optional(items(number(), count=2)),
    "indexes": optional(items(integer())),
    "prompt": optional(TEXT),
    "video": optional(FILE),
    "hint": optional(MAPPING),
}


def flags(*words):
    given = parse("it.py", [Group("setup", "Setup", FLAGS, {"output_dir": "-o"})], [*words])["setup"]
    return {key: value for key, value in given.items() if value != FLAGS[key].default}


@pytest.mark.parametrize(
    ("words", "given"),
    [
        (("--seed", "-5", "--seed=7"), {"seed": 7}),
        (("--seed", "7", "--seed", "None"), {}),
        (("--no-keep-going", "--no_keep_going"), {"keep_going": False}),
        (("--keep_going", "--mode", "SOME_MODE"), {"mode": "some_mode"}),
        (("--show", "False", "--shift", "1e1"), {"show": False, "shift": 10.0}),
        (("--interval", "0", "0.5", "--indexes", "1", "2", "3"), {"interval": [0, 0.5], "indexes": [1, 2, 3]}),
        (("--indexes", "--prompt", "a b"), {"indexes": [], "prompt": "a b"}),
    ],
)
def test_a_flag_takes_its_words(words, given):
    assert flags("-o", "out", *words) == {"output_dir": "out", **given}


@pytest.mark.parametrize(
    ("words", "title", "text"),
    [
        ((), "Required options", "-o PATH, --output-dir PATH"),
        (("-o", "out", "--sed", "3"), "Unrecognized options", "Unrecognized options: --sed, 3"),
        (("-o", "out", "left"), "Unrecognized options", "Unrecognized options: left"),
        (("-o", "out", "--keep-going", "False"), "Unrecognized options", "Unrecognized options: False"),
        (("-o", "out", "--keep-going=False"), "Unrecognized options", "--keep-going=False"),
        (("-o", "out", "--no-show"), "Unrecognized options", "--no-show"),
        (("-o", "out", "--hint", "{}"), "Unrecognized options", "--hint, {}"),
        (("-o", "out", "--show"), "Missing argument", "Missing value for argument '--show'. Expected 1 values."),
        (("-o", "out", "--interval", "1", "--show", "True"), "Missing argument", "'--interval'. Expected 2 values."),
        (("-o", "out", "--show", "true"), "Invalid choice", "invalid choice 'true' for argument '--show'"),
        (("-o", "out", "--mode", "some_mode"), "Invalid choice", "Expected one of ('NONE', 'SOME_MODE')."),
        (("-o", "out", "--resolution", "720"), "Invalid choice", "('256', '480', 'None')"),
        (("-o", "out", "--seed", "3.0"), "Value error", "Error parsing --seed"),
        (("-o", "out", "--guidance", "9"), "Value error", "Error parsing setup: 1 validation error for Setup"),
        (("-o", "out", "--video", "missing.mp4"), "Value error", "Path does not point to a file"),
    ],
)
def test_a_wrong_command_line_ends_with_2_and_a_box(words, title, text, capsys):
    with pytest.raises(SystemExit) as ended:
        flags(*words)

    box = capsys.readouterr().err
    assert ended.value.code == 2
    assert box.startswith(f"╭─ {title} ─")
    assert text in re.sub(r" *│\n│ *", " ", box)
    assert len({len(line) for line in box.splitlines()}) == 1
