"""What simulated machines leave behind: finding it, and removing what a killed test run left."""

import json
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import psutil

from . import cgroups, firewall

PREFIX = "cosmos-gpu-"
OWNER = "owner.json"
CLOCK_MOVES_S = 60.0
made: list[Path] = []
"""Folders of all machines of this process."""


def new_folder() -> Path:
    """A folder for one machine, with a short path, which the next test run removes if this process is killed."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    this = psutil.Process()
    # Another test run may be reading it.
    (folder / "owner").write_text(json.dumps({"pid": this.pid, "started": this.create_time()}))
    (folder / "owner").rename(folder / OWNER)
    made.append(folder)
    return folder


def find(folder: Path) -> list[str]:
    """Everything of the machine in this folder that is still there, in words."""
    found = [f"process {process.pid} ({' '.join(_command(process))})" for process in _processes(folder)]
    found += [f"process {pid} in a container" for pid in cgroups.process_ids(folder)]
    found += [f"mount {line.split()[1]}" for line in Path("/proc/mounts").read_text().splitlines() if str(folder) in line]
    found += [f"iptables rule {rule}" for rule in firewall.rules(folder)]
    found += [f"control group {group}" for group in cgroups.groups(folder)]
    return [*found, f"folder {folder}"] if folder.exists() else found


def stale_folders() -> list[Path]:
    """Folders of machines whose test run is gone."""
    return [path.parent for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{OWNER}") if not _owner_lives(path)]


def remove(folder: Path) -> None:
    """Remove a machine whose test run is gone; its processes ended with that, unless somebody else held them."""
    for process in _processes(folder):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    firewall.unblock(folder)
    cgroups.remove(folder)
    shutil.rmtree(folder)


def _owner_lives(path: Path) -> bool:
    owner = json.loads(path.read_text())
    try:
        # The start is counted from a boot time that moves with each correction of the clock.
        return abs(psutil.Process(owner["pid"]).create_time() - owner["started"]) < CLOCK_MOVES_S
    except psutil.NoSuchProcess:
        return False


def _processes(folder: Path) -> list[psutil.Process]:
    """Processes that name the folder, or that see mounts below it, as those in its namespaces and containers do."""
    return [
        process
        for process in psutil.process_iter()
        if process.pid != os.getpid() and any(str(folder) in text for text in (*_command(process), _mounts(process)))
    ]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def _mounts(process: psutil.Process) -> str:
    try:
        return Path(f"/proc/{process.pid}/mounts").read_text()
    except OSError:
        return ""
