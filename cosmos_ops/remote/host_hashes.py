"""SHA-256 of files on a host, by the programs that are there."""

import hashlib
import re
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import PurePosixPath

import paramiko
from paramiko import sftp

from cosmos_ops.remote.connection import Connection
from cosmos_ops.remote.pipeline import RefusedError
from cosmos_ops.remote.session import session

# OpenSSL uses what the processor has for SHA-256 and is several times as fast as some builds of sha256sum.
# In the folder itself: whatever its name holds, it does not come back in the output.
_OF_FILES = 'cd -- "$1" && shift && { openssl dgst -sha256 -r "$@" 2>/dev/null || sha256sum -- "$@"; }'
# Each line on standard input says how many MiB more of the file are there. Where there is no Python, all is read at the end.
_ALONG = """
import hashlib, sys
digest, file = hashlib.sha256(), open(sys.argv[1], "rb", 0)
for line in sys.stdin:
    left = int(line) << 20
    while left > 0:
        data = file.read(min(left, 1 << 18))
        if not data:
            break
        digest.update(data)
        left -= len(data)
print(digest.hexdigest() + "  -")
"""
_LINE = re.compile(r"^([0-9a-f]{64}) [ *](.+)$", re.MULTILINE)
_STEP_MIB = 16
_BYTES_PER_S_MIN = 20_000_000
_PATIENCE_S = 30.0
_RECEIVE_BYTES = 1 << 16


class HostHashes:
    """Asks a host for hashes; `abort` ends the asking from another thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._channel: paramiko.Channel | None = None
        self.is_aborted = False

    def of(self, folder: PurePosixPath, names: Sequence[str], *, size_bytes: int) -> dict[str, str]:
        """Name to hash, of files below one folder; those that are not there are left out. The names must be plain paths."""
        found = self._by_command(folder, names, size_bytes)
        for name in names:
            if name not in found and not self.is_aborted:
                self._add_by_reading(found, folder, name)
        return found

    def abort(self) -> None:
        """Give up; `of` returns soon."""
        self.is_aborted = True
        if self._channel is not None:
            _close(self._channel)

    def _by_command(self, folder: PurePosixPath, names: Sequence[str], size_bytes: int) -> dict[str, str]:
        argv = ["sh", "-c", _OF_FILES, "sh", str(folder), *names]
        with self._connection.command(argv, limit_s=_limit_s(size_bytes)) as channel:
            self._channel = channel
            output = _output(channel)
        hashes = {name: sha256 for sha256, name in _LINE.findall(output)}
        return {name: hashes[name] for name in names if name in hashes}

    def _add_by_reading(self, found: dict[str, str], folder: PurePosixPath, name: str) -> None:
        digest = hashlib.sha256()
        try:
            with session(self._connection) as remote:
                for data in remote.content(folder / name):
                    digest.update(data)
        except RefusedError as error:
            if error.code != sftp.SFTP_NO_SUCH_FILE:
                raise
            return
        found[name] = digest.hexdigest()


class HashAlong:
    """The hash of one file that is still being written, so that at its end little is left to read."""

    def __init__(self, connection: Connection, path: PurePosixPath, *, size_bytes: int) -> None:
        self._size_mib = -(-size_bytes >> 20)
        self._told_mib = 0
        self._held = ExitStack()
        argv = ["python3", "-IS", "-c", _ALONG, str(path)]
        self._channel = self._held.enter_context(connection.command(argv, limit_s=_limit_s(size_bytes)))

    def tell(self, whole_bytes: int) -> None:
        """So much of the file is there, from its start on."""
        if (whole_bytes >> 20) - self._told_mib >= _STEP_MIB:
            self._tell_mib(whole_bytes >> 20)

    def finish(self) -> str | None:
        """The hash, now that all is there; none if the host cannot do it like this."""
        if self._size_mib > self._told_mib:
            self._tell_mib(self._size_mib)
        # If the program there has ended, its channel is closed.
        with suppress(EOFError, OSError, paramiko.SSHException):
            self._channel.shutdown_write()
            found = _LINE.search(_output(self._channel))
            return found[1] if found else None
        return None

    def abort(self) -> None:
        """Give up, from another thread."""
        _close(self._channel)

    def close(self) -> None:
        """Let go of the session."""
        self._held.close()

    def _tell_mib(self, mib: int) -> None:
        with suppress(EOFError, OSError, paramiko.SSHException):
            self._channel.sendall(f"{mib - self._told_mib}\n".encode())
        self._told_mib = mib


def _limit_s(size_bytes: int) -> float:
    return _PATIENCE_S + size_bytes / _BYTES_PER_S_MIN


def _output(channel: paramiko.Channel) -> str:
    return b"".join(iter(lambda: channel.recv(_RECEIVE_BYTES), b"")).decode("utf-8", "replace")


def _close(channel: paramiko.Channel) -> None:
    with suppress(EOFError, OSError, paramiko.SSHException):
        channel.close()
