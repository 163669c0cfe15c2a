"""A room for the processes of one machine: mounts, process ids and host name of their own, and one end for all of them."""

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import psutil

INIT = Path(__file__).with_name("init.sh")


class Namespaces:
    """The running first process of a machine; it ends when `close` is called or when this process dies."""

    def __init__(self, name: str, folder: Path) -> None:
        with (folder / "log" / "init").open("ab") as log:
            self._unshare = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc", "sh", INIT, name, folder],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert self._unshare.stdout
        ready = self._unshare.stdout.readline()
        self._unshare.stdout.close()
        if ready != b"ready\n":
            self._unshare.communicate()
            raise RuntimeError(f"The machine {name} does not start: {(folder / 'log' / 'init').read_text()}")
        self.first = psutil.Process(self._unshare.pid).children()[0]

    @property
    def root(self) -> Path:
        """The file system as the machine sees it, with the mounts that only the machine has."""
        return Path(f"/proc/{self.first.pid}/root")

    def popen(self, command: Sequence[str | Path], *, output: IO[Any], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        """Start a process in the room; what is returned is the process outside that waits for it."""
        return subprocess.Popen(
            [*self._enter(), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd="/",
            start_new_session=True,
        )

    def run(self, command: Sequence[str | Path]) -> str:
        done = subprocess.run([*self._enter(), *command], capture_output=True, encoding="utf-8", check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{command} ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def processes(self) -> list[psutil.Process]:
        """What runs in the room, with `info["name"]`, but not what runs in its containers, which have rooms of their own."""
        room = _room(self.first)
        return [process for process in psutil.process_iter(["name"]) if _room(process) == room]

    def close(self) -> None:
        """End all processes at once, as when a machine loses its power."""
        if self.first.is_running():
            self.first.kill()
        self._unshare.communicate()

    def _enter(self) -> list[str]:
        return ["nsenter", f"--target={self.first.pid}", "--mount", "--pid", "--uts", "--"]


def _room(process: psutil.Process) -> str:
    try:
        return str(Path(f"/proc/{process.pid}/ns/pid").readlink())
    except OSError:
        return ""


def inner_process(outer: subprocess.Popen[bytes], *, timeout_s: float = 5) -> psutil.Process:
    """The process in the room that belongs to what `popen` returned."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline and outer.poll() is None:
        children = psutil.Process(outer.pid).children()
        if children:
            return children[0]
        time.sleep(0.005)
    raise RuntimeError(f"{outer.args!r} did not start; its status is {outer.poll()}")
