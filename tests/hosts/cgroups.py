"""Control groups of the containers of one machine, in version 1 (one tree for each controller) and in version 2 (one tree)."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")


def parent(folder: Path) -> str:
    """Name of the group that has all containers of the machine in this folder."""
    return "-".join(folder.parts[1:])


def groups(folder: Path) -> Iterator[Path]:
    """The parent, and all below it; the innermost first."""
    for top in (MOUNT / parent(folder), *MOUNT.glob(f"*/{parent(folder)}")):
        for path, _, _ in os.walk(top, topdown=False):
            yield Path(path)


def process_ids(folder: Path) -> list[int]:
    """Ids, outside the machine, of all processes in its containers."""
    found = set()
    for group in groups(folder):
        # A container may end meanwhile, and its group with it.
        with suppress(OSError):
            found |= {int(line) for line in (group / "cgroup.procs").read_text().split()}
    return sorted(found)


def remove(folder: Path, *, timeout_s: float = 10) -> None:
    """Remove the groups, once their last process is gone."""
    deadline = time.monotonic() + timeout_s
    while remaining := list(groups(folder)):
        for group in remaining:
            try:
                group.rmdir()
            except OSError:
                # Busy: the kernel is still taking a killed process away.
                if time.monotonic() > deadline:
                    raise
        time.sleep(0.01)
