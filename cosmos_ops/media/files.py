"""Files that appear under their final name complete or not at all."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cosmos_ops.errors import DiskFullError

_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a temporary name beside `target`; rename it on success, remove it on any exception.

    Raises:
        DiskFullError: No space was left while the body wrote or while the data were flushed.
    """
    partial = target.with_name(f".{target.name}.partial")
    try:
        yield partial
        with partial.open("rb+") as file:
            # Some file systems report a full disk only when the data are flushed.
            os.fsync(file.fileno())
        partial.replace(target)
    except OSError as error:
        if error.errno in _FULL and not isinstance(error, DiskFullError):
            raise disk_full(target) from error
        raise
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
