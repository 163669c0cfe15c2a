"""The steps of a set-up as they are told: numbered lines, and what happens within a step below them."""

from collections.abc import Callable
from time import monotonic

from cosmos_ops.remote.checkpoint_news import size_text

Say = Callable[[str], None]
Note = Callable[[str], str]
"""Notes where the image of a family is, and gives a sentence that says so."""
LINE_LENGTH_MAX = 100
TOLD_BYTES = 25_000_000
"""Of a smaller transfer it is not told how far it is."""
PARTS = 20


class Steps:
    """Numbers the steps."""

    def __init__(self, say: Say, count: int) -> None:
        self._say = say
        self._count = count
        self._number = 0

    def begin(self, text: str) -> None:
        """The next step."""
        self._number += 1
        self._say(f"[{self._number}/{self._count}] {text}")

    def tell(self, text: str) -> None:
        """What happens within the step; long lines are cut."""
        self._say(f"      {text if len(text) <= LINE_LENGTH_MAX else f'{text[:LINE_LENGTH_MAX]} ...'}")

    def tell_all(self, text: str) -> None:
        """The same for what must be read to its end."""
        self._say(f"      {text}")


class Transfer:
    """Tells now and then how far a large transfer is."""

    def __init__(self, steps: Steps, verb: str, *, parts: int = PARTS) -> None:
        self._steps = steps
        self._verb = verb
        self._parts = parts
        self._told = 0

    def reached(self, done_bytes: int, total_bytes: int) -> None:
        """So much of it is done."""
        part = self._parts * done_bytes // total_bytes if total_bytes > TOLD_BYTES else 0
        if part > self._told:
            self._told = part
            self._steps.tell(f"{self._verb} {size_text(done_bytes)} of {size_text(total_bytes)}")


class Stopwatch:
    """How long something takes."""

    def __init__(self) -> None:
        self._begun = monotonic()

    def __str__(self) -> str:
        return f"{monotonic() - self._begun:.1f} s"
