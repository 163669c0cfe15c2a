"""How tests reach a simulated GPU server."""

from pathlib import Path, PurePosixPath
from typing import Any

from cosmos_ops.remote.spec import HostSpec
from cosmos_ops.remote.target import SSHTarget
from tests.hosts.images import BASE
from tests.hosts.machine import GPUMachine


def host_key_of(machine: GPUMachine) -> str:
    """Its host key, as a block stores it."""
    return machine.known_hosts.read_text().split(maxsplit=1)[1].strip()


def a_target(machine: GPUMachine, folder: Path, **values: Any) -> SSHTarget:
    """Its address with a key that it lets in; the SSH folder is one of the test's own."""
    values = {"user": "root", "key_path": str(machine.keys.plain), "host_key": host_key_of(machine), **values}
    return SSHTarget(address=machine.address, port=machine.port, ssh_folder=folder / "ssh", **values)


def a_spec(machine: GPUMachine, folder: Path, **values: Any) -> HostSpec:
    """Two slots, and the base image for the family preview."""
    values = {
        "name": machine.name,
        "target": a_target(machine, folder),
        "workspace": str(PurePosixPath(machine.workspace)),
        "slots": ((0,), (1,)),
        "images": {"preview": BASE},
        **values,
    }
    return HostSpec(**values)
