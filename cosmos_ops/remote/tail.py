"""Reading files of a host as they grow: they stay open, so that a look costs one round trip."""

import threading
from contextlib import ExitStack, suppress
from pathlib import PurePosixPath

from cosmos_ops.errors import HostError
from cosmos_ops.remote.connection import Connection
from cosmos_ops.remote.foreign import translated
from cosmos_ops.remote.pipeline import READ, RefusedError
from cosmos_ops.remote.refusals import said
from cosmos_ops.remote.session import Session, session

OPEN_MAX = 32


class Tail:
    """Reads growing files of one host over one session, which it takes with the first file."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._held = ExitStack()
        self._session: Session | None = None
        self._handles: dict[PurePosixPath, bytes] = {}

    def read(self, path: PurePosixPath, offset: int, limit: int) -> bytes:
        """What is there from an offset on, at most so much; nothing if the file is not there."""
        with self._lock, translated(self._connection.host):
            is_through = False
            try:
                content = self._read(path, offset, limit)
                is_through = True
                return content
            except RefusedError as error:
                raise said(self._connection, error) from error
            finally:
                if not is_through:
                    self._drop()

    def forget(self, folder: PurePosixPath) -> None:
        """Close the files of a folder, which is going to be removed."""
        with self._lock:
            if any(path.is_relative_to(folder) for path in self._handles):
                self._drop()

    def _read(self, path: PurePosixPath, offset: int, limit: int) -> bytes:
        remote = self._session = self._session or self._held.enter_context(session(self._connection))
        handle = self._handle(remote, path)
        if handle is None:
            return b""
        pieces = [remote.piece(handle, offset, min(limit, remote.request_bytes), path)]
        if len(pieces[0]) == remote.request_bytes:
            # There is more: ask for all of it at once.
            rest = range(offset + remote.request_bytes, offset + limit, remote.request_bytes)
            pieces += remote.pieces(handle, [(at, min(remote.request_bytes, offset + limit - at)) for at in rest], path)
        return b"".join(pieces)

    def _handle(self, remote: Session, path: PurePosixPath) -> bytes | None:
        if path not in self._handles:
            handle = remote.open_if_there(path, READ)
            if handle is None:
                return None
            if len(self._handles) >= OPEN_MAX:
                oldest = next(iter(self._handles))
                remote.close_file(self._handles.pop(oldest), oldest)
            self._handles[path] = handle
        return self._handles[path]

    def _drop(self) -> None:
        # The host closes the files with the session.
        if self._session is not None:
            self._session.abort()
        self._session = None
        self._handles.clear()
        with suppress(HostError):
            self._held.close()
