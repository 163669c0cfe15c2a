"""What has come for a channel: unlike paramiko's own pipe it wakes the reader only when all that he waits for is there."""

import threading
import time
from collections import deque

from paramiko.buffered_pipe import PipeTimeout


class Inbox:
    """Takes the place of paramiko's `BufferedPipe` in a channel."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._chunks: deque[bytes | memoryview] = deque()
        self._size = 0
        self._wanted = 0
        self._is_closed = False

    def feed(self, data: bytes | memoryview) -> None:
        """Take what has come."""
        with self._changed:
            self._chunks.append(data)
            self._size += len(data)
            if self._size >= self._wanted:
                self._changed.notify_all()

    def read_ready(self) -> bool:
        """Whether anything is there."""
        return self._size > 0

    def read(self, nbytes: int, timeout: float | None = None) -> bytes:
        """Wait for so many bytes; fewer only at the end of all, or if time runs out with some there."""
        with self._changed:
            self._wanted = nbytes
            until = None if timeout is None else time.monotonic() + timeout
            while self._size < nbytes and not self._is_closed:
                if not self._changed.wait(None if until is None else until - time.monotonic()):
                    if self._size:
                        break
                    raise PipeTimeout
            return self._taken(min(nbytes, self._size))

    def close(self) -> None:
        """No more will come."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def __len__(self) -> int:
        return self._size

    def _taken(self, size: int) -> bytes:
        self._size -= size
        parts: list[bytes | memoryview] = []
        while size:
            chunk = self._chunks.popleft()
            if len(chunk) > size:
                view = memoryview(chunk)
                self._chunks.appendleft(view[size:])
                chunk = view[:size]
            parts.append(chunk)
            size -= len(chunk)
        return b"".join(parts)
