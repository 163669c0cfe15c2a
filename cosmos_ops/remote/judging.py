"""What has arrived on a host is verified there and gets its final name."""

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from cosmos_ops.errors import HostError
from cosmos_ops.remote.connection import Connection
from cosmos_ops.remote.host_hashes import HashAlong, HostHashes
from cosmos_ops.remote.movers import Upload
from cosmos_ops.remote.pipeline import Answer
from cosmos_ops.remote.session import Session, session
from cosmos_ops.remote.streams import Moving, StoppedError
from cosmos_ops.remote.turns import holding

ALONG_BYTES_MIN = 64_000_000
"""The hash of a file of this size is taken while it is sent."""


@dataclass(frozen=True)
class Judged:
    """What became of files that had arrived: which are in place, and the hashes of those that are not."""

    in_place: Sequence[Moving[Upload]]
    wrong: Sequence[tuple[Moving[Upload], str]]


@dataclass(frozen=True)
class Turns:
    """All uploads to a host share these, because each hash takes a session and a processor there."""

    judging: threading.Semaphore = field(default_factory=threading.Semaphore)
    following: threading.Semaphore = field(default_factory=threading.Semaphore)


class Judge:
    """Judges the files of one call."""

    def __init__(self, connection: Connection, partials: PurePosixPath, turns: Turns) -> None:
        self._connection = connection
        self._partials = partials
        self._turns = turns
        self._hashes = HostHashes(connection)
        self._followed: Moving[Upload] | None = None
        self._along: HashAlong | None = None

    def follow(self, moving: Moving[Upload]) -> None:
        """More of a file has arrived; a large one is hashed along."""
        if moving.size_bytes < ALONG_BYTES_MIN:
            return
        if self._followed is None and self._turns.following.acquire(blocking=False):
            self._followed = moving
            # If it cannot be done now, it is done when all is there.
            with suppress(HostError):
                self._along = HashAlong(self._connection, moving.path, size_bytes=moving.size_bytes)
        if self._followed is moving and self._along is not None:
            self._along.tell(moving.whole_bytes)

    def judge(self, batch: Sequence[Moving[Upload]]) -> Judged:
        """Verify files, and rename those that are right."""
        hashes = self._hashed_along(batch)
        others = [one for one in batch if one.path.name not in hashes]
        if others:
            size = sum(one.size_bytes for one in others)
            with holding(self._turns.judging, self._stop_if_aborted):
                hashes |= self._hashes.of(self._partials, [one.path.name for one in others], size_bytes=size)
        right = [one for one in batch if hashes.get(one.path.name) == one.file.sha256]
        with session(self._connection) as remote:
            in_place = self._renamed(remote, right)
        return Judged(in_place, [(one, hashes.get(one.path.name, "of nothing")) for one in batch if one not in in_place])

    def abort(self) -> None:
        """Give up, from another thread."""
        self._hashes.abort()
        if self._along is not None:
            self._along.abort()

    def close(self) -> None:
        """Let go of what is held on the host."""
        if self._followed is not None:
            if self._along is not None:
                self._along.close()
            self._along = None
            self._turns.following.release()
            self._followed = None

    def _hashed_along(self, batch: Sequence[Moving[Upload]]) -> dict[str, str]:
        if self._followed is None or self._followed not in batch or self._along is None:
            return {}
        name = self._followed.path.name
        try:
            sha256 = self._along.finish()
        finally:
            self.close()
        return {name: sha256} if sha256 else {}

    def _stop_if_aborted(self) -> None:
        if self._hashes.is_aborted:
            raise StoppedError

    def _renamed(self, remote: Session, right: Sequence[Moving[Upload]]) -> list[Moving[Upload]]:
        answers: list[list[Answer]] = [[] for _ in right]
        for one, answer in zip(right, answers, strict=True):
            remote.rename(one.path, one.file.target, answer.append)
        remote.settle()
        in_place = []
        for one, came in zip(right, answers, strict=True):
            # Another process takes a partial file over when nothing was heard of this one for long; it may be through with it.
            if not came[0].is_missing(one.file.target) or remote.stats([one.file.target])[0]:
                in_place.append(one)
        return in_place
