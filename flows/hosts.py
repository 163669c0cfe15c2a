"""Which host does the work: one that is named, or a healthy one that has the family."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import cast

import httpx
from loguru import logger
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectHTTPStatusError

from blocks import GPUHost
from cosmos_ops.errors import CosmosError, HostUnhealthyError, HostUnknownError
from cosmos_ops.remote.host import Host
from cosmos_ops.store import Store

LOCAL = "local"
AUTO = "auto"
LOCAL_FAMILIES = frozenset({"preview"})
"""What this machine can do without Docker."""
FAULTS_MAX = 3
FAULTS_WITHIN_S = 600.0


def connect(name: str) -> Host:
    """The host of a block's name; `local` is this machine unless a block says otherwise.

    Raises:
        HostUnknownError: There is no block of that name.
    """
    try:
        return cast(GPUHost, GPUHost.load(name)).connect(name)
    except ValueError as error:
        if isinstance(error, CosmosError):
            raise
        if name != LOCAL:
            raise HostUnknownError(f"there is no host '{name}'; `cosmos host list` shows those that there are") from error
        return GPUHost().connect(name)


@contextmanager
def connected(name: str) -> Iterator[Host]:
    """A host by name, closed at the end."""
    host = connect(name)
    try:
        yield host
    finally:
        host.close()


def saved_hosts() -> dict[str, GPUHost]:
    """All host blocks by name."""
    with get_client(sync_client=True) as client:
        try:
            documents = client.read_block_documents_by_type(GPUHost.get_block_type_slug())
        except PrefectHTTPStatusError as error:
            if error.response.status_code != httpx.codes.NOT_FOUND:
                raise
            # Nobody has ever saved one: the server does not know the type.
            return {}
    names = sorted(str(document.name) for document in documents if document.name)
    return {name: cast(GPUHost, GPUHost.load(name)) for name in names}


def choose(name: str, family: str, store: Store) -> Host:
    """The host that a flow asks for; one that was put aside must show first that it works again.

    Raises:
        HostUnknownError: No block has that name, or no host has the family, or this machine is named for a GPU family.
        HostUnhealthyError: It is paused, or was put aside and does not work yet.
    """
    if name == AUTO:
        return _best(family, store) or _this_machine(family)
    if (block := saved_hosts().get(name)) is not None and block.is_paused:
        raise HostUnhealthyError(_paused(name))
    host = connect(name)
    if family not in LOCAL_FAMILIES and not host.runs_images:
        host.close()
        raise HostUnknownError(
            f"host {name} is this machine, which runs plain processes and not the family '{family}'; name a GPU server "
            "(`cosmos host list`)"
        )
    if is_aside(name, store):
        try:
            if problems := host.health().problems:
                raise HostUnhealthyError("; ".join(problems))
        except CosmosError as error:
            host.close()
            raise HostUnhealthyError(
                f"host {name} was put aside after {FAULTS_MAX} faults within {FAULTS_WITHIN_S / 60:.0f} minutes; now: "
                f"{error}; see `cosmos host check {name}`"
            ) from error
        store.clear_faults(name)
    return host


def is_aside(name: str, store: Store) -> bool:
    """Whether a host failed so often lately that nothing is sent there until it has shown that it works."""
    return len(store.faults(name, within_s=FAULTS_WITHIN_S)) >= FAULTS_MAX


def _best(family: str, store: Store) -> Host | None:
    """The healthy host with the most free slots among those that have the family; asked all at once."""
    candidates = {
        name: block.connect(name)
        for name, block in saved_hosts().items()
        if block.kind == "ssh" and family in block.images and not block.is_paused
    }
    if not candidates:
        return None
    with ThreadPoolExecutor(len(candidates)) as threads:
        free = dict(zip(candidates, threads.map(_free_slots, candidates.values()), strict=True))
    healthy = [name for name in candidates if free[name] is not None]
    chosen = max(healthy, key=lambda name: cast(int, free[name]), default=None)
    for name in healthy:
        if is_aside(name, store):
            store.clear_faults(name)
    _close_all_but(chosen, candidates)
    return candidates[chosen] if chosen is not None else None


def _free_slots(host: Host) -> int | None:
    """How many slots nobody uses; none if the host is not healthy."""
    try:
        if problems := host.health().problems:
            logger.warning("Host {} is left out: {}", host.name, "; ".join(problems))
            return None
        return host.slot_count - sum(container.exit is None for container in host.find({}))
    except CosmosError as error:
        logger.warning("Host {} is left out: {}", host.name, error)
        return None


def _close_all_but(chosen: str | None, hosts: Mapping[str, Host]) -> None:
    for name, host in hosts.items():
        if name != chosen:
            host.close()


def _this_machine(family: str) -> Host:
    if family not in LOCAL_FAMILIES:
        raise HostUnknownError(
            f"no healthy host has the family '{family}'; `cosmos host list` shows the hosts, `cosmos host add` and "
            "`cosmos host setup` make one ready"
        )
    if (block := saved_hosts().get(LOCAL)) is not None and block.is_paused:
        raise HostUnhealthyError(_paused(LOCAL))
    return connect(LOCAL)


def _paused(name: str) -> str:
    return f"host {name} is paused; `cosmos host resume {name}` gives it work again"
