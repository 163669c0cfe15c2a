"""The block of a machine that computes; its `connect` gives the host behind it."""

from pathlib import Path
from typing import ClassVar, Literal

from prefect.blocks.core import Block
from prefect.types import SecretDict
from pydantic import Field, SecretStr, field_validator

from cosmos_ops.errors import InputError
from cosmos_ops.remote.host import Host
from cosmos_ops.remote.spec import HostSpec, Limits, Mount, Slot
from cosmos_ops.remote.target import SSHTarget
from cosmos_ops.settings import Settings


class GPUHost(Block):
    """A machine that takes files and runs models.

    Example:
        ```python
        from blocks import GPUHost

        host = GPUHost.load("local").connect()
        ```
    """

    _block_type_name: ClassVar[str] = "Cosmos GPU host"
    _block_type_slug: ClassVar[str] = "cosmos-gpu-host"
    _description: ClassVar[str] = "A machine that takes files and runs models."

    kind: Literal["local", "ssh"] = Field(
        default="local",
        description="How the machine is reached: `ssh` runs containers on a GPU server, `local` plain processes on this machine.",
    )
    workspace: str = Field(
        default="",
        description="Folder for inputs and jobs on the machine; empty for the workspace in the Cosmos home folder, "
        "or for `cosmos` in the home folder of the user who logs in.",
    )
    address: str = Field(default="", description="Name or address of the machine, or its alias in ~/.ssh/config.")
    user: str = Field(default="", description="Who logs in; empty for what ~/.ssh/config says, or your own name.")
    port: int = Field(default=0, ge=0, le=65535, description="Port of the SSH server; 0 for what ~/.ssh/config says, or 22.")
    key_path: str = Field(
        default="", description="File of the private key where flows run; empty for the keys of ~/.ssh/config and the SSH agent."
    )
    key: SecretStr = Field(default=SecretStr(""), description="The private key itself, instead of a file.")
    passphrase: SecretStr = Field(default=SecretStr(""), description="Passphrase of the private key, if it is encrypted.")
    host_key: str = Field(
        default="",
        description="The only host key to accept, as `ssh-ed25519 AAAA...`; empty for those in ~/.ssh/known_hosts.",
    )
    is_paused: bool = Field(
        default=False, description="Whether it gets no new work; what is at work there goes on (`cosmos host pause`)."
    )
    slots: list[list[int]] = Field(
        default=[[0]],
        description="GPU slots, each the GPUs of one job: [[0],[1]] for two jobs of one GPU, [[0,1]] for one of two.",
    )
    images: dict[str, str] = Field(
        default={}, description='Image of each family that may run here, as JSON: {"preview": "cosmos-preview"}.'
    )
    mounts: list[str] = Field(
        default=[], description="Folders of the machine that containers see: SOURCE:TARGET, read-only, or SOURCE:TARGET:rw."
    )
    environment: dict[str, str] = Field(default={}, description="Environment variables of every container.")
    secrets: SecretDict = Field(
        default=SecretDict({}), description="Environment variables of every container that nobody may see, such as tokens."
    )
    memory_gb: float = Field(default=0, ge=0, description="Memory that a container may use, in GB; 0 for no limit.")
    shm_gb: float = Field(default=8, ge=0, description="Shared memory (/dev/shm) of a container, in GB.")
    cpus: float = Field(default=0, ge=0, description="CPU cores that a container may use; 0 for no limit.")
    hours_max: float = Field(default=0, ge=0, description="Hours after which a container is ended in any case; 0 for no limit.")
    docker_socket: str = Field(default="", description="Docker's socket on the machine; empty to find it.")
    docker_command: list[str] = Field(
        default=[], description='Docker command to go through where its socket is closed to the user: ["sudo", "-n", "docker"].'
    )
    container_user: str = Field(
        default="", description="User of the processes in containers, as uid:gid; empty for the user who logs in."
    )

    @field_validator("slots")
    @classmethod
    def _slots_are_apart(cls, slots: list[list[int]]) -> list[list[int]]:
        gpus = [gpu for slot in slots for gpu in slot]
        if not slots or not all(slots) or len(set(gpus)) < len(gpus) or min(gpus) < 0:
            raise ValueError("each slot needs at least one GPU, and no GPU may be in two: [[0],[1]] or [[0,1]]")
        return slots

    def connect(self, name: str = "local") -> Host:
        """The host of this block; safe to share among threads. Nobody is asked before the first use."""
        if self.kind == "ssh":
            from cosmos_ops.remote.ssh_host import SSHHost

            return SSHHost(self.spec(name))
        # Plain processes are for Linux and macOS; elsewhere the import itself fails.
        from cosmos_ops.remote.local import LocalHost

        return LocalHost(Path(self.workspace).expanduser() if self.workspace else Settings().workspace_folder, name=name)

    def spec(self, name: str) -> HostSpec:
        """What the block says of a GPU server.

        Raises:
            InputError: The address is missing, or a mount cannot be read.
        """
        if not self.address:
            raise InputError(f"the host block '{name}' has no address; fill it in, or add the host with `cosmos host add`")
        secrets: dict[str, object] = self.secrets.get_secret_value()
        return HostSpec(
            name=name,
            target=SSHTarget(
                address=self.address,
                user=self.user,
                port=self.port,
                key_path=self.key_path,
                key=self.key.get_secret_value(),
                passphrase=self.passphrase.get_secret_value(),
                host_key=self.host_key,
                ssh_folder=Settings().ssh_folder,
            ),
            workspace=self.workspace,
            slots=tuple(Slot(slot) for slot in self.slots),
            images=self.images,
            mounts=tuple(Mount.read(mount) for mount in self.mounts),
            environment=self.environment,
            secrets={variable: str(value) for variable, value in secrets.items()},
            limits=Limits(memory_gb=self.memory_gb, shm_gb=self.shm_gb, cpus=self.cpus, hours=self.hours_max),
            docker_socket=self.docker_socket,
            docker_command=tuple(self.docker_command),
            container_user=self.container_user,
        )
