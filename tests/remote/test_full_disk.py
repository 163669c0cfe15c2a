"""A disk without space: our error, and nothing of the file remains."""

import os
import shutil
import subprocess
import sys

import pytest

needs_mounts = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root for a small tmpfs"
)

GET = """
import sys
from pathlib import Path, PurePosixPath
from cosmos_ops.errors import DiskFullError
from cosmos_ops.job import InputFile
from cosmos_ops.remote.files import sha256_of
from cosmos_ops.remote.host import Fetch
from cosmos_ops.remote.local import LocalHost

disk, source, direction = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
sha256 = sha256_of(source)
try:
    if direction == "put":
        LocalHost(disk).put([InputFile(source, sha256, source.stat().st_size)])
    else:
        LocalHost(source.parent).get([Fetch(PurePosixPath(source.name), disk / "out" / "video.mp4", sha256)])
except DiskFullError as error:
    print(error)
    print([str(path) for path in disk.rglob("*") if path.is_file()])
"""


@needs_mounts
@pytest.mark.parametrize("direction", ["put", "get"])
def test_a_transfer_to_a_full_disk_says_so_and_leaves_nothing(tmp_path, direction):
    source, disk = tmp_path / "source" / "video.mp4", tmp_path / "disk"
    source.parent.mkdir()
    disk.mkdir()
    source.write_bytes(os.urandom(300_000))
    script = 'mount -t tmpfs -o size=100k none "$1" && exec "$2" -c "$3" "$1" "$4" "$5"'
    command = ["unshare", "--mount", "bash", "-c", script, "bash", disk, sys.executable, GET, source, direction]

    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60)

    assert done.returncode == 0, done.stderr
    message, left = done.stdout.splitlines()
    assert "no space left for" in message.lower()
    assert str(disk) in message
    assert left == "[]"
