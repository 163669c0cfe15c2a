"""Tables in Markdown."""

from collections.abc import Sequence


def heads(columns: Sequence[str]) -> list[str]:
    """The first two lines of a table."""
    return [row(*columns), row(*["---"] * len(columns))]


def row(*cells: str) -> str:
    """One line of a table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A whole table."""
    return "\n".join([*heads(columns), *(row(*cells) for cells in rows)])
