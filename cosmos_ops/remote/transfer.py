"""Moving files between this machine and a host, and looking after the folders there, by SFTP."""

import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import PurePosixPath

from paramiko import sftp

from cosmos_ops.errors import HostUnhealthyError
from cosmos_ops.remote.connection import Connection
from cosmos_ops.remote.downloads import Download, Downloads
from cosmos_ops.remote.host import ignore_bytes
from cosmos_ops.remote.judging import Turns
from cosmos_ops.remote.movers import Upload
from cosmos_ops.remote.pipeline import RefusedError
from cosmos_ops.remote.refusals import free_on_disk, said
from cosmos_ops.remote.session import Session, session
from cosmos_ops.remote.tail import Tail
from cosmos_ops.remote.turns import holding, taking_turns
from cosmos_ops.remote.uploads import Uploads, is_whole

__all__ = ["Download", "Transfers", "Upload"]
UPLOADS_MAX, DOWNLOADS_MAX = 2, 2
"""At the same time; each takes a session of the connection, and the verification of all uploads together two more."""
REMOVE_TRIES = 3


class Transfers:
    """Moves files to and from one host; safe to share among threads. Paths on the host are absolute.

    Every method raises `HostUnreachableError` while the host does not answer; calling again goes on where it was.
    """

    def __init__(self, connection: Connection, *, partials: PurePosixPath) -> None:
        self._connection = connection
        self._partials = partials
        self._tail = Tail(connection)
        self._uploads, self._downloads = threading.Semaphore(UPLOADS_MAX), threading.Semaphore(DOWNLOADS_MAX)
        self._turns = Turns()

    def upload(self, files: Sequence[Upload], *, on_sent: Callable[[int], None] = ignore_bytes) -> int:
        """Bring files to the host; one that lies there already, with the right size, is not sent again.

        Args:
            files: What to bring.
            on_sent: Told how many more bytes are on the host, in this thread, or 0 now and then while we wait; may raise, and
                what is there stays for later.

        Returns:
            Bytes sent.

        Raises:
            TransferError: A file is not there, has changed, or arrived damaged twice.
            DiskFullError: It does not fit, or the disk of the host became full.
            HostUnhealthyError: The user may not write there.
        """
        if not (missing := self._missing(files)):
            return 0
        wait = partial(on_sent, 0)
        with taking_turns([self._named(file.target) for file in missing], wait), holding(self._uploads, wait):
            return Uploads(self._connection, self._partials, on_sent, turns=self._turns).send(missing)

    def download(self, files: Sequence[Download], *, on_received: Callable[[int], None] = ignore_bytes) -> int:
        """Bring files home, verified, each whole or not at all.

        Args:
            files: What to bring.
            on_received: Told how many more bytes have come, in this thread, or 0 now and then while we wait; may raise.

        Returns:
            Bytes received.

        Raises:
            TransferError: A file is not there, or is not what its checksum says.
            DiskFullError: No space is left on this machine.
            OutputsFolderError: A folder here cannot be written.
        """
        wanted = list({file.target: file for file in files}.values())
        if not wanted:
            return 0
        wait = partial(on_received, 0)
        with taking_turns([str(file.target.absolute()) for file in wanted], wait), holding(self._downloads, wait):
            return Downloads(self._connection, on_received).receive(wanted)

    def read_text(self, path: PurePosixPath) -> str | None:
        """The text of a small file; none if it is not there."""
        with self._session() as remote:
            try:
                return b"".join(remote.content(path)).decode("utf-8", "replace")
            except RefusedError as error:
                if error.code == sftp.SFTP_NO_SUCH_FILE:
                    return None
                raise

    def write_text(self, path: PurePosixPath, text: str) -> None:
        """Write a small file, completely or not at all; makes the folder."""
        content = text.encode()
        draft = self._partials / f"text-{secrets.token_hex(8)}"
        with self._session(needed_bytes=len(content)) as remote:
            for folder in (self._partials, path.parent):
                remote.make_folder(folder)
            try:
                remote.put(draft, content)
                remote.replace(draft, path)
            except RefusedError:
                remote.remove(draft)
                raise

    def exists(self, path: PurePosixPath) -> bool:
        """Whether there is such a file or folder."""
        with self._session() as remote:
            return remote.stats([path])[0] is not None

    def make_folders(self, *paths: PurePosixPath) -> None:
        """Make folders, with those above them."""
        with self._session() as remote:
            for path in paths:
                remote.make_folder(path)

    def remove_tree(self, path: PurePosixPath) -> None:
        """Remove a file, or a folder with all that is in it; one that is not there is no error.

        Raises:
            HostUnhealthyError: Something in it refuses.
        """
        self._tail.forget(path)
        # Whoever writes into a folder while it is removed makes that fail, but not twice.
        for _ in range(REMOVE_TRIES):
            finished = self._connection.run(["rm", "-rf", "--", str(path)])
            if not finished.code:
                return
        raise HostUnhealthyError(
            f"host {self._connection.host}: {path} cannot be removed ({finished.stderr.strip()}); remove it there by hand"
        )

    def free_bytes(self, path: PurePosixPath) -> int:
        """Bytes that may still be written on the disk of a path; the path itself need not be there yet."""
        with self._session() as remote:
            return free_on_disk(self._connection, remote, path)

    def read_from(self, path: PurePosixPath, offset: int, limit: int) -> bytes:
        """What a growing file holds from an offset on; nothing if it is not there or has no more.

        The file stays open between two calls, so that this takes one round trip.
        """
        return self._tail.read(path, offset, limit)

    def _missing(self, files: Sequence[Upload]) -> list[Upload]:
        wanted = list({file.target: file for file in files}.values())
        with self._session() as remote:
            stats = remote.stats([file.target for file in wanted])
        return [file for file, stat in zip(wanted, stats, strict=True) if not is_whole(file, stat)]

    def _named(self, path: PurePosixPath) -> str:
        return f"{self._connection.target.address}:{self._connection.target.port}:{path}"

    @contextmanager
    def _session(self, *, needed_bytes: int = 0) -> Iterator[Session]:
        try:
            with session(self._connection) as remote:
                yield remote
        except RefusedError as error:
            raise said(self._connection, error, needed_bytes=needed_bytes) from error
