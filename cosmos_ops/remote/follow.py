"""Following a container from outside: its log file byte by byte, its end, its silence, and the loss of its host."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from cosmos_ops.errors import HostUnreachableError
from cosmos_ops.job import ContainerExit, LogLine
from cosmos_ops.remote.lines import LineSplitter

READ_BYTES = 1 << 20
PAUSE_MIN_S, PAUSE_MAX_S = 0.02, 0.25
"""Between two looks; the longer the silence, the longer."""
LOST_PAUSE_MAX_S = 5.0
PATIENCE_S = 20.0
"""How long a host that does not answer is waited for, once its container is to be stopped; the stop is done later then."""
HIDDEN = "***"


@dataclass(frozen=True)
class Watched:
    """A container on a host that may stop answering: each raises `HostUnreachableError` then."""

    read: Callable[[int], bytes]
    """Offset to what the log has from there on; nothing if there is no more now."""
    exit: Callable[[], ContainerExit | None]
    stop: Callable[[], None]


def follow(
    watched: Watched,
    *,
    on_line: Callable[[LogLine], None],
    is_cancelled: Callable[[], bool],
    on_contact: Callable[[bool], None],
    stall_limit_s: Callable[[], float],
) -> ContainerExit:
    """Hand over every line until the container has ended; see `Host.follow`.

    Raises:
        HostUnreachableError: It is to be stopped, and its host did not answer for `PATIENCE_S`.
        ContainerGoneError: It is not there any more.
    """
    following = _Following(watched, on_line, is_cancelled, on_contact, stall_limit_s)
    while (ended := following.look()) is None:
        time.sleep(following.pause_s)
    return ended


class _Following:
    def __init__(
        self,
        watched: Watched,
        on_line: Callable[[LogLine], None],
        is_cancelled: Callable[[], bool],
        on_contact: Callable[[bool], None],
        stall_limit_s: Callable[[], float],
    ) -> None:
        self._watched = watched
        self._on_line = on_line
        self._is_cancelled = is_cancelled
        self._on_contact = on_contact
        self._stall_limit_s = stall_limit_s
        self._splitter = LineSplitter()
        self._offset = 0
        self._spoke_at = time.monotonic()
        self._lost_at: float | None = None
        self._why = ContainerExit(0)
        """Why we stopped it, if we did."""
        self._is_stopped = False
        self.pause_s = PAUSE_MIN_S

    def look(self) -> ContainerExit | None:
        """One look: what is new goes out; the exit, once it has ended and all that it said has gone out."""
        try:
            ended = self._watched.exit()
            is_news = self._read()
            if ended is None:
                self._stop_if_due()
        except HostUnreachableError:
            self._lost()
            return None
        self._found()
        if ended is None:
            self.pause_s = PAUSE_MIN_S if is_news else min(1.5 * self.pause_s, PAUSE_MAX_S)
            return None
        self._hand_over(b"", is_last=True)
        return replace(ended, is_cancelled=self._why.is_cancelled, is_stalled=self._why.is_stalled)

    def _read(self) -> bool:
        is_news = False
        while data := self._watched.read(self._offset):
            self._offset += len(data)
            self._hand_over(data)
            is_news = True
        if is_news:
            self._spoke_at = time.monotonic()
        return is_news

    def _hand_over(self, data: bytes, *, is_last: bool = False) -> None:
        for line in self._splitter.feed(data, is_last=is_last):
            self._on_line(line)

    def _stop_if_due(self) -> None:
        if self._is_stopped:
            return
        if self._is_cancelled():
            self._why = ContainerExit(0, is_cancelled=True)
        elif time.monotonic() - self._spoke_at > self._stall_limit_s():
            self._why = ContainerExit(0, is_stalled=True)
        else:
            return
        self._watched.stop()
        self._is_stopped = True

    def _lost(self) -> None:
        now = time.monotonic()
        if self._lost_at is None:
            self._lost_at = now
            self._on_contact(False)
        if self._is_cancelled() and now - self._lost_at > PATIENCE_S:
            raise HostUnreachableError("the host does not answer; the container will be stopped once it does")
        self.pause_s = min(2 * self.pause_s, LOST_PAUSE_MAX_S)

    def _found(self) -> None:
        if self._lost_at is None:
            return
        self._lost_at, self.pause_s = None, PAUSE_MIN_S
        # Of a host that was away nobody knows whether its container was silent.
        self._spoke_at = time.monotonic()
        self._on_contact(True)


def masked(line: LogLine, secrets: Sequence[str]) -> LogLine:
    """The line without the secrets that its process was given."""
    text = line.text
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return line if text is line.text else replace(line, text=text)
