"""A command line read as tyro reads it: what it takes, and the box on stderr with exit status 2 for what it does not."""

import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from .problems import ValidationError
from .program import rank
from .schema import REQUIRED, Field, Kind, record, validated

WIDTH = 76
NUMBERS = {"INT": int, "FLOAT": float}
NONE = "None"


class Group(NamedTuple):
    """The flags of one object of a program, which tyro checks as a whole."""

    name: str
    title: str
    fields: Mapping[str, Field]
    aliases: Mapping[str, str] = {}


class _Flag(NamedTuple):
    group: str
    key: str
    kind: Kind
    is_nullable: bool
    value: Any = None

    @property
    def name(self) -> str:
        return f"--{self.key.replace('_', '-')}"


def parse(program: str, groups: Sequence[Group], argv: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The values of each group: those given, and the defaults. Where a flag comes twice, the last one counts.

    Raises:
        SystemExit: tyro refuses the command line (2), or help is asked for (0).
    """
    flags = _flags(groups)
    if {"-h", "--help"} & set(argv):
        print(f"usage: {program} [OPTIONS]\n\n" + "\n".join(f"  {name}" for name in flags))
        raise SystemExit(0)
    given: dict[str, dict[str, Any]] = {group.name: {} for group in groups}
    unknown = []
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        flag = flags.get(_name(word))
        if flag is None:
            unknown.append(word)
        else:
            given[flag.group][flag.key] = _value(program, flag, _words(program, flag, word, rest, flags))
    if unknown:
        box(program, "Unrecognized options", f"Unrecognized options: {', '.join(unknown)}")
    return {group.name: _checked(program, group, given[group.name]) for group in groups}


def _flags(groups: Sequence[Group]) -> dict[str, _Flag]:
    flags: dict[str, _Flag] = {}
    for group in groups:
        for key, one in group.fields.items():
            if not one.kind.metavar:
                continue
            flag = _Flag(group.name, key, one.kind, one.is_nullable, value=True)
            flags[flag.name] = flag
            if key in group.aliases:
                flags[group.aliases[key]] = flag
            if one.kind.count == 0:
                flags[f"--no-{flag.name[2:]}"] = flag._replace(value=False)
    return flags


def _name(word: str) -> str:
    name = word.partition("=")[0]
    return name.replace("_", "-") if name.startswith("--") else name


def _words(program: str, flag: _Flag, word: str, rest: list[str], flags: Mapping[str, _Flag]) -> list[str]:
    """The words of a flag, taken from the rest."""
    if flag.kind.count == 0:
        if "=" in word:
            box(program, "Unrecognized options", f"Unrecognized options: {word}")
        return []
    words = [word.partition("=")[2]] if "=" in word else []
    count = flag.kind.count if not (flag.is_nullable and rest[:1] == [NONE]) else 1
    while rest and _name(rest[0]) not in flags and (not rest[0].startswith("--") if count is None else len(words) < count):
        words.append(rest.pop(0))
    if count is not None and len(words) < count:
        box(program, "Missing argument", f"Missing value for argument '{flag.name}'. Expected {count} values.")
    return words


def _value(program: str, flag: _Flag, words: Sequence[str]) -> Any:
    kind = flag.kind
    if kind.count == 0:
        return flag.value
    if flag.is_nullable and list(words) == [NONE]:
        return None
    if kind.words:
        known = [*kind.words, *([NONE] if flag.is_nullable else [])]
        if words[0] not in kind.words:
            text = f"invalid choice '{words[0]}' for argument '{flag.name}'. Expected one of {tuple(known)}."
            box(program, "Invalid choice", text)
        return kind.words[words[0]]
    convert = NUMBERS.get(kind.metavar.strip("[").split(" ")[0], str)
    try:
        values = [convert(word) for word in words]
    except ValueError as error:
        wanted = f"{{None}}|{kind.metavar}" if flag.is_nullable else kind.metavar
        box(program, "Value error", f"Error parsing {flag.name}: no type matching {wanted}: {error}")
    return values[0] if kind.count == 1 else values


def _checked(program: str, group: Group, given: dict[str, Any]) -> dict[str, Any]:
    for key, one in group.fields.items():
        if key not in given and one.default is REQUIRED:
            named = [group.aliases[key]] if key in group.aliases else []
            shown = ", ".join(f"{name} {one.kind.metavar}" for name in [*named, f"--{key.replace('_', '-')}"])
            box(program, "Required options", f"Missing from {program}:\n    {shown}\n        (required)")
    try:
        return validated(group.title, record(group.title, group.fields), given)
    except ValidationError as error:
        box(program, "Value error", f"Error parsing {group.name}: {error}")


def box(program: str, title: str, text: str) -> NoReturn:
    """Print a box as tyro does, from rank 0 only, and end the process."""
    paragraphs = [text, "─" * WIDTH, f"For full helptext, run {program} --help"]
    lines = [line for part in paragraphs for row in part.split("\n") for line in textwrap.wrap(row, WIDTH) or [""]]
    drawn = [
        f"╭─ {title} ".ljust(WIDTH + 3, "─") + "╮",
        *(f"│ {line.ljust(WIDTH)} │" for line in lines),
        f"╰{'─' * (WIDTH + 2)}╯",
    ]
    if rank() == 0:
        print("\n".join(drawn), file=sys.stderr, flush=True)
    raise SystemExit(2)
