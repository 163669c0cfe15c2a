"""Moving parts of files over several connections at once: who moves what next, and what the calling thread hears of it."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from types import TracebackType
from typing import Any, Generic, TypeVar

from cosmos_ops.errors import HostError
from cosmos_ops.remote.connection import Connection
from cosmos_ops.remote.session import Session, session

BLOCK_BYTES = 4 * 261_120
STREAMS_MAX = 6
DISTANT_S = 0.010
BYTES_FOR_A_STREAM = 8_000_000
"""A further connection costs some round trips to make; for less it does not pay."""
IDLE_S = 0.5
T = TypeVar("T")


@dataclass(eq=False)
class Moving(Generic[T]):
    """A file on its way."""

    file: T
    path: PurePosixPath
    """On the host."""
    size_bytes: int
    start_bytes: int = 0
    """So much was there before."""
    next_bytes: int = field(default=0, init=False)
    """From here on nobody moves it yet."""
    on_the_way: set[int] = field(default_factory=set, init=False)
    """Where the blocks begin that somebody moves."""
    handles: int = field(default=0, init=False)
    """How often it is open on the host."""

    def __post_init__(self) -> None:
        self.next_bytes = self.start_bytes

    @property
    def whole_bytes(self) -> int:
        """From the start on, so much is there without holes."""
        return min(self.on_the_way, default=self.next_bytes)

    @property
    def is_handed_out(self) -> bool:
        """Whether no further block of it will be handed out."""
        return self.next_bytes >= self.size_bytes

    @property
    def is_complete(self) -> bool:
        """Whether all of it is there and nobody has it open."""
        return self.is_handed_out and not self.on_the_way and not self.handles


@dataclass(eq=False)
class Block(Generic[T]):
    """A part of a file."""

    moving: Moving[T]
    offset: int
    size: int
    left: int = field(init=False)
    """Bytes of it that have not arrived yet."""

    def __post_init__(self) -> None:
        self.left = self.size

    @property
    def end(self) -> int:
        """Where the next block begins."""
        return self.offset + self.size


class Plan(Generic[T]):
    """Hands out blocks in order, none far from what is there without holes."""

    def __init__(self, files: Sequence[Moving[T]], *, window_bytes: int) -> None:
        self._files = deque(files)
        self._window_bytes = window_bytes
        self._changed = threading.Condition()
        self._on_the_way_bytes = 0
        self.is_stopped = False

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to hand out."""
        return self.is_stopped or not self._files

    def next(self) -> Block[T] | None:
        """The next block; none if there is none, or none at the moment."""
        with self._changed:
            if self.is_over:
                return None
            moving = self._files[0]
            if max(moving.next_bytes - moving.whole_bytes, self._on_the_way_bytes) >= self._window_bytes:
                return None
            block = Block(moving, moving.next_bytes, min(BLOCK_BYTES, moving.size_bytes - moving.next_bytes))
            moving.next_bytes = block.end
            moving.on_the_way.add(block.offset)
            self._on_the_way_bytes += block.size
            if moving.is_handed_out:
                self._files.popleft()
            return block

    def wait(self, limit_s: float) -> None:
        """Wait until something changes."""
        with self._changed:
            self._changed.wait(limit_s)

    def opened(self, moving: Moving[T]) -> None:
        """Somebody opens the file on the host."""
        with self._changed:
            moving.handles += 1

    def arrived(self, block: Block[T]) -> None:
        """All of a block is where it belongs."""
        with self._changed:
            block.moving.on_the_way.discard(block.offset)
            self._on_the_way_bytes -= block.size
            self._changed.notify_all()

    def closed(self, moving: Moving[T]) -> bool:
        """Somebody has closed the file; says whether it is complete by that."""
        with self._changed:
            moving.handles -= 1
            return moving.is_complete

    def stop(self) -> None:
        """Hand out nothing more."""
        with self._changed:
            self.is_stopped = True
            self._changed.notify_all()


class StoppedError(Exception):
    """The calling thread has given up."""


def stream_count(size_bytes: int, remote: Session) -> int:
    """How many connections so many bytes are worth: near by one is as fast as several."""
    count = min(STREAMS_MAX, size_bytes // BYTES_FOR_A_STREAM)
    return count if count > 1 and remote.round_trip_s() > DISTANT_S else 1


def window_bytes(stream_count: int) -> int:
    """How far the streams may run ahead together; bounds memory, and what is repeated after a break."""
    return (4 + 6 * stream_count) * BLOCK_BYTES


class Streams:
    """Threads that work for the calling thread, each on a session of its own; leaving it ends them all."""

    def __init__(self, connection: Connection, plan: Plan[Any]) -> None:
        self._connection = connection
        self._plan = plan
        self._pool = ThreadPoolExecutor(STREAMS_MAX + 1, thread_name_prefix="cosmos-transfer")
        self._begun: list[Future[Any]] = []
        self._working: list[tuple[Session, threading.Event]] = []
        self._aborts: list[Callable[[], None]] = []
        self._events: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def __enter__(self) -> "Streams":
        return self

    def start(self, count: int, work: Callable[[Session], None]) -> None:
        """Let so many streams work; all but the first on connections of their own."""
        self.submit(self._work, self._connection, work)
        for _ in range(count - 1):
            extra = Connection(self._connection.host, self._connection.target)
            self._pool.submit(self._work_if_connected, extra, work).add_done_callback(self._events.put)

    def submit(self, function: Callable[..., Any], *args: Any) -> None:
        """Let a thread do something; what it returns or raises comes out of `next_event`."""
        future = self._pool.submit(function, *args)
        self._begun.append(future)
        future.add_done_callback(self._events.put)

    def report(self, event: object) -> None:
        """Let the calling thread know."""
        self._events.put(event)

    def next_event(self, on_idle: Callable[[], None]) -> Any:
        """Wait for a report; what a thread raised is raised here."""
        while True:
            try:
                event = self._events.get(timeout=IDLE_S)
            except queue.Empty:
                on_idle()
                continue
            return event.result() if isinstance(event, Future) else event

    def on_abort(self, function: Callable[[], None]) -> None:
        """Call this if the calling thread gives up."""
        self._aborts.append(function)

    def __exit__(self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._plan.stop()
        working = list(self._working)
        if kind is not None:
            for abort in (*self._aborts, *(pipe.abort for pipe, _ in working)):
                abort()
        # Whoever still tries to connect is not waited for; it finds out by itself that nothing is left to do.
        wait(self._begun)
        for _, has_ended in working:
            has_ended.wait()
        self._pool.shutdown(wait=False)

    def _work_if_connected(self, connection: Connection, work: Callable[[Session], None]) -> None:
        try:
            connection.transport()
        except HostError:
            # The others do it.
            return
        try:
            self._work(connection, work)
        finally:
            connection.close()

    def _work(self, connection: Connection, work: Callable[[Session], None]) -> None:
        with session(connection) as pipe:
            has_ended = threading.Event()
            self._working.append((pipe, has_ended))
            try:
                if not self._plan.is_stopped:
                    work(pipe)
            finally:
                has_ended.set()
