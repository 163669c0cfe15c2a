"""From block names to the workplace: store, results and host of a flow."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from blocks import GPUHost, RunStore
from cosmos_ops.errors import HostUnknownError
from cosmos_ops.owners import this_process
from cosmos_ops.remote.host import Host
from cosmos_ops.workplace import Workplace

DEFAULT_STORE = "default"
LOCAL = "local"
AUTO = "auto"


@contextmanager
def workplace(host: str) -> Iterator[Workplace]:
    """Open everything that a flow needs, and close it at the end.

    Raises:
        HostUnknownError: There is no host block of that name.
        OutputsFolderError: Results cannot be written.
    """
    block = _run_store()
    results = block.results()
    results.check()
    connected = connect(host)
    try:
        with block.open() as store:
            yield Workplace(store, results, connected, owner=this_process())
    finally:
        connected.close()


def connect(name: str) -> Host:
    """The host of a block's name; `auto` and `local` are this machine unless a block says otherwise."""
    name = LOCAL if name == AUTO else name
    try:
        return cast(GPUHost, GPUHost.load(name)).connect(name)
    except ValueError as error:
        if name != LOCAL:
            raise HostUnknownError(f"there is no host '{name}'; hosts are blocks of type 'Cosmos GPU host'") from error
        return GPUHost().connect(name)


def _run_store() -> RunStore:
    try:
        return cast(RunStore, RunStore.load(DEFAULT_STORE))
    except ValueError:
        # Nobody has saved one: settings and defaults hold.
        return RunStore()
