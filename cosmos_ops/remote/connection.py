"""The SSH connection to a host: one for each host and process, shared by threads, made anew by itself after it was cut."""

import shlex
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

import paramiko

from cosmos_ops.errors import HostUnreachableError
from cosmos_ops.remote.foreign import ours, translated
from cosmos_ops.remote.login import connected
from cosmos_ops.remote.ssh_transport import PACKET_BYTES, Transport
from cosmos_ops.remote.target import SSHTarget

ANSWER_LIMIT_S = 20.0
"""How long an answer of the host may take before it counts as lost."""
SESSIONS_MAX = 5
"""At work at a time. sshd allows 10 on a connection by default; idle SFTP clients and docker commands are beside these."""
SFTP_IDLE_MAX = 2
T = TypeVar("T")
NO_STATUS = -1
"""What paramiko gives as exit status where none came: the connection broke, or a busy server left it out."""
RUNS = 2
PAUSE_MIN_S, PAUSE_MAX_S = 0.5, 15.0
"""Between two attempts to connect; doubles from the first to the second."""


@dataclass(frozen=True)
class Finished:
    """How a command on the host ended."""

    code: int
    stdout: str
    stderr: str


class Connection:
    """One SSH connection; every call connects first if need be, and raises `HostUnreachableError` while that fails."""

    def __init__(self, host: str, target: SSHTarget) -> None:
        self.host = host
        self.target = target
        self._lock = threading.RLock()
        self._client: paramiko.SSHClient | None = None
        self._sessions = threading.BoundedSemaphore(SESSIONS_MAX)
        self._sftp_idle: list[paramiko.SFTPClient] = []
        self._pause_s = 0.0
        self._next_attempt = 0.0
        self._last_error: Exception | None = None
        self._is_closed = False

    def transport(self) -> Transport:
        """The living transport.

        Raises:
            HostUnreachableError: The host does not answer, or did not a moment ago.
            HostKeyError: It is not the machine that it was.
            LoginRefusedError: It lets nobody in.
        """
        with self._lock:
            transport = self._client.get_transport() if self._client else None
            if transport is not None and transport.is_active():
                assert isinstance(transport, Transport)
                return transport
            return self._reconnected()

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", limit_s: float = ANSWER_LIMIT_S) -> Finished:
        """Run a command to its end; its words reach it as they are, whatever they hold. It may run twice.

        Raises:
            HostUnreachableError: The connection broke, or the command ended twice without saying how.
        """
        for _ in range(RUNS):
            with translated(self.host), self._session() as channel:
                channel.settimeout(limit_s)
                # An end of input that we send may arrive after a quick command has ended: sshd then ends the whole connection.
                channel.exec_command(_quoted(argv) if stdin else f"{_quoted(argv)} </dev/null")
                for start in range(0, len(stdin), PACKET_BYTES):
                    channel.sendall(stdin[start : start + PACKET_BYTES])
                if stdin:
                    channel.shutdown_write()
                stdout, stderr = _drained(channel)
                code = channel.recv_exit_status()
            if code != NO_STATUS:
                return Finished(code, stdout, stderr)
        raise HostUnreachableError(f"host {self.host}: the connection broke while '{argv[0]}' ran")

    @contextmanager
    def sftp(self) -> Iterator[paramiko.SFTPClient]:
        """An SFTP client for us alone; its errors become ours, but for a missing file (FileNotFoundError)."""
        with self._sessions_left(), translated_but_missing(self.host):
            client = self._idle_sftp() or self._new_sftp()
            try:
                yield client
            except (FileNotFoundError, PermissionError):
                self._give_back(client)
                raise
            except BaseException:
                # In the middle of a request: what comes next on this channel would be misunderstood.
                with suppress(Exception):
                    client.close()
                raise
            self._give_back(client)

    def open_unix_socket(self, path: str) -> paramiko.Channel:
        """A channel to a Unix socket on the host; does not count as a session."""
        channel = self._opened(lambda transport: transport.open_unix_socket(path, timeout_s=ANSWER_LIMIT_S))
        channel.settimeout(ANSWER_LIMIT_S)
        return channel

    @contextmanager
    def command(self, argv: Sequence[str], *, limit_s: float = ANSWER_LIMIT_S) -> Iterator[paramiko.Channel]:
        """A channel to a command; counts as a session."""
        with translated(self.host), self._session() as channel:
            channel.settimeout(limit_s)
            channel.exec_command(_quoted(argv))
            yield channel

    def open_command(self, argv: Sequence[str]) -> paramiko.Channel:
        """A channel to a command that goes on; the caller sees to it that there are few."""
        channel = self._opened(lambda transport: transport.open_session(timeout=ANSWER_LIMIT_S))
        channel.settimeout(ANSWER_LIMIT_S)
        channel.exec_command(_quoted(argv))
        return channel

    def drop(self) -> None:
        """Give up the connection as it is now; the next call makes a new one."""
        with self._lock:
            for client in self._sftp_idle:
                with suppress(Exception):
                    client.close()
            self._sftp_idle.clear()
            if self._client is not None:
                self._client.close()
                self._client = None

    def close(self) -> None:
        """Close it for good."""
        self._is_closed = True
        self.drop()

    def _reconnected(self) -> Transport:
        if self._is_closed:
            raise HostUnreachableError(f"host {self.host}: the connection was closed by us")
        if self._last_error is not None and time.monotonic() < self._next_attempt:
            raise ours(self._last_error, self.host)
        self.drop()
        try:
            with translated(self.host):
                self._client = connected(self.target)
        except Exception as error:
            self._pause_s = min(max(2 * self._pause_s, PAUSE_MIN_S), PAUSE_MAX_S)
            self._next_attempt, self._last_error = time.monotonic() + self._pause_s, error
            raise
        self._pause_s, self._last_error = 0.0, None
        transport = self._client.get_transport()
        assert isinstance(transport, Transport)
        return transport

    def _opened(self, open_on: Callable[[Transport], T]) -> T:
        """Open something; where that shows that the connection was cut a moment ago, on a new one."""
        transport = self.transport()
        try:
            return open_on(transport)
        except paramiko.ChannelException:
            raise
        except (paramiko.SSHException, EOFError, OSError) as error:
            if isinstance(error, EOFError):
                # The other side is gone, though the transport's own thread may not have seen it yet.
                transport.close()
            if transport.is_active():
                raise
            return open_on(self.transport())

    @contextmanager
    def _session(self) -> Iterator[paramiko.Channel]:
        with self._sessions_left():
            channel = self._opened(lambda transport: transport.open_session(timeout=ANSWER_LIMIT_S))
            try:
                yield channel
            finally:
                channel.close()

    @contextmanager
    def _sessions_left(self) -> Iterator[None]:
        """Keep below what sshd allows."""
        if not self._sessions.acquire(timeout=ANSWER_LIMIT_S):
            raise HostUnreachableError(f"host {self.host}: all {SESSIONS_MAX} sessions were busy for {ANSWER_LIMIT_S:.0f} s")
        try:
            yield
        finally:
            self._sessions.release()

    def _idle_sftp(self) -> paramiko.SFTPClient | None:
        transport = self.transport()
        with self._lock:
            while self._sftp_idle:
                client = self._sftp_idle.pop()
                channel = client.get_channel()
                if channel is not None and not channel.closed and channel.get_transport() is transport:
                    return client
        return None

    def _new_sftp(self) -> paramiko.SFTPClient:
        return self._opened(_open_sftp)

    def _give_back(self, client: paramiko.SFTPClient) -> None:
        with self._lock:
            if len(self._sftp_idle) < SFTP_IDLE_MAX and not self._is_closed:
                self._sftp_idle.append(client)
                return
        client.close()


