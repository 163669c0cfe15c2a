"""An SFTP session whose requests wait for their answers; `pipeline` has those that do not."""

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath

from paramiko import sftp

from cosmos_ops.remote.connection import Connection
from cosmos_ops.remote.pipeline import CREATE, READ, WRITE, Answer, Pipeline, RefusedError, string, text

READS_AT_ONCE = 8
ROUND_TRIPS = 2
_HAS_SIZE, _HAS_OWNER, _HAS_MODE, _HAS_TIMES, _HAS_MORE = 1, 2, 4, 8, 1 << 31


@dataclass(frozen=True)
class FileStat:
    """What the host knows of a file."""

    size_bytes: int
    modified_s: int


@dataclass(frozen=True)
class DiskStat:
    """What the host knows of a file system."""

    free_bytes: int
    has_files_left: bool


class Session(Pipeline):
    """All that we do with files on a host; a path that the host refuses raises `RefusedError`."""

    def stats(self, paths: Sequence[PurePosixPath]) -> list[FileStat | None]:
        """Size and time of many files with one wait; none for those that are not there."""
        answers: list[list[Answer]] = [[] for _ in paths]
        for path, answer in zip(paths, answers, strict=True):
            self.stat(path, answer.append)
        if paths:
            self.await_first(answers[0])
        self.settle()
        return [_file_stat(answer[0], path) for path, answer in zip(paths, answers, strict=True)]

    def round_trip_s(self) -> float:
        """How long an answer takes, when neither side happens to be busy."""
        while len(self.waits_s) < ROUND_TRIPS:
            self.stats([PurePosixPath("/")])
        return min(self.waits_s)

    def ask_entries(self, folder: PurePosixPath) -> Callable[[], dict[str, FileStat]]:
        """Begin to list a folder; what is given back waits for it: name to size and time, nothing if it is not there."""
        opened: list[Answer] = []
        self.ask(sftp.CMD_OPENDIR, text(folder), then=opened.append)
        return partial(self._entries, folder, opened)

    def ask_disk(self, path: PurePosixPath) -> Callable[[], DiskStat | None]:
        """Begin to ask for the file system of a file or folder; none where it is not there or the server cannot tell."""
        answers: list[Answer] = []
        self.ask(sftp.CMD_EXTENDED, string(b"statvfs@openssh.com"), text(path), then=answers.append)
        return partial(self._disk, answers)

    def disk(self, path: PurePosixPath) -> DiskStat | None:
        """The file system of a file or folder."""
        return self.ask_disk(path)()

    def content(self, path: PurePosixPath) -> Iterator[memoryview]:
        """What is in a file, piece by piece."""
        handle = self.open_file(path, READ)
        offset = 0
        while True:
            starts = range(offset, offset + READS_AT_ONCE * self.request_bytes, self.request_bytes)
            found = self.pieces(handle, [(start, self.request_bytes) for start in starts], path)
            yield from found
            offset += sum(map(len, found))
            if not found[-1]:
                break
        self.close_file(handle, path)

    def piece(self, handle: bytes, offset: int, size: int, path: PurePosixPath) -> memoryview:
        """What an open file holds at an offset, or less; nothing at its end."""
        return self.call(sftp.CMD_READ, string(handle), struct.pack(">QI", offset, size)).data(path)

    def pieces(self, handle: bytes, parts: Sequence[tuple[int, int]], path: PurePosixPath) -> list[memoryview]:
        """What an open file holds at offsets, in sizes; up to the first that is not all there."""
        answers: list[list[Answer]] = [[] for _ in parts]
        for (offset, size), answer in zip(parts, answers, strict=True):
            self.read(handle, offset, size, answer.append)
        self.settle()
        found: list[memoryview] = []
        for (_, size), came in zip(parts, answers, strict=True):
            found.append(came[0].data(path))
            if len(found[-1]) < size:
                break
        return found

    def open_if_there(self, path: PurePosixPath, flags: int) -> bytes | None:
        """The handle of a file; none if it is not there."""
        try:
            return self.open_file(path, flags)
        except RefusedError as error:
            if error.code == sftp.SFTP_NO_SUCH_FILE:
                return None
            raise

    def open_file(self, path: PurePosixPath, flags: int) -> bytes:
        """The handle of a file."""
        return self.call(sftp.CMD_OPEN, text(path), struct.pack(">II", flags, 0)).handle(path)

    def close_file(self, handle: bytes, path: PurePosixPath) -> None:
        """Give a handle back."""
        self.call(sftp.CMD_CLOSE, string(handle)).done(path)

    def put(self, path: PurePosixPath, content: bytes) -> None:
        """Write a small file that is not there yet."""
        handle = self.open_file(path, WRITE | CREATE)
        answers: list[Answer] = []
        for start in range(0, len(content), self.request_bytes):
            self.write(handle, start, content[start : start + self.request_bytes], answers.append)
        self.settle()
        for answer in answers:
            answer.done(path)
        self.close_file(handle, path)

    def _entries(self, folder: PurePosixPath, opened: list[Answer]) -> dict[str, FileStat]:
        self.await_first(opened)
        if opened[0].is_missing(folder):
            return {}
        handle, found = opened[0].handle(folder), dict[str, FileStat]()
        while True:
            answers: list[Answer] = []
            for _ in range(READS_AT_ONCE):
                self.ask(sftp.CMD_READDIR, string(handle), then=answers.append)
            self.await_first(answers)
            self.settle()
            for answer in answers:
                if answer.is_at_end(folder):
                    self.close(handle, lambda _: None)
                    return found
                found |= _entries(answer.expect(sftp.CMD_NAME, folder))

    def _disk(self, answers: list[Answer]) -> DiskStat | None:
        self.await_first(answers)
        if answers[0].kind != sftp.CMD_EXTENDED_REPLY:
            return None
        _, fragment_bytes, _, _, available, files, _, files_available = struct.unpack_from(">8Q", answers[0].body)
        # Some file systems have no fixed number of files and say 0.
        return DiskStat(available * fragment_bytes, has_files_left=files == 0 or files_available > 0)

    def make_folder(self, path: PurePosixPath) -> None:
        """Make a folder and those above it; one that is there is no error."""
        missing = []
        for folder in (path, *path.parents):
            if self.stats([folder])[0] is not None:
                break
            missing.append(folder)
        for folder in reversed(missing):
            answer = self.call(sftp.CMD_MKDIR, text(folder), struct.pack(">I", 0))
            # Somebody else may have made it meanwhile.
            if self.stats([folder])[0] is None:
                answer.done(folder)

    def set_size(self, path: PurePosixPath, size_bytes: int) -> None:
        """Cut a file off."""
        self.call(sftp.CMD_SETSTAT, text(path), struct.pack(">IQ", _HAS_SIZE, size_bytes)).done(path)

    def remove(self, path: PurePosixPath) -> None:
        """Remove a file; one that is not there is no error."""
        self.call(sftp.CMD_REMOVE, text(path)).is_missing(path)

    def replace(self, old: PurePosixPath, new: PurePosixPath) -> bool:
        """Rename, replacing what has the new name; says whether the file was there."""
        answers: list[Answer] = []
        self.rename(old, new, answers.append)
        self.settle()
        return not answers[0].is_missing(new)


