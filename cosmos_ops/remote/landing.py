"""A file that is being written on this machine: beside its target, hashed as it grows, and renamed when it is right."""

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from cosmos_ops.errors import DiskFullError, OutputsFolderError
from cosmos_ops.files import full_disk_said
from cosmos_ops.remote.partials import Partial, PartialName, choose, own_name

KEPT_BYTES_MIN = 1 << 23
"""What was broken off is kept from this size on."""
_PREFIX, _SUFFIX = ".", ".partial"
_CHUNK_BYTES = 1 << 20
_NAMED_DIGITS = 16
"""So much of a hash is in the name, because some systems allow only short paths; what counts is the whole hash at the end."""


class Landing:
    """One file; goes on with what an earlier attempt left of it, if that is among what was found."""

    def __init__(self, target: Path, found: Sequence[Partial], *, sha256: str, size_bytes: int) -> None:
        self.target = target
        self._digest = hashlib.sha256()
        place = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:8]
        with _writable(target):
            self._path, self.start_bytes = _claimed(target.parent, own_name(sha256[:_NAMED_DIGITS], place), found, size_bytes)
        self.written_bytes = self.start_bytes
        self._fd: int | None = None

    def write(self, pieces: Sequence[memoryview]) -> None:
        """Write what comes next.

        Raises:
            DiskFullError: No space is left here.
            OutputsFolderError: The folder cannot be written.
        """
        with _writable(self.target):
            fd = self._opened()
            for piece in pieces:
                self._digest.update(piece)
                rest = piece
                while rest:
                    rest = rest[os.write(fd, rest) :]
                self.written_bytes += len(piece)

    def sha256(self) -> str:
        """The hash of what has been written."""
        with _writable(self.target):
            self._opened()
        return self._digest.hexdigest()

    def finish(self) -> None:
        """Give the file its name, once the disk has it."""
        with _writable(self.target):
            # Some file systems report a full disk only when the data are flushed.
            os.fsync(self._opened())
            self._close()
            self._path.replace(self.target)

    def drop(self) -> None:
        """Leave nothing."""
        self._close()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def leave(self) -> None:
        """Keep what is there, if that is much."""
        if self.written_bytes < KEPT_BYTES_MIN:
            self.drop()
        self._close()

    def _opened(self) -> int:
        if self._fd is None:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
            while chunk := os.read(self._fd, _CHUNK_BYTES):
                self._digest.update(chunk)
        return self._fd

    def _close(self) -> None:
        if self._fd is not None:
            with suppress(OSError):
                os.close(self._fd)
            self._fd = None


def prepare(folder: Path) -> list[Partial]:
    """Make a folder, and see what earlier attempts left in it.

    Raises:
        OutputsFolderError: It cannot be written.
    """
    with _writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        return list(_found(folder))


def _claimed(folder: Path, own: PartialName, found: Sequence[Partial], size_bytes: int) -> tuple[Path, int]:
    """The partial file, under our own name, and how much of it is there; the rename is how one of several processes gets it."""
    path = folder / f"{_PREFIX}{own}{_SUFFIX}"
    best, useless = choose(found, own, size_bytes=size_bytes, now_s=time.time())
    for one in useless:
        (folder / f"{_PREFIX}{one.name}{_SUFFIX}").unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        if best is not None:
            (folder / f"{_PREFIX}{best.name}{_SUFFIX}").replace(path)
            return path, best.size_bytes
    return path, 0


def _found(folder: Path) -> Iterator[Partial]:
    for path in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
        name = PartialName.parse(path.name.removeprefix(_PREFIX).removesuffix(_SUFFIX))
        with suppress(FileNotFoundError):
            stat = path.stat()
            if name:
                yield Partial(name, stat.st_size, stat.st_mtime)


@contextmanager
def _writable(target: Path) -> Iterator[None]:
    try:
        with full_disk_said(target):
            yield
    except DiskFullError:
        raise
    except OSError as error:
        raise OutputsFolderError(
            f"{target} cannot be written: {error.strerror}; choose another folder, or mend this one"
        ) from error
