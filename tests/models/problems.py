"""What is wrong with a value, in the words of pydantic."""

from typing import Any, NamedTuple

URL = "https://errors.pydantic.dev/2.12/v"
SHOWN_CHARS = 50


class Problem(NamedTuple):
    """What is wrong with a value, and where it is."""

    place: tuple[str | int, ...]
    kind: str
    text: str
    value: Any

    def __str__(self) -> str:
        shown = repr(self.value)
        if len(shown) > SHOWN_CHARS:
            shown = f"{shown[:25]}...{shown[-24:]}"
        lines = [".".join(map(str, self.place))] if self.place else []
        lines.append(f"  {self.text} [type={self.kind}, input_value={shown}, input_type={type(self.value).__name__}]")
        # Pydantic has no page for what its Python part finds.
        if not self.kind.startswith("path_"):
            lines.append(f"    For further information visit {URL}/{self.kind}")
        return "\n".join(lines)


class ValidationError(ValueError):
    """The report of pydantic on an object; named in tracebacks as pydantic names it."""

    __module__ = "pydantic_core._pydantic_core"

    def __init__(self, title: str, problems: list[Problem]) -> None:
        count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} for {title}"
        super().__init__("\n".join([count, *map(str, problems)]))


class Refusal(Exception):
    """Problems of a value, with places below it."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems


def refuse(kind: str, text: str, value: Any) -> Refusal:
    return Refusal(Problem((), kind, text, value))
