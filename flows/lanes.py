"""Several lanes of a flow at work at the same time, each with one thing after the other."""

import threading
import time
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import TypeVar

from flows.cancellation import Cancellation

T = TypeVar("T")
POLL_S = 0.2
STOP_LIMIT_S = 20.0
"""A supervisor kills its flow 30 s after it asked it to end."""


def in_lanes(lanes: Sequence[Sequence[T]], work: Callable[[T], None], cancellation: Cancellation) -> None:
    """Do the work of every lane; a single lane on this thread, which hears of signals.

    Args:
        lanes: What each lane works on, in its order.
        work: Does one thing; an error ends its lane, and is raised once all lanes have ended.
        cancellation: Where a signal means a cancellation, the lanes get a while to end.
    """
    if len(lanes) < 2:
        for one in lanes[0] if lanes else ():
            work(one)
        return
    errors: list[Exception] = []

    def live(lane: Sequence[T]) -> None:
        try:
            for one in lane:
                work(one)
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=copy_context().run, args=(live, lane), daemon=True) for lane in lanes]
    for thread in threads:
        thread.start()
    try:
        _wait(threads)
    except BaseException as error:
        cancellation.hear(error)
        if cancellation.is_cancelled():
            _wait(threads, STOP_LIMIT_S)
        raise
    if errors:
        raise errors[0]


def _wait(threads: Sequence[threading.Thread], limit_s: float = float("inf")) -> None:
    until = time.monotonic() + limit_s
    while any(thread.is_alive() for thread in threads) and time.monotonic() < until:
        time.sleep(POLL_S)
