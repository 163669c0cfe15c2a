"""The lines of the program: one event a line, progress redrawn in place, everything flushed at once."""

import time
from collections.abc import Callable
from typing import TextIO

_BAR_WIDTH = 40
_REDRAW_S = 0.1


class Reporter:
    """Writes to one stream; `clock` gives seconds."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._drawn_at: float | None = None

    def info(self, text: str) -> None:
        """Something went as it should."""
        self._line("INFO", text)

    def warning(self, text: str) -> None:
        """Something was refused."""
        self._line("WARNING", text)

    def error(self, text: str) -> None:
        """Something failed."""
        self._line("ERROR", text)

    def progress(self, name: str, done: int, total: int) -> None:
        """Redraw the bar of a sample, at most ten times a second and when it is full."""
        now = self._clock()
        if done < total and self._drawn_at is not None and now - self._drawn_at < _REDRAW_S:
            return
        self._drawn_at = now
        total = max(done, total, 1)
        filled = "#" * (_BAR_WIDTH * done // total)
        self._stream.write(f"\rSampling {name}: {100 * done // total:3d}%|{filled:<{_BAR_WIDTH}}| {done}/{total}")
        self._stream.flush()

    def _line(self, level: str, text: str) -> None:
        if self._drawn_at is not None:
            self._stream.write("\n")
            self._drawn_at = None
        self._stream.write(f"{level} {' '.join(text.split())}\n")
        self._stream.flush()
