"""SFTP requests, many on the way at once, over a session that paramiko has opened; `session` has those that wait."""

import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath

import paramiko
from paramiko import sftp

from cosmos_ops.remote.packets import give_inbox, send_all

READ, WRITE, CREATE = sftp.SFTP_FLAG_READ, sftp.SFTP_FLAG_WRITE, sftp.SFTP_FLAG_CREATE
REQUEST_BYTES_OPENSSH = 261_120
REQUEST_BYTES_SAFE = 32_768
"""What every server takes in one request."""
ON_THE_WAY_BYTES_MAX = 1 << 22
OUTBOX_BYTES_MAX = 1 << 17
"""Small requests are collected up to here, or until somebody waits for an answer."""
_ANSWER_BYTES_MAX = 1 << 20
_HEAD = struct.Struct(">IBI")
# Far from the numbers that paramiko gives to its own requests on the same session.
_FIRST_NUMBER = 1 << 31


class RefusedError(Exception):
    """The host refused a request; `code` is SFTP's."""

    def __init__(self, code: int, words: str, path: PurePosixPath) -> None:
        super().__init__(words)
        self.code, self.words, self.path = code, words, path


@dataclass(frozen=True)
class Answer:
    """What came back for one request."""

    kind: int
    body: bytes

    def expect(self, kind: int, path: PurePosixPath) -> bytes:
        """The body of an answer of this kind.

        Raises:
            RefusedError: The host refused to do that with the path.
        """
        if self.kind == kind != sftp.CMD_STATUS:
            return self.body
        if self.kind != sftp.CMD_STATUS:
            raise paramiko.SFTPError(f"answer {self.kind} instead of {kind}")
        (code,) = struct.unpack_from(">I", self.body)
        if kind == sftp.CMD_STATUS and code == sftp.SFTP_OK:
            return self.body
        (size,) = struct.unpack_from(">I", self.body, 4) if len(self.body) >= 8 else (0,)
        raise RefusedError(code, self.body[8 : 8 + size].decode("utf-8", "replace"), path)

    def handle(self, path: PurePosixPath) -> bytes:
        """The handle of a file that was opened."""
        return bytes(self.expect(sftp.CMD_HANDLE, path)[4:])

    def data(self, path: PurePosixPath) -> memoryview:
        """What was read; nothing at the end of the file."""
        return memoryview(b"" if self.is_at_end(path) else self.expect(sftp.CMD_DATA, path))[4:]

    def done(self, path: PurePosixPath) -> None:
        """Make sure that it was done."""
        self.expect(sftp.CMD_STATUS, path)

    def is_missing(self, path: PurePosixPath) -> bool:
        """Whether it was not done because something was not there.

        Raises:
            RefusedError: It was not done for another reason.
        """
        return self._is(sftp.SFTP_NO_SUCH_FILE, path)

    def is_at_end(self, path: PurePosixPath) -> bool:
        """Whether there was nothing more to read.

        Raises:
            RefusedError: It could not be read for another reason.
        """
        return self._is(sftp.SFTP_EOF, path)

    def _is(self, code: int, path: PurePosixPath) -> bool:
        if self.kind != sftp.CMD_STATUS:
            return False
        try:
            self.done(path)
        except RefusedError as error:
            if error.code == code:
                return True
            raise
        return False


Then = Callable[[Answer], object]
"""Takes note of an answer; it must not ask anything itself."""


