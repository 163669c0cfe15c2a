"""Copying a file so that it arrives whole and verified, or not at all."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from cosmos_ops.errors import TransferError
from cosmos_ops.files import replacing

CHUNK_BYTES = 1 << 20


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def copy_verified(source: Path, target: Path, *, sha256: str, on_copied: Callable[[int], None]) -> int:
    """Copy a file beside its target, verify it, and rename it; `on_copied` is told how many more bytes are through.

    Returns:
        Bytes copied.

    Raises:
        TransferError: The source is gone or is not what its checksum says.
        DiskFullError: No space left.
    """
    with replacing(target) as partial:
        digest = hashlib.sha256()
        try:
            with source.open("rb") as reader, partial.open("wb") as writer:
                while chunk := reader.read(CHUNK_BYTES):
                    digest.update(chunk)
                    writer.write(chunk)
                    on_copied(len(chunk))
        except FileNotFoundError as error:
            raise TransferError(f"{source} is not there") from error
        if digest.hexdigest() != sha256:
            raise TransferError(f"{source} has changed or was damaged on the way: its SHA-256 is not {sha256}")
        return partial.stat().st_size
