"""Copying a file so that it is whole, verified, or not there at all."""

import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cosmos_ops.errors import DiskFullError, TransferError

CHUNK_BYTES = 1 << 20


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def copy_verified(source: Path, target: Path, *, sha256: str) -> int:
    """Copy a file beside its target, verify it, and rename it.

    Returns:
        Bytes copied.

    Raises:
        TransferError: The source is gone or is not what its checksum says.
        DiskFullError: No space left.
    """
    with partial_of(target) as partial:
        digest = hashlib.sha256()
        try:
            with source.open("rb") as reader, partial.open("wb") as writer:
                while chunk := reader.read(CHUNK_BYTES):
                    digest.update(chunk)
                    writer.write(chunk)
        except FileNotFoundError as error:
            raise TransferError(f"{source} is not there") from error
        if digest.hexdigest() != sha256:
            raise TransferError(f"{source} has changed or was damaged on the way: its SHA-256 is not {sha256}")
        return partial.stat().st_size


@contextmanager
def partial_of(target: Path) -> Iterator[Path]:
    """A temporary name beside the target, renamed to it at the end, removed on any error; makes the folder."""
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(target)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                f"no space left for {target} ({os.strerror(error.errno)}); make room, then run it again"
            ) from error
        raise
    finally:
        with suppress(OSError):
            partial.unlink()