@contextmanager
def session(connection: Connection) -> Iterator[Session]:
    """A session for us alone; besides `RefusedError` only our errors come out."""
    with connection.sftp() as client:
        remote = Session(client)
        yield remote
        remote.settle()


def _file_stat(answer: Answer, path: PurePosixPath) -> FileStat | None:
    try:
        body = answer.expect(sftp.CMD_ATTRS, path)
    except RefusedError as error:
        if error.code == sftp.SFTP_NO_SUCH_FILE:
            return None
        raise
    return _attributes(body, 0)[0]


def _entries(body: bytes) -> dict[str, FileStat]:
    (count,) = struct.unpack_from(">I", body)
    found, at = {}, 4
    for _ in range(count):
        name, at = _field(body, at)
        _, at = _field(body, at)
        stat, at = _attributes(body, at)
        found[name.decode("utf-8", "surrogateescape")] = stat
    return found


def _field(body: bytes, at: int) -> tuple[bytes, int]:
    (size,) = struct.unpack_from(">I", body, at)
    return body[at + 4 : at + 4 + size], at + 4 + size


def _attributes(body: bytes, at: int) -> tuple[FileStat, int]:
    """What SFTP says of a file, and where it ends in the answer."""
    (flags,) = struct.unpack_from(">I", body, at)
    at += 4
    size, modified_s = -1, 0
    if flags & _HAS_SIZE:
        (size,) = struct.unpack_from(">Q", body, at)
        at += 8
    at += 8 * bool(flags & _HAS_OWNER) + 4 * bool(flags & _HAS_MODE)
    if flags & _HAS_TIMES:
        _, modified_s = struct.unpack_from(">II", body, at)
        at += 8
    if flags & _HAS_MORE:
        (count,) = struct.unpack_from(">I", body, at)
        at += 4
        for _ in range(2 * count):
            _, at = _field(body, at)
    return FileStat(size, modified_s), at
