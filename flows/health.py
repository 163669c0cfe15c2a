"""Look at all GPU servers every now and then: a table shows how each is, and an event tells when that changes."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from prefect import flow, get_run_logger
from prefect.artifacts import create_table_artifact
from prefect.events import emit_event
from prefect.variables import Variable

from blocks import GPUHost
from cosmos_ops.errors import CosmosError
from cosmos_ops.host_health import HostHealth, health_of, unwell
from cosmos_ops.remote.ssh_host import SSHHost
from flows.artifacts import only_shown
from flows.hosts import LOCAL_FAMILIES, saved_hosts

EVENT = "cosmos.host.health"
VERDICTS = "cosmos_host_health"
"""Variable of the Prefect server with the verdict of each host at the last look."""
ARTIFACT = "host-health"
PROBLEMS_SHOWN = 3
UNKNOWN = "unknown"


@flow(name="host-health")
def host_health() -> str:
    """Check all GPU servers, the model files of their families and their GPUs; what is wrong with one leaves the others alone."""
    found = _looked_at({name: block for name, block in saved_hosts().items() if block.kind == "ssh"})
    _show(found)
    _tell_changes(found)
    logger = get_run_logger()
    for host in found:
        if host.verdict != "ok":
            logger.warning("Host %s: %s", host.name, "; ".join(host.problems))
    logger.info("%s", _summary(found))
    return _summary(found)


def _looked_at(blocks: Mapping[str, GPUHost]) -> list[HostHealth]:
    """All at the same time: a host that does not answer takes its time."""
    if not blocks:
        return []
    with ThreadPoolExecutor(len(blocks)) as threads:
        return list(threads.map(_look, blocks, blocks.values()))


def _look(name: str, block: GPUHost) -> HostHealth:
    try:
        host = SSHHost(block.spec(name))
    except CosmosError as error:
        return unwell(name, error)
    try:
        return health_of(host, needs_gpu=not block.images.keys() <= LOCAL_FAMILIES)
    except CosmosError as error:
        return unwell(name, error)
    finally:
        host.close()


def _show(found: Sequence[HostHealth]) -> None:
    rows = [
        {
            "host": host.name,
            "verdict": host.verdict,
            "what is wrong": "; ".join(host.problems[:PROBLEMS_SHOWN]),
            "GPUs": host.gpus.replace("\n", "; "),
            "disk": host.disk,
        }
        for host in found
    ]
    with only_shown():
        create_table_artifact(table=rows, key=ARTIFACT, description=_summary(found))


def _tell_changes(found: Sequence[HostHealth]) -> None:
    before = cast(dict[str, str], Variable.get(VERDICTS, default={}))
    after = {host.name: host.verdict for host in found}
    for host in found:
        last = before.get(host.name, UNKNOWN)
        # The first look at a host that is well is no news.
        if last != host.verdict and (last, host.verdict) != (UNKNOWN, "ok"):
            emit_event(EVENT, resource=_resource(host.name), payload=_payload(last, host))
    if after != before:
        Variable.set(VERDICTS, cast(Any, after), overwrite=True)


def _resource(name: str) -> dict[str, str]:
    return {"prefect.resource.id": f"cosmos.host.{name}", "prefect.resource.name": name}


def _payload(before: str, host: HostHealth) -> dict[str, Any]:
    return {"host": host.name, "before": before, "after": host.verdict, "problems": list(host.problems)}


def _summary(found: Sequence[HostHealth]) -> str:
    if not found:
        return "there are no GPU servers"
    failed = [host for host in found if host.verdict == "fail"]
    well = f"{len(found) - len(failed)} of {len(found)} GPU servers are ready"
    return "; not ready: ".join([well, *[", ".join(f"{host.name} ({host.problems[0]})" for host in failed)] * bool(failed)])
