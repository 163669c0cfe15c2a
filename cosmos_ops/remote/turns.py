"""One at a time within this process: whoever wants the same thing waits."""

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager

WAIT_S = 0.5
_guard = threading.Lock()
_locks: dict[str, tuple[threading.Semaphore, int]] = {}
"""Each with how many have or want it."""


@contextmanager
def holding(lock: threading.Semaphore, on_wait: Callable[[], object]) -> Iterator[None]:
    """Hold a lock; `on_wait` is called now and then while we wait, and may raise."""
    while not lock.acquire(timeout=WAIT_S):
        on_wait()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def taking_turns(names: Collection[str], on_wait: Callable[[], object]) -> Iterator[None]:
    """Hold all names."""
    with ExitStack() as held:
        # Always in the same order, so that no two wait for each other.
        for name in sorted(set(names)):
            held.enter_context(_holding_name(name, on_wait))
        yield


@contextmanager
def _holding_name(name: str, on_wait: Callable[[], object]) -> Iterator[None]:
    with _guard:
        lock, users = _locks.get(name, (threading.Semaphore(), 0))
        _locks[name] = lock, users + 1
    try:
        with holding(lock, on_wait):
            yield
    finally:
        with _guard:
            lock, users = _locks.pop(name)
            if users > 1:
                _locks[name] = lock, users - 1
