"""Reconcile: records are made to agree with machines, on every host."""

from collections.abc import Callable
from uuid import UUID

from loguru import logger
from prefect import flow, get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.states import Crashed

from cosmos_ops.errors import CosmosError
from cosmos_ops.owners import this_process
from cosmos_ops.runs import Run
from cosmos_ops.upkeep import Reconciled
from cosmos_ops.upkeep import reconcile as reconcile_host
from cosmos_ops.workplace import Records, Workplace
from flows.hosts import LOCAL, connected, saved_hosts
from flows.waking import wake_dispatch
from flows.workplace import records


@flow(name="reconcile")
def reconcile() -> str:
    """Bring home what finished while nobody looked, close what nobody carries out, stop what nobody owns."""
    found = reconcile_all(waits=False)
    with get_client(sync_client=True) as client:
        close_flow_runs(client, found.flow_run_ids)
    with records() as known:
        # What was given back to the queue waits for nobody otherwise.
        if waiting := known.store.waiting():
            wake_dispatch(known.store, len(waiting))
    get_run_logger().info(summary(found))
    return summary(found)


def reconcile_all(*, waits: bool, leave: Callable[[Run], bool] = lambda _: False) -> Reconciled:
    """Reconcile every host that is known; one that does not answer leaves the others alone."""
    with records() as known:
        found = Reconciled()
        for name in {LOCAL, *saved_hosts(), *(job.host for job in known.store.open_jobs())}:
            found += _reconcile_host(known, name, waits, leave)
        return found


def summary(found: Reconciled) -> str:
    """What was found, in one line."""
    parts = [
        f"{len(found.brought_home)} runs brought home",
        f"{len(found.interrupted)} closed",
        f"{len(found.still_computing)} jobs still computing",
        f"{len(found.removed)} containers removed",
    ]
    return ", ".join(parts) + (f", {len(found.unreachable)} jobs on hosts that do not answer" if found.unreachable else "")


def close_flow_runs(client: SyncPrefectClient, flow_run_ids: frozenset[str]) -> None:
    """Mark flow runs whose process is gone as crashed, where the server still thinks that they run."""
    for flow_run_id in flow_run_ids:
        for flow_run in client.read_flow_runs(flow_run_filter=FlowRunFilter.model_validate({"id": {"any_": [flow_run_id]}})):
            parents = [flow_run.id]
            if flow_run.parent_task_run_id is not None:
                parents += [UUID(str(client.read_task_run(flow_run.parent_task_run_id).flow_run_id))]
            for unfinished in parents:
                state = client.read_flow_run(unfinished).state
                if state is not None and not state.is_final():
                    client.set_flow_run_state(unfinished, Crashed(message="Its process is gone."), force=True)


def _reconcile_host(known: Records, name: str, waits: bool, leave: Callable[[Run], bool]) -> Reconciled:
    try:
        with connected(name) as host:
            return reconcile_host(Workplace(known.store, known.results, host, this_process()), leave=leave, waits=waits)
    except CosmosError as error:
        logger.warning("Host {} could not be reconciled: {}", name, error)
        return Reconciled()
