"""The block of a machine that computes; its `connect` gives the host behind it."""

from pathlib import Path
from typing import ClassVar, Literal

from prefect.blocks.core import Block
from pydantic import Field

from cosmos_ops.remote.host import Host
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

    kind: Literal["local"] = Field(
        default="local", description="How the machine is reached: `local` runs plain processes on this machine."
    )
    workspace: str = Field(
        default="", description="Folder for inputs and jobs on the machine; empty for the workspace in the Cosmos home folder."
    )

    def connect(self, name: str = "local") -> Host:
        """The host of this block; safe to share among threads."""
        # Plain processes are for Linux and macOS; elsewhere the import itself fails.
        from cosmos_ops.remote.local import LocalHost

        return LocalHost(Path(self.workspace).expanduser() if self.workspace else Settings().workspace_folder, name=name)