class Pipeline:
    """One SFTP session; of one thread."""

    def __init__(self, client: paramiko.SFTPClient) -> None:
        channel = client.get_channel()
        assert channel is not None
        give_inbox(channel)
        self._channel = channel
        self._waiting: dict[int, tuple[Then, int]] = {}
        self._number = _FIRST_NUMBER
        self._on_the_way_bytes = 0
        self.waits_s: list[float] = []
        """How long single answers took."""
        self._outbox: list[bytes] = []
        self._outbox_bytes = 0
        # Every OpenSSH takes this much; of other servers only the standard's size is sure.
        is_openssh = "OpenSSH" in channel.get_transport().remote_version
        self.request_bytes = REQUEST_BYTES_OPENSSH if is_openssh else REQUEST_BYTES_SAFE

    def open(self, path: PurePosixPath, flags: int, then: Then) -> None:
        """Ask for a handle."""
        self.ask(sftp.CMD_OPEN, text(path), struct.pack(">II", flags, 0), then=then)

    def close(self, handle: bytes, then: Then) -> None:
        """Give a handle back."""
        self.ask(sftp.CMD_CLOSE, string(handle), then=then)

    def write(self, handle: bytes, offset: int, data: bytes, then: Then) -> None:
        """Write at an offset."""
        self.ask(sftp.CMD_WRITE, string(handle), struct.pack(">QI", offset, len(data)), data, then=then, moves_bytes=len(data))

    def read(self, handle: bytes, offset: int, size: int, then: Then) -> None:
        """Read at an offset; the answer may hold less."""
        self.ask(sftp.CMD_READ, string(handle), struct.pack(">QI", offset, size), then=then, moves_bytes=size)

    def stat(self, path: PurePosixPath, then: Then) -> None:
        """Ask for size and time of a file."""
        self.ask(sftp.CMD_STAT, text(path), then=then)

    def rename(self, old: PurePosixPath, new: PurePosixPath, then: Then) -> None:
        """Rename, replacing what has the new name."""
        self.ask(sftp.CMD_EXTENDED, string(b"posix-rename@openssh.com"), text(old), text(new), then=then)

    def call(self, kind: int, *fields: bytes) -> Answer:
        """Ask and wait."""
        answers: list[Answer] = []
        self.ask(kind, *fields, then=answers.append)
        self.await_first(answers)
        return answers[0]

    def await_first(self, answers: list[Answer]) -> None:
        """Wait for the first answer to what has just been asked, and note how long that takes."""
        if answers:
            return
        asked_at = time.monotonic()
        while not answers:
            self.take_in()
        self.waits_s.append(time.monotonic() - asked_at)

    def ask(self, kind: int, *fields: bytes, then: Then, moves_bytes: int = 0) -> None:
        """Send a request, soon, and take in the answers that have come."""
        self._number += 1
        self._waiting[self._number] = then, moves_bytes
        self._on_the_way_bytes += moves_bytes
        size = 5 + sum(map(len, fields))
        self._outbox += (_HEAD.pack(size, kind, self._number), *fields)
        self._outbox_bytes += 4 + size
        if self._outbox_bytes >= OUTBOX_BYTES_MAX:
            self._flush()
        while self._channel.recv_ready() or self._on_the_way_bytes > ON_THE_WAY_BYTES_MAX:
            self.take_in()

    @property
    def is_waiting(self) -> bool:
        """Whether answers are still to come."""
        return bool(self._waiting)

    def settle(self) -> None:
        """Wait for all answers."""
        while self._waiting:
            self.take_in()

    def abort(self) -> None:
        """Close the session, from another thread; whoever waits on it gets EOFError."""
        with suppress(EOFError, OSError, paramiko.SSHException):
            self._channel.close()

    def take_in(self) -> None:
        """Wait for one answer and hand it to whoever asked."""
        self._flush()
        size, kind, number = _HEAD.unpack(self._receive(_HEAD.size))
        if not _HEAD.size - 4 <= size <= _ANSWER_BYTES_MAX:
            raise paramiko.SFTPError(f"an answer of {size} bytes")
        body = self._receive(4 + size - _HEAD.size)
        then, moved_bytes = self._waiting.pop(number)
        self._on_the_way_bytes -= moved_bytes
        then(Answer(kind, body))

    def _flush(self) -> None:
        if self._outbox:
            data = b"".join(self._outbox)
            self._outbox.clear()
            self._outbox_bytes = 0
            send_all(self._channel, data)

    def _receive(self, size: int) -> bytes:
        data = self._channel.recv(size) if size else b""
        while len(data) < size:
            more = self._channel.recv(size - len(data))
            if not more:
                raise EOFError("the SFTP session was closed")
            data += more
        return data


def text(path: PurePosixPath) -> bytes:
    """A path as a field of a request."""
    return string(str(path).encode("utf-8", "surrogateescape"))


def string(value: bytes) -> bytes:
    """Bytes as a field of a request."""
    return struct.pack(">I", len(value)) + value
