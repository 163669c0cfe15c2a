"""One file from the registry to the disk: resumed where it was, verified before anybody sees it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError

from .hashing import CHUNK_BYTES, Hashes
from .hub import NETWORK_ERRORS, Hub
from .patience import Patience
from .places import agree
from .reporting import Counter
from .shelf import Wanted, is_right
from .trouble import Stopped, Trouble, of_disk

PARTIAL_CONTENT, RANGE_REFUSED = 206, 416


@dataclass(frozen=True)
class Fetcher:
    """Brings files; safe to share among threads."""

    hub: Hub
    patience: Patience
    received: Counter
    """Bytes that are on the disk, those of earlier downloads among them."""
    is_stopped: threading.Event
    """Set once it makes no sense to go on; what is there stays for the next time."""

    def fetch(self, wanted: Wanted, partial: Path) -> dict[str, str]:
        """Bring a file to its partial path; gives its checksums.

        Raises:
            Trouble: It cannot be had, or is damaged, also the second time.
            Stopped: `is_stopped` was set.
        """
        for _ in range(2):
            with _Part(partial, wanted, self.received) as part:
                self._complete(wanted, part)
                hashes = part.hashes.result()
                if part.has_right_size and is_right(wanted, hashes):
                    return hashes
                is_as_listed = part.has_right_size and agree(wanted.listed.hashes, hashes)
                part.restart()
            partial.unlink()
            if is_as_listed:
                detail = "the registry has another file than we know, by its checksum"
                raise Trouble("changed", detail, repository=wanted.repository, file=wanted.file)
        raise Trouble("damaged", "twice it came with a wrong checksum", repository=wanted.repository, file=wanted.file)

    def _complete(self, wanted: Wanted, part: _Part) -> None:
        count = 0
        while not part.is_complete:
            before = part.size_bytes
            try:
                self._go_on(wanted, part)
            except NETWORK_ERRORS as error:
                if isinstance(error, HTTPError) and error.code == RANGE_REFUSED and part.size_bytes:
                    part.restart()
                    continue
                trouble = self.hub.trouble(error, wanted.repository, wanted.file)
                # Whoever makes headway may be cut as often as he likes.
                count = 1 if part.size_bytes > before else count + 1
                if trouble.kind != "network" or count >= self.patience.tries:
                    raise trouble from error
                self.patience.wait(count)

    def _go_on(self, wanted: Wanted, part: _Part) -> None:
        offset = part.size_bytes
        with self.hub.content(wanted.repository, wanted.commit, wanted.file, offset=offset) as answer:
            if offset and answer.status != PARTIAL_CONTENT:
                part.restart()
            while not part.is_complete and (data := answer.read1(CHUNK_BYTES)):
                if self.is_stopped.is_set():
                    raise Stopped
                part.write(data)
        if wanted.listed.size_bytes is None:
            part.has_ended = True
        if not part.is_complete:
            raise ConnectionError("the connection ended in the middle of the file")


class _Part:
    """The part of a file that is on the disk, and its checksums so far."""

    def __init__(self, path: Path, wanted: Wanted, received: Counter) -> None:
        self._wanted = wanted
        self._received = received
        self._file = path.open("a+b", buffering=0)
        self.size_bytes = 0
        self.has_ended = False
        """Set at the end of a file whose size nobody knew."""
        self.hashes = self._new_hashes()
        self._read()

    def __enter__(self) -> _Part:
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()

    @property
    def has_right_size(self) -> bool:
        """Whether it is as long as it should be, as far as that is known."""
        return self._wanted.listed.size_bytes in (None, self.size_bytes)

    @property
    def is_complete(self) -> bool:
        """Whether nothing more can come."""
        size = self._wanted.listed.size_bytes
        return self.has_ended if size is None else self.size_bytes >= size

    def write(self, data: bytes) -> None:
        """Add what comes next."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise of_disk(error, repository=self._wanted.repository, file=self._wanted.file) from error
        self._count(data)

    def restart(self) -> None:
        """Begin again with nothing."""
        self._file.truncate(0)
        self._received.add(-self.size_bytes)
        self.size_bytes = 0
        self.hashes = self._new_hashes()

    def _read(self) -> None:
        self._file.seek(0)
        while data := self._file.read(CHUNK_BYTES):
            self._count(data)

    def _count(self, data: bytes) -> None:
        self.hashes.update(data)
        self.size_bytes += len(data)
        self._received.add(len(data))

    def _new_hashes(self) -> Hashes:
        return Hashes(self._wanted.to_compute, size_bytes=self._wanted.listed.size_bytes or 0)
