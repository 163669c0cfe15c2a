"""Host blocks as the command line reaches them: on the Prefect server that knows them, without a word from Prefect."""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, cast

from pydantic import SecretStr

from cosmos_ops.errors import HostUnknownError, ImageMissingError, InputError
from cosmos_ops.job import ContainerSpec
from cosmos_ops.settings import Settings
from deployments.environment import use_own_prefect
from deployments.server import known_server

if TYPE_CHECKING:
    # Prefect reads its environment when it is imported, so it is imported only after `reach_prefect`.
    from blocks import GPUHost
    from cosmos_ops.remote.ssh_host import SSHHost

HIDDEN = "***"
SSH = "ssh"


def reach_prefect(settings: Settings) -> None:
    """Point Prefect at the server that knows the hosts, and keep it quiet.

    Raises:
        InputError: Nothing answers where PREFECT_API_URL points.
    """
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    # At the end of a short command it says that it still sends events.
    logging.getLogger("EventsWorker").setLevel(logging.ERROR)
    use_own_prefect(settings, api_url=known_server(settings))


def load_host(name: str) -> "GPUHost":
    """The block of a host; Prefect has been reached.

    Raises:
        HostUnknownError: There is none of that name.
    """
    from blocks import GPUHost

    try:
        return cast(GPUHost, GPUHost.load(name))
    except ValueError as error:
        raise HostUnknownError(f"there is no host '{name}'; `cosmos host list` shows those that there are") from error


@contextmanager
def ssh_host(name: str) -> Iterator["SSHHost"]:
    """The GPU server of a name, closed at the end; Prefect has been reached.

    Raises:
        HostUnknownError: There is none of that name.
        InputError: It is this machine.
    """
    from cosmos_ops.remote.ssh_host import SSHHost

    block = load_host(name)
    if block.kind != SSH:
        raise InputError(f"'{name}' is this machine; it runs the preview family as it is, without Docker and without set-up")
    with closing(SSHHost(block.spec(name))) as found:
        yield found


def check_ready(name: str, family: str) -> None:
    """Make sure that a host can run a family, before anything is started.

    Raises:
        HostUnknownError: There is no host of that name.
        InputError: It has no image of the family.
    """
    block = load_host(name)
    if block.kind != SSH:
        return
    if family not in block.images:
        raise InputError(
            f"host {name} has no image of the family '{family}'; `cosmos host setup {name} --family {family}` makes one"
        )
    with ssh_host(name) as found:
        try:
            found.check(ContainerSpec(block.images[family], argv=(), env={}, gpu_count=0), [])
        except ImageMissingError as error:
            raise InputError(str(error)) from error


def host_records(settings: Settings) -> list[dict[str, Any]]:
    """All hosts, as `cosmos host list` has them."""
    reach_prefect(settings)
    from flows.hosts import is_aside, saved_hosts
    from flows.workplace import records

    with records() as known:
        return [_record(name, block, put_aside=is_aside(name, known.store)) for name, block in saved_hosts().items()]


def host_fields(settings: Settings, name: str) -> dict[str, Any]:
    """Everything that a block says of its host, but for the secrets."""
    reach_prefect(settings)
    block = load_host(name)
    fields = {field: _shown(getattr(block, field)) for field in type(block).model_fields}
    return {"name": name, **fields, "host_key_fingerprint": _fingerprint(block)}


def remove_host(settings: Settings, name: str, *, is_forced: bool) -> None:
    """Forget a host.

    Raises:
        HostUnknownError: There is none of that name.
        InputError: Jobs of it are open.
    """
    reach_prefect(settings)
    from flows.workplace import records

    block = load_host(name)
    with records() as known:
        jobs = [record.job.id for record in known.store.open_jobs() if record.host == name]
    if jobs and not is_forced:
        raise InputError(
            f"{len(jobs)} jobs of host {name} are open ({', '.join(jobs[:3])}); wait for them, end their runs with "
            "`cosmos kill --run ID`, or remove it all the same with --force"
        )
    cast(Any, type(block)).delete(name)


def set_paused(settings: Settings, name: str, *, is_paused: bool) -> str:
    """Let a host get no new work, or work again.

    Returns:
        A sentence that says how it is now.

    Raises:
        HostUnknownError: There is none of that name.
    """
    reach_prefect(settings)
    from flows.waking import wake_dispatch
    from flows.workplace import records

    block = load_host(name)
    block.is_paused = is_paused
    block.save(name, overwrite=True)
    with records() as known:
        jobs = [record.job.id for record in known.store.open_jobs() if record.host == name]
        if not is_paused and known_server(settings) is not None:
            wake_dispatch(known.store, len(known.store.waiting()))
    if not is_paused:
        return f"Host {name} gets work again."
    return f"Host {name} gets no new work" + (f"; jobs that go on there to their end: {len(jobs)}." if jobs else ".")


def address_of(block: "GPUHost") -> str:
    """User, address and port as far as the block names them."""
    if block.kind != SSH:
        return "this machine"
    user, port = f"{block.user}@" if block.user else "", f":{block.port}" if block.port else ""
    return f"{user}{block.address}{port}"


def slots_text(slots: Sequence[Sequence[int]]) -> str:
    """Slots as the option `--slots` takes them."""
    return ",".join("+".join(str(gpu) for gpu in slot) for slot in slots)


def _record(name: str, block: "GPUHost", *, put_aside: bool) -> dict[str, Any]:
    from flows.hosts import LOCAL_FAMILIES

    is_remote = block.kind == SSH
    return {
        "name": name,
        "kind": block.kind,
        "address": address_of(block),
        "slots": slots_text(block.slots) if is_remote else "",
        "families": ",".join(sorted(block.images if is_remote else LOCAL_FAMILIES)),
        "paused": block.is_paused,
        "put_aside": put_aside,
    }


def _shown(value: Any) -> Any:
    if not isinstance(value, SecretStr) and not hasattr(value, "get_secret_value"):
        return value
    secret = value.get_secret_value()
    if isinstance(secret, Mapping):
        return dict.fromkeys(secret, HIDDEN)
    return HIDDEN if secret else ""


def _fingerprint(block: "GPUHost") -> str:
    from cosmos_ops.remote.login import fingerprint_of

    return fingerprint_of(block.host_key) if block.host_key else ""
