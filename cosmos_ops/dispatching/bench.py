"""Hosts that refused a job: they get none of that family for a while, each time for longer."""

import time
from collections.abc import Callable

BENCH_MIN_S, BENCH_MAX_S = 30.0, 900.0

WAITED_FOR_S = 120.0

ANY_FAMILY = ""


class Bench:
    """Who is left out for now, and for how long the next time."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._until: dict[tuple[str, str], float] = {}
        self._length_s: dict[tuple[str, str], float] = {}
        self._why: dict[tuple[str, str], str] = {}

    def put(self, host: str, family: str, why: str) -> None:
        """Leave out a host for a family, or for any; several slots of a host that say so count as one refusal."""
        key = host, family
        if self._until.get(key, 0.0) > self._now():
            return
        self._why[key] = why
        self._length_s[key] = min(2 * self._length_s.get(key, BENCH_MIN_S / 2), BENCH_MAX_S)
        self._until[key] = self._now() + self._length_s[key]

    def clear(self, host: str, family: str) -> None:
        """A job of the family went well there."""
        for key in ((host, family), (host, ANY_FAMILY)):
            self._until.pop(key, None)
            self._length_s.pop(key, None)

    def has(self, host: str, family: str = ANY_FAMILY) -> bool:
        """Whether a host is left out for a family."""
        return any(self._until.get(key, 0.0) > self._now() for key in ((host, family), (host, ANY_FAMILY)))

    @property
    def is_worth_waiting(self) -> bool:
        """Whether somebody comes back soon, who did not refuse often."""
        return any(until > self._now() and self._length_s[key] <= WAITED_FOR_S for key, until in self._until.items())

    @property
    def state(self) -> frozenset[tuple[str, str]]:
        """Changes whenever somebody is left out, or comes back."""
        return frozenset(self._out())

    @property
    def reasons(self) -> list[str]:
        """Why hosts are left out now."""
        return [f"host {host} is left out for now: {self._why[host, family]}" for host, family in sorted(self._out())]

    def _out(self) -> list[tuple[str, str]]:
        return [key for key, until in self._until.items() if until > self._now()]
