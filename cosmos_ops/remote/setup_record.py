"""What a host remembers of its set-up for a family: what its runs will do, and with what the smoke job completed."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from pydantic import BaseModel, ConfigDict, ValidationError

from cosmos_ops.remote.ssh_host import SSHHost

FOLDER = PurePosixPath("setup")
"""In the workspace; a file for each family."""


class _Stored(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    modes: tuple[str, ...] = ()
    smoke: str = ""


@dataclass(frozen=True)
class SetupRecord:
    """The memory of one family."""

    modes: tuple[str, ...] = ()
    """Modes whose model files were brought."""
    smoke: str = ""
    """Image, GPUs and model files with which the smoke job completed."""

    @classmethod
    def read(cls, host: SSHHost, family: str) -> "SetupRecord":
        """What is remembered; nothing where the host was not set up, or the file is damaged."""
        try:
            stored = _Stored.model_validate_json(host.read(FOLDER / f"{family}.json") or "{}")
        except ValidationError:
            stored = _Stored()
        return cls(stored.modes, stored.smoke)

    def write(self, host: SSHHost, family: str) -> None:
        """Remember it."""
        host.write(FOLDER / f"{family}.json", json.dumps({"modes": list(self.modes), "smoke": self.smoke}, indent=1))

    def with_modes(self, modes: Iterable[str]) -> "SetupRecord":
        """The same with more modes."""
        return SetupRecord(tuple(dict.fromkeys([*self.modes, *modes])), self.smoke)

    def with_smoke(self, smoke: str) -> "SetupRecord":
        """The same after another smoke job."""
        return SetupRecord(self.modes, smoke)
