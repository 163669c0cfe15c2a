"""A host takes files and runs containers; every kind of host keeps this contract (tests/remote/test_host_contract.py)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from cosmos_ops.job import ContainerExit, ContainerSpec, InputFile, JobPaths, LogLine

JOB_LABEL = "cosmos.job"
"""Every container of ours carries it."""
LEFT_OVER_AFTER_MIN = 60
"""Until then an interrupted transfer may be taken up again."""


def ignore_bytes(_count: int) -> None:
    """For callers who do not watch how many bytes have moved."""


def ignore_contact(_is_lost: bool) -> None:
    """For callers who do not care whether the host answers."""


@dataclass(frozen=True)
class ContainerState:
    """One container of ours on a host."""

    name: str
    labels: Mapping[str, str]
    exit: ContainerExit | None
    """How it ended; none before."""
    is_started: bool = True
    """False while it only has been created."""


@dataclass(frozen=True)
class GPU:
    """A GPU as nvidia-smi sees it."""

    index: int
    name: str
    driver: str
    memory_mib: int


@dataclass(frozen=True)
class Busy:
    """Why a container could not be started yet: all slots of the host are taken."""

    reason: str


@dataclass(frozen=True)
class Fetch:
    """A file to bring home."""

    path: PurePosixPath
    """On the host, relative to its workspace."""
    target: Path
    sha256: str
    size_bytes: int | None = None


@dataclass(frozen=True)
class FileFacts:
    """What is known of a file on the host."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Health:
    """What a look at the host found."""

    problems: tuple[str, ...]
    """Each a sentence that says what to do; empty if jobs can run."""


class Host(Protocol):
    """A machine that takes files and runs containers. Paths are relative to its workspace. Safe to share among threads.

    Every method raises `HostUnreachableError` while the machine does not answer; calling again does no work twice.
    """

    name: str
    slot_count: int
    """Jobs that may run at a time; 0: any number."""
    slots: tuple[tuple[int, ...], ...]
    """The GPUs of each slot; one empty slot for a machine that computes without GPUs."""
    runs_images: bool
    """Whether it runs a family in the family's image; else as a plain process of our own."""

    def paths(self, job_folder: PurePosixPath) -> JobPaths:
        """Where a process on this host finds a job's folder and the inputs."""

    def image(self, family: str, default: str) -> str:
        """The image that this host has for a family."""

    def check(self, container: ContainerSpec, inputs: Sequence[InputFile]) -> None:
        """Make sure, before anything is sent, that the job can run here.

        Raises:
            HostUnhealthyError: It cannot; the message says what to do.
            CheckpointMissingError: Model files are missing or damaged; the message has the command that mends it.
            DiskFullError: There is no room for its inputs.
        """

    def put(self, files: Sequence[InputFile], *, on_sent: Callable[[int], None] = ignore_bytes) -> int:
        """Bring inputs to the host under their content; one that is there already is not sent again.

        Args:
            files: What to bring.
            on_sent: Told how many more bytes have gone; may raise to break off, what has arrived then is not sent again.

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

    def get(self, files: Sequence[Fetch], *, on_received: Callable[[int], None] = ignore_bytes) -> None:
        """Bring files home, verified, each completely or not at all.

        Raises:
            TransferError: One is not there, or is not what its checksum says.
            DiskFullError: No space left on this machine.
        """

    def facts(self, paths: Sequence[PurePosixPath]) -> dict[PurePosixPath, FileFacts]:
        """Size and checksum of files that are there; the others are left out."""

    def exists(self, path: PurePosixPath) -> bool:
        """Whether there is such a file or folder."""

    def remove_folder(self, path: PurePosixPath) -> None:
        """Remove a folder with all that is in it; one that is not there is no error."""

    def start(self, name: str, container: ContainerSpec, *, folder: PurePosixPath, labels: Mapping[str, str]) -> Busy | None:
        """Start a container, or attach to the one of that name, whether it runs or has ended.

        Args:
            name: Derived from the job; makes a second start attach to the first.
            container: What to run.
            folder: The job's folder, relative to the workspace.
            labels: How to find it again.

        Returns:
            Why it has to wait, if no GPU slot is free; none once it has been started.
        """

    def follow(
        self,
        name: str,
        *,
        on_line: Callable[[LogLine], None],
        is_cancelled: Callable[[], bool],
        stall_limit_s: Callable[[], float],
        grace_s: float,
        on_contact: Callable[[bool], None] = ignore_contact,
    ) -> ContainerExit:
        """Hand over every line from the first one on, as they come, until the container has ended.

        Stops it when `is_cancelled` says so, or when no line came for `stall_limit_s()`; the exit tells which. While the
        host does not answer, it waits; `on_contact` is told that contact is lost (False) or found again (True).

        Raises:
            ContainerGoneError: No container of that name.
            HostUnreachableError: The host does not answer, and it is to be stopped.
        """

    def stop(self, name: str, *, grace_s: float) -> None:
        """Ask the container to end (SIGTERM), and end it (SIGKILL) once the grace is over; returns when it has ended."""

    def find(self, labels: Mapping[str, str]) -> list[ContainerState]:
        """Our containers that carry all these labels."""

    def remove(self, name: str) -> None:
        """Remove an ended container with its log; one that is not there is no error."""

    def tidy(self) -> None:
        """Remove what interrupted transfers left, and nobody has touched for `LEFT_OVER_AFTER_MIN`."""

    def gpus(self) -> list[GPU]:
        """The GPUs of the machine; none where it has no NVIDIA driver."""

    def lacks(self, family: str, modes: Sequence[str]) -> str:
        """Why jobs of these modes cannot run there for lack of model files, with the command that mends it; empty if they can."""

    def gpu_figures(self, name: str) -> str:
        """What nvidia-smi prints now for the GPUs of a container, as `cosmos_ops.gpu_samples` reads it; nothing without GPUs."""

    def health(self) -> Health:
        """Look whether jobs can run."""

    def close(self) -> None:
        """Let go of connections; containers go on."""
