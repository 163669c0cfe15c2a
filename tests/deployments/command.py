"""The `cosmos` command as a user starts it: a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil

COSMOS = [sys.executable, "-m", "deployments.cli"]


def environment(home: Path, **values: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COSMOS_", "PREFECT_"))}
    return {**kept, "COSMOS_HOME": str(home), **values}


def cosmos(home: Path, *arguments: str, timeout: float = 180, **values: str) -> subprocess.CompletedProcess[str]:
    command = [*COSMOS, *map(str, arguments)]
    return subprocess.run(command, env=environment(home, **values), capture_output=True, encoding="utf-8", timeout=timeout)


def started(home: Path, *arguments: str) -> subprocess.Popen[str]:
    """The command, left running, with its output in one pipe."""
    command = [*COSMOS, *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8"}
    return subprocess.Popen(command, env=environment(home), **pipes)


def listed(home: Path, *arguments: str) -> list[dict]:
    done = cosmos(home, *(arguments or ("runs", "list")), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def processes_of(home: Path) -> list[str]:
    """Command lines of living processes that name this home folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = " ".join(process.info["cmdline"] or [])
        if str(home) in line and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(line)
    return found


def the_error(done: subprocess.CompletedProcess[str], code: int = 2) -> str:
    """The one line of an error."""
    assert done.returncode == code, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    return line