def _open_sftp(transport: paramiko.Transport) -> paramiko.SFTPClient:
    """As `SFTPClient.from_transport`, whose greetings would wait for a host that is away without any limit."""
    channel = transport.open_session(timeout=ANSWER_LIMIT_S)
    channel.settimeout(ANSWER_LIMIT_S)
    channel.invoke_subsystem("sftp")
    return paramiko.SFTPClient(channel)


@contextmanager
def translated_but_missing(host: str) -> Iterator[None]:
    """As `translated`, but that a file is missing or closed to us stays what it is: the caller knows what that means."""
    try:
        with translated(host):
            yield
    except HostUnreachableError as error:
        if isinstance(error.__cause__, FileNotFoundError | PermissionError):
            raise error.__cause__ from None
        raise


def _quoted(argv: Sequence[str]) -> str:
    """The one place where words become a command line; the login shell of the host takes it apart into the same words."""
    return shlex.join(argv)


def _drained(channel: paramiko.Channel) -> tuple[str, str]:
    """All that a command prints; the window of a channel is larger than what any of our commands says on stderr."""
    stdout = b"".join(iter(lambda: channel.recv(PACKET_BYTES), b""))
    stderr = b"".join(iter(lambda: channel.recv_stderr(PACKET_BYTES), b""))
    return stdout.decode("utf-8", "replace"), stderr.decode("utf-8", "replace")
