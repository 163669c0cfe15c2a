"""What it means when a host refuses something with a file: SFTP itself says little more than that."""

import re
from pathlib import PurePosixPath

from paramiko import sftp

from cosmos_ops.errors import CosmosError, DiskFullError, HostUnhealthyError, TransferError
from cosmos_ops.remote.connection import Connection
from cosmos_ops.remote.pipeline import RefusedError
from cosmos_ops.remote.session import DiskStat, Session, session
from cosmos_ops.remote.target import route_to

FULL_BYTES = 1 << 20
"""With less than this a disk counts as full, however little is needed."""
_DF_LINE = re.compile(r"\s\d+\s+-?\d+\s+(-?\d+)\s+\d+%\s")


def said(connection: Connection, error: RefusedError, *, needed_bytes: int = 0) -> CosmosError:
    """Our error for a refusal."""
    host, path = connection.host, error.path
    if error.code == sftp.SFTP_NO_SUCH_FILE:
        return TransferError(f"host {host}: {path} is not there")
    if error.code == sftp.SFTP_PERMISSION_DENIED:
        user = route_to(connection.target).user
        return HostUnhealthyError(
            f"host {host}: the user {user} may not do this with {path}; give {user} the right to write to {path.parent}, "
            "or name another workspace"
        )
    disk = _disk_of(connection, path)
    if disk and not disk.has_files_left:
        return DiskFullError(f"host {host}: the disk of {path} can hold no further file; remove some there")
    if disk and disk.free_bytes < max(needed_bytes, FULL_BYTES):
        return DiskFullError(
            f"host {host}: no space left for {path}: {disk.free_bytes / 1e6:.1f} MB are free, {needed_bytes / 1e6:.1f} MB are "
            "needed; make room there"
        )
    return TransferError(f"host {host}: {path} was refused ({error.words}); look at the file system there, and at its quotas")


def free_on_disk(connection: Connection, remote: Session, path: PurePosixPath) -> int:
    """Bytes that may still be written on the disk of a file or folder, or of where it would lie.

    Raises:
        HostUnhealthyError: Nobody can tell.
    """
    for place in (path, *path.parents):
        if disk := remote.disk(place):
            return disk.free_bytes
    finished = connection.run(["df", "-Pk", "--", str(path)])
    found = _DF_LINE.search(finished.stdout)
    if not found:
        raise HostUnhealthyError(
            f"host {connection.host}: how much space {path} has cannot be found out: {finished.stderr.strip()}"
        )
    return int(found[1]) * 1024


def _disk_of(connection: Connection, path: PurePosixPath) -> DiskStat | None:
    with session(connection) as remote:
        for place in path.parents:
            if disk := remote.disk(place):
                return disk
    return None
