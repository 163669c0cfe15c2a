"""Files that appear under their final name complete or not at all; and the one place that knows a full disk."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cosmos_ops.errors import CosmosError, DiskFullError, OutputsFolderError

_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})


@contextmanager
def full_disk_said(target: Path) -> Iterator[None]:
    """Turn "no space left" of the body into our error, which names what could not be written.

    Raises:
        DiskFullError: No space was left.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL and not isinstance(error, DiskFullError):
            raise disk_full(target) from error
        raise


@contextmanager
def disk_faults_said(target: Path) -> Iterator[None]:
    """Turn whatever the file system of this machine refuses the body into our error, which names what could not be written.

    Raises:
        DiskFullError: No space was left.
        OutputsFolderError: Anything else, such as a read-only or broken disk.
    """
    try:
        with full_disk_said(target):
            yield
    except OSError as error:
        if isinstance(error, CosmosError):
            raise
        raise OutputsFolderError(f"{target} cannot be written ({error}); see to its disk and its permissions") from error


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a temporary name beside `target`; rename it on success, remove it on any exception; makes the folder.

    Raises:
        DiskFullError: No space was left while the body wrote or while the data were flushed.
    """
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
    try:
        with full_disk_said(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            with partial.open("rb+") as file:
                # Some file systems report a full disk only when the data are flushed.
                os.fsync(file.fileno())
            partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def write_file(target: Path, content: bytes) -> None:
    """Write a small file completely or not at all.

    Raises:
        DiskFullError: No space is left; nothing of the file remains.
    """
    with replacing(target) as partial:
        partial.write_bytes(content)


def disk_full(target: Path) -> DiskFullError:
    """The error for a file that found no space."""
    return DiskFullError(f"No space left for {target}; free some in {target.parent} and start again")
