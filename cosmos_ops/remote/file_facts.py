"""Size and checksum of files that a process left on a host, which nobody has told us."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from cosmos_ops.remote.connection import Connection
from cosmos_ops.remote.host import FileFacts
from cosmos_ops.remote.host_hashes import HostHashes
from cosmos_ops.remote.session import session


def file_facts(
    connection: Connection, workspace: PurePosixPath, paths: Sequence[PurePosixPath]
) -> dict[PurePosixPath, FileFacts]:
    """Path (relative to the workspace) to size and SHA-256; files that are not there are left out."""
    with session(connection) as remote:
        stats = dict(zip(paths, remote.stats([workspace / path for path in paths]), strict=True))
    sizes = {path: stat.size_bytes for path, stat in stats.items() if stat is not None}
    if not sizes:
        return {}
    hashes = HostHashes(connection).of(workspace, [str(path) for path in sizes], size_bytes=sum(sizes.values()))
    return {path: FileFacts(hashes[str(path)], size) for path, size in sizes.items() if str(path) in hashes}
