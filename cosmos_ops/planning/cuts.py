"""A sorted row of runs, cut into batches that are as full as the limits allow."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence

ROUNDING_S = 1e-6
"""Sums of the same seconds in another order differ by less."""


def reach(sums: Sequence[float], first: int, end: int, seconds: float) -> int:
    """How far one comes from run `first` within so many seconds, at most to `end`; `sums` are the seconds of the first n."""
    if end <= first:
        return first
    return max(first, bisect_right(sums, sums[first] + seconds + ROUNDING_S, first, end + 1) - 1)


class Cuts:
    """Batches of the runs from some run on; worked out as far as somebody asks."""

    def __init__(
        self,
        sums: Sequence[float],
        first: int,
        *,
        first_load_s: float,
        load_s: float,
        most_load_s: float,
        seconds_max: float,
        runs_max: int,
    ) -> None:
        self.ends = [first]
        """Where the first run lies, then the end of each batch."""
        self._spent = [0.0]
        self._sums = sums
        self._first_load_s = first_load_s
        self._load_s = load_s
        self._most_load_s = most_load_s
        """Counts for the length of a batch: the order on the slot decides which of them finds the files cold."""
        self._seconds_max = seconds_max
        self._runs_max = runs_max

    def load_of(self, batch: int) -> float:
        """Seconds of load of a batch; the first may find the files cold."""
        return self._load_s if batch else self._first_load_s

    def pairs(self, count: int) -> Iterator[tuple[int, int]]:
        """First run and end of the first batches."""
        return zip(self.ends[:count], self.ends[1 : count + 1], strict=True)

    def within(self, seconds: float) -> tuple[int, int, float]:
        """Full batches that are done within so many seconds, the end of the runs with a part of the next one, and the seconds."""
        while self._spent[-1] <= seconds + ROUNDING_S and self.ends[-1] < len(self._sums) - 1:
            self._cut()
        full = bisect_right(self._spent, seconds + ROUNDING_S) - 1
        if full < 0:
            return 0, self.ends[0], 0.0
        first, spent = self.ends[full], self._spent[full]
        if first == len(self._sums) - 1:
            return full, first, spent
        load_s = self.load_of(full)
        end = reach(self._sums, first, self.ends[full + 1], seconds - spent - load_s)
        if end == first:
            return full, first, spent
        return full, end, spent + load_s + self._sums[end] - self._sums[first]

    def _cut(self) -> None:
        """One batch more; a run that is longer than a batch may be is one of its own."""
        first, load_s = self.ends[-1], self.load_of(len(self.ends) - 1)
        last = min(first + self._runs_max, len(self._sums) - 1)
        end = max(first + 1, reach(self._sums, first, last, self._seconds_max - self._most_load_s))
        self.ends.append(end)
        self._spent.append(self._spent[-1] + load_s + self._sums[end] - self._sums[first])
