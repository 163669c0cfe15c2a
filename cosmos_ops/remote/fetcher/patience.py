"""Asking again what the network did not let through."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from .trouble import Trouble

T = TypeVar("T")
PAUSE_MAX_S = 30.0


@dataclass(frozen=True)
class Patience:
    """How often something is tried, and how long we wait in between; twice as long each time."""

    tries: int
    pause_s: float

    def ask(self, question: Callable[[], T]) -> T:
        """The answer, from one try or another.

        Raises:
            Trouble: Another one than of the network, or each time one of the network.
        """
        for count in range(1, self.tries):
            try:
                return question()
            except Trouble as trouble:
                if trouble.kind != "network":
                    raise
            self.wait(count)
        return question()

    def wait(self, count: int) -> None:
        """Wait after so many failed tries."""
        time.sleep(min(self.pause_s * 2 ** (count - 1), PAUSE_MAX_S))
