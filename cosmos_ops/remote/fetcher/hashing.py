"""Several checksums of one file from one reading."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

CHUNK_BYTES = 1 << 20


class Hashes:
    """The checksums of bytes that come one piece after the other."""

    def __init__(self, names: Iterable[str], *, size_bytes: int) -> None:
        self._hashes = {name: hashlib.new(name.replace("git-sha1", "sha1"), usedforsecurity=False) for name in names}
        if "git-sha1" in self._hashes:
            self._hashes["git-sha1"].update(f"blob {size_bytes}\0".encode())

    def update(self, data: bytes) -> None:
        """The next piece."""
        for one in self._hashes.values():
            one.update(data)

    def result(self) -> dict[str, str]:
        """Name to checksum, in hexadecimal."""
        return {name: one.hexdigest() for name, one in self._hashes.items()}


def hashes_of(path: Path, names: Iterable[str], *, on_read: Callable[[int], None]) -> dict[str, str]:
    """The checksums of a file."""
    hashes = Hashes(names, size_bytes=path.stat().st_size)
    with path.open("rb", buffering=0) as file:
        while data := file.read(CHUNK_BYTES):
            hashes.update(data)
            on_read(len(data))
    return hashes.result()
