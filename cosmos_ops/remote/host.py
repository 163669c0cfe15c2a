"""A host takes files and runs containers; every kind of host keeps this contract (tests/remote/test_host_contract.py)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from cosmos_ops.job import ContainerExit, ContainerSpec, InputFile, JobPaths, LogLine


@dataclass(frozen=True)
class ContainerState:
    """One container of ours on a host."""

    name: str
    labels: Mapping[str, str]
    exit: ContainerExit | None
    """How it ended; none while it runs."""


@dataclass(frozen=True)
class Health:
    """What a look at the host found."""

    problems: tuple[str, ...]
    """Each a sentence that says what to do; empty if jobs can run."""


class Host(Protocol):
    """A machine that takes files and runs containers. Paths are relative to its workspace. Safe to share among threads."""

    name: str

    def paths(self, job_folder: PurePosixPath) -> JobPaths:
        """Where a process on this host finds a job's folder and the inputs."""

    def put(self, file: InputFile) -> int:
        """Bring an input to the host under its content; one that is there already is not sent again.

        Returns:
            Bytes sent.

        Raises:
            TransferError: What arrived is not what was meant.
            DiskFullError: No space left on the host.
        """

    def write(self, path: PurePosixPath, text: str) -> None:
        """Write a small file, completely or not at all."""

    def read(self, path: PurePosixPath) -> str | None:
        """The text of a small file; none if it is not there."""

    def get(self, path: PurePosixPath, target: Path, *, sha256: str) -> None:
        """Bring a file home, verified, completely or not at all.

        Raises:
            TransferError: It is not there, or is not what its checksum says.
            DiskFullError: No space left on this machine.
        """

    def exists(self, path: PurePosixPath) -> bool:
        """Whether there is such a file or folder."""

    def remove_folder(self, path: PurePosixPath) -> None:
        """Remove a folder with all that is in it; one that is not there is no error."""

    def start(self, name: str, container: ContainerSpec, *, labels: Mapping[str, str]) -> None:
        """Start a container, or attach to the one of that name, whether it runs or has ended."""

    def follow(
        self,
        name: str,
        *,
        on_line: Callable[[LogLine], None],
        is_cancelled: Callable[[], bool],
        stall_limit_s: float,
        grace_s: float,
    ) -> ContainerExit:
        """Hand over every line from the first one on, as they come, until the container has ended.

        Stops it when `is_cancelled` says so, or when no line came for `stall_limit_s`; the exit tells which.

        Raises:
            HostUnreachableError: No container of that name.
        """

    def stop(self, name: str, *, grace_s: float) -> None:
        """Ask the container to end (SIGTERM), and end it (SIGKILL) once the grace is over; returns when it has ended."""

    def find(self, labels: Mapping[str, str]) -> list[ContainerState]:
        """Our containers that carry all these labels."""

    def remove(self, name: str) -> None:
        """Remove an ended container with its log; one that is not there is no error."""

    def health(self) -> Health:
        """Look whether jobs can run."""

    def close(self) -> None:
        """Let go of connections; containers go on."""
