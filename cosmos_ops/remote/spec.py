"""What is known of a GPU server before anybody connects to it: plain data, made from a block."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from cosmos_ops.errors import InputError
from cosmos_ops.remote.target import SSHTarget

Slot = tuple[int, ...]
"""The GPUs that one job gets."""


@dataclass(frozen=True)
class Limits:
    """What a container may use; 0 sets no limit."""

    memory_gb: float = 0
    shm_gb: float = 8
    """Size of /dev/shm, through which the processes of a model exchange tensors."""
    cpus: float = 0
    hours: float = 0
    """After so long the container is ended, whoever is there to see it."""


@dataclass(frozen=True)
class Mount:
    """A folder of the machine that containers see, read-only unless said otherwise."""

    source: PurePosixPath
    target: PurePosixPath
    is_writable: bool = False

    @classmethod
    def read(cls, text: str) -> "Mount":
        """From `SOURCE:TARGET` or `SOURCE:TARGET:rw`.

        Raises:
            InputError: It is not of that form, or the paths are not absolute.
        """
        parts = text.split(":")
        mode = parts.pop() if parts[-1] in ("ro", "rw") else "ro"
        if len(parts) != 2 or not all(part.startswith("/") for part in parts):
            raise InputError(f"the mount {text!r} is not SOURCE:TARGET or SOURCE:TARGET:rw with absolute paths")
        return cls(PurePosixPath(parts[0]), PurePosixPath(parts[1]), is_writable=mode == "rw")


@dataclass(frozen=True)
class HostSpec:
    """A GPU server and how to use it."""

    name: str
    target: SSHTarget
    workspace: str = "cosmos"
    """Folder for inputs and jobs; relative to the home folder of the user there."""
    slots: tuple[Slot, ...] = ((0,),)
    images: Mapping[str, str] = field(default_factory=dict)
    """Family to image; a family without one cannot run there."""
    mounts: tuple[Mount, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """As the environment, but never shown, stored or logged."""
    limits: Limits = Limits()
    docker_socket: str = ""
    docker_command: tuple[str, ...] = ()
    """Such as `("sudo", "-n", "docker")`, where docker's socket is closed to the user."""
    container_user: str = ""
    """`uid:gid`; empty for the user who logs in, so that outputs are his."""
