"""Who watches a flow from the same process: the command line shows live progress through this, Prefect needs it not."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from cosmos_ops.runs import Run


class Observer:
    """Told what happens to runs; this one does nothing with it."""

    def started(self, run: Run) -> None:
        """A run is being worked on."""

    def progressed(self, run_id: str, done: int, total: int) -> None:
        """So many steps of a run are done."""

    def ended(self, run: Run) -> None:
        """A run has its final status."""


_observer: ContextVar[Observer | None] = ContextVar("observer", default=None)


@contextmanager
def observed_by(observer: Observer) -> Iterator[None]:
    """Let an observer watch all flows that are called inside."""
    token = _observer.set(observer)
    try:
        yield
    finally:
        _observer.reset(token)


def current_observer() -> Observer:
    """Who watches, in this context."""
    return _observer.get() or Observer()
