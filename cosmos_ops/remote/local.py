"""This machine as a host: containers are plain processes, each under a supervisor that outlives whoever started it."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from cosmos_ops.errors import ContainerGoneError, HostUnhealthyError, HostUnreachableError
from cosmos_ops.files import replacing
from cosmos_ops.job import ContainerExit, ContainerSpec, InputFile, JobPaths, LogLine
from cosmos_ops.remote import supervisor
from cosmos_ops.remote.files import copy_verified, sha256_of
from cosmos_ops.remote.host import (
    GPU,
    LEFT_OVER_AFTER_MIN,
    ContainerState,
    Fetch,
    FileFacts,
    Health,
    ignore_bytes,
    ignore_contact,
)
from cosmos_ops.remote.lines import LineSplitter

POLL_S = 0.05
START_LIMIT_S = 30.0
REMOVE_LIMIT_S = 5.0
KILLED_CODE = 137
DISK_FREE_MIN_BYTES = 200_000_000
ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "LD_LIBRARY_PATH")
"""The variables that a process gets from ours; nothing else, so that no secret leaks into it."""


class LocalHost:
    """Runs containers as processes on Linux and macOS; the image is ignored, and `python` is the interpreter that runs us."""

    def __init__(self, workspace: Path, *, name: str = "local") -> None:
        self.name = name
        self.slot_count = 0
        self.slots: tuple[tuple[int, ...], ...] = ((),)
        self.runs_images = False
        self._workspace = workspace.absolute()
        self._containers = self._workspace / "containers"
        self._containers.mkdir(parents=True, exist_ok=True)

    def paths(self, job_folder: PurePosixPath) -> JobPaths:
        """Real folders: a plain process sees the host as it is."""
        return JobPaths(job=PurePosixPath(self._workspace / job_folder), inputs=PurePosixPath(self._workspace / "inputs"))

    def image(self, family: str, default: str) -> str:  # noqa: ARG002
        """There are no images here."""
        return default

    def check(self, container: ContainerSpec, inputs: Sequence[InputFile]) -> None:  # noqa: ARG002
        """Look at the free disk space.

        Raises:
            HostUnhealthyError: There is too little.
        """
        if problems := self.health().problems:
            raise HostUnhealthyError(f"host {self.name}: {'; '.join(problems)}")

    def put(self, files: Sequence[InputFile], *, on_sent: Callable[[int], None] = ignore_bytes) -> int:
        """Copy inputs under their content."""
        return sum(self._put(file, on_sent) for file in files)

    def _put(self, file: InputFile, on_sent: Callable[[int], None]) -> int:
        target = self._workspace / file.host_path
        if target.exists() and target.stat().st_size == file.size_bytes:
            return 0
        return copy_verified(file.source, target, sha256=file.sha256, on_copied=on_sent)

    def write(self, path: PurePosixPath, text: str) -> None:
        """Write a small file, completely or not at all."""
        with replacing(self._workspace / path) as partial:
            partial.write_text(text, encoding="utf-8")

    def read(self, path: PurePosixPath) -> str | None:
        """The text of a small file; none if it is not there."""
        try:
            return (self._workspace / path).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def get(self, files: Sequence[Fetch], *, on_received: Callable[[int], None] = ignore_bytes) -> None:
        """Copy files home, verified."""
        for file in files:
            copy_verified(self._workspace / file.path, file.target, sha256=file.sha256, on_copied=on_received)

    def facts(self, paths: Sequence[PurePosixPath]) -> dict[PurePosixPath, FileFacts]:
        """Size and checksum of files that are there."""
        there = {path: self._workspace / path for path in paths if (self._workspace / path).is_file()}
        return {path: FileFacts(sha256_of(file), file.stat().st_size) for path, file in there.items()}

    def exists(self, path: PurePosixPath) -> bool:
        """Whether there is such a file or folder."""
        return (self._workspace / path).exists()

    def remove_folder(self, path: PurePosixPath) -> None:
        """Remove a folder with all that is in it."""
        shutil.rmtree(self._workspace / path, ignore_errors=True)

    def start(
        self,
        name: str,
        container: ContainerSpec,
        *,
        folder: PurePosixPath,  # noqa: ARG002
        labels: Mapping[str, str],
    ) -> None:
        """Start a process, or attach to the one of that name."""
        own = self._containers / name
        if not own.exists():
            self._create(own, container, labels)
        if not (own / supervisor.PID).exists() and not (own / supervisor.EXIT).exists():
            # Two starts at once make two supervisors; the lock in the folder lets one of them work.
            self._spawn_supervisor(own)

    def follow(
        self,
        name: str,
        *,
        on_line: Callable[[LogLine], None],
        is_cancelled: Callable[[], bool],
        stall_limit_s: Callable[[], float],
        grace_s: float,
        on_contact: Callable[[bool], None] = ignore_contact,  # noqa: ARG002
    ) -> ContainerExit:
        """Hand over every line as it comes, until the process has ended."""
        folder = self._containers / name
        if not folder.exists():
            raise ContainerGoneError(f"there is no process '{name}' on {self.name}")
        splitter, offset, spoke_at = LineSplitter(), 0, time.monotonic()
        while True:
            ended = self._exit(folder)
            data = _read_from(folder / supervisor.LOG, offset)
            offset += len(data)
            for line in splitter.feed(data, is_last=ended is not None):
                on_line(line)
            if ended is not None:
                return ended
            now = time.monotonic()
            spoke_at = now if data else spoke_at
            if is_cancelled():
                return self._stopped(folder, splitter, offset, on_line, grace_s, ContainerExit(0, is_cancelled=True))
            if now - spoke_at > stall_limit_s():
                return self._stopped(folder, splitter, offset, on_line, grace_s, ContainerExit(0, is_stalled=True))
            time.sleep(POLL_S)

    def stop(self, name: str, *, grace_s: float) -> None:
        """SIGTERM to the process and its children; SIGKILL once the grace is over."""
        folder = self._containers / name
        process_id = self._process_id(folder)
        if process_id is None:
            return
        if self._exit(folder) is not None:
            return
        # The second signal also ends children that the process left behind when it heeded the first.
        for signal_number, patience_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, START_LIMIT_S)):
            with suppress(ProcessLookupError):
                os.killpg(process_id, signal_number)
            self._wait_for(lambda: self._exit(folder) is not None, patience_s)

    def find(self, labels: Mapping[str, str]) -> list[ContainerState]:
        """Our processes that carry all these labels."""
        states = []
        for folder in sorted(self._containers.iterdir()):
            with suppress(FileNotFoundError):
                has = json.loads((folder / supervisor.CONTAINER).read_text(encoding="utf-8"))["labels"]
                if labels.items() <= has.items():
                    states.append(ContainerState(folder.name, has, self._exit(folder)))
        return states

    def remove(self, name: str) -> None:
        """Forget an ended process with its log."""
        folder = self._containers / name
        if (folder / supervisor.EXIT).exists():
            # Its supervisor has written the exit and is about to end.
            self._wait_for(lambda: not supervisor.is_alive(folder), REMOVE_LIMIT_S)
        if folder.exists() and not supervisor.is_alive(folder):
            shutil.rmtree(folder, ignore_errors=True)

    def tidy(self) -> None:
        """Remove old partial files."""
        for path in self._workspace.glob("inputs/.*.partial"):
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > 60 * LEFT_OVER_AFTER_MIN:
                    path.unlink()

    def gpus(self) -> list[GPU]:
        """Plain processes get none."""
        return []

    def lacks(self, family: str, modes: Sequence[str]) -> str:  # noqa: ARG002
        """Plain processes need no model files."""
        return ""

    def gpu_figures(self, name: str) -> str:  # noqa: ARG002
        """Plain processes get none."""
        return ""

    def health(self) -> Health:
        """Look at the free disk space."""
        free = shutil.disk_usage(self._workspace).free
        low = f"only {free / 1e6:.0f} MB are free under {self._workspace}; make room" if free < DISK_FREE_MIN_BYTES else None
        return Health(problems=(low,) if low else ())

    def close(self) -> None:
        """Nothing to let go of; the processes go on."""

    def _create(self, folder: Path, container: ContainerSpec, labels: Mapping[str, str]) -> None:
        argv = [sys.executable if container.argv[0] == "python" else container.argv[0], *container.argv[1:]]
        env = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ} | dict(container.env)
        draft = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
        draft.mkdir()
        text = json.dumps({"argv": argv, "env": env, "labels": dict(labels)})
        (draft / supervisor.CONTAINER).write_text(text, encoding="utf-8")
        try:
            draft.rename(folder)
        except OSError:
            # Somebody else was first: theirs counts.
            shutil.rmtree(draft)

    def _spawn_supervisor(self, folder: Path) -> None:
        # A session of its own: Ctrl-C in our terminal and our death leave it alone.
        subprocess.Popen(
            [sys.executable, "-m", "cosmos_ops.remote.supervisor", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        begun = self._wait_for(lambda: (folder / supervisor.PID).exists() or (folder / supervisor.EXIT).exists(), START_LIMIT_S)
        if not begun:
            raise HostUnreachableError(f"the process {folder.name} did not start within {START_LIMIT_S:.0f} s")

    def _exit(self, folder: Path) -> ContainerExit | None:
        is_alive = supervisor.is_alive(folder)
        with suppress(FileNotFoundError):
            return ContainerExit(json.loads((folder / supervisor.EXIT).read_text(encoding="utf-8"))["code"])
        if is_alive or not (folder / supervisor.PID).exists():
            return None
        # Neither alive nor an exit: process and supervisor were killed together.
        return ContainerExit(KILLED_CODE)

    def _stopped(
        self,
        folder: Path,
        splitter: LineSplitter,
        offset: int,
        on_line: Callable[[LogLine], None],
        grace_s: float,
        why: ContainerExit,
    ) -> ContainerExit:
        self.stop(folder.name, grace_s=grace_s)
        for line in splitter.feed(_read_from(folder / supervisor.LOG, offset), is_last=True):
            on_line(line)
        ended = self._exit(folder) or ContainerExit(KILLED_CODE)
        return ContainerExit(ended.code, is_cancelled=why.is_cancelled, is_stalled=why.is_stalled)

    def _process_id(self, folder: Path) -> int | None:
        try:
            return int((folder / supervisor.PID).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None

    @staticmethod
    def _wait_for(is_true: Callable[[], bool], limit_s: float) -> bool:
        until = time.monotonic() + limit_s
        while not is_true():
            if time.monotonic() > until:
                return False
            time.sleep(POLL_S / 5)
        return True


def _read_from(path: Path, offset: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read()
    except FileNotFoundError:
        return b""
