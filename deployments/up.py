"""`cosmos up`: server, blocks and all deployments in one command; Ctrl-C stops all that it started."""

import asyncio
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import Any

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.deployments.runner import RunnerDeployment
from prefect.runner import Runner
from prefect.states import Cancelled, Scheduled

from blocks import GPUHost, RunStore
from cosmos_ops.errors import InputError
from cosmos_ops.owners import is_gone
from cosmos_ops.runs import RunStatus
from cosmos_ops.settings import Settings
from cosmos_ops.store import RunFilter
from cosmos_ops.upkeep import Reconciled
from deployments.catalog import FLOWS, NAME, deployment_of
from deployments.server import is_healthy, own_server, running_server
from flows.cancellation import cancel_runs
from flows.hosts import LOCAL
from flows.upkeep import close_flow_runs, reconcile_all, summary
from flows.workplace import records, workplace_at

FLOWS_END_S = 3.0
FLOW_RUNS_MAX = 8
"""Flow runs at a time; each is a process of its own."""


def up(settings: Settings, *, api_url: str | None, port: int, say: Callable[[str], None]) -> None:
    """Serve all deployments until Ctrl-C, on the server of that address or on one of our own.

    Raises:
        InputError: No server answers at the address, or one has our port already.
    """
    # Until Prefect takes over the signals, a termination must unwind like Ctrl-C, or the server stays behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as stack:
        is_own = api_url is None
        if api_url is None:
            if (other := running_server(settings)) is not None:
                raise InputError(f"cosmos up runs already on this home folder, at {other}; stop it, or set another COSMOS_HOME")
            say("Starting the Prefect server ...")
            api_url = stack.enter_context(own_server(settings, port))
        elif not is_healthy(api_url):
            raise InputError(f"no Prefect server answers at PREFECT_API_URL={api_url}; start it, or unset the variable")
        from prefect.settings import PREFECT_API_URL, temporary_settings

        stack.enter_context(temporary_settings({PREFECT_API_URL: api_url}))
        register_blocks()
        if is_own:
            take_up_again(say)
        say(f"Prefect UI: {api_url.removesuffix('/api')}")
        say(f"For `prefect` commands: export PREFECT_API_URL={api_url}")
        stack.callback(stop_local_processes)
        with suppress(KeyboardInterrupt, asyncio.CancelledError):
            asyncio.run(_serve([deployment_of(one) for one in FLOWS], say))


async def _serve(deployments: Sequence[RunnerDeployment], say: Callable[[str], None]) -> None:
    """As `prefect.serve`, but a termination ends it like Ctrl-C: that exits in the middle, and prints what it broke off."""
    runner = Runner(pause_on_shutdown=False, limit=FLOW_RUNS_MAX)
    for one in deployments:
        await runner.aadd_deployment(one)
    say(f"Serving {', '.join(f'{one.flow_name}/{one.name}' for one in deployments)}. Ctrl-C stops everything.")
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None

    def end(*_: Any) -> None:
        loop.call_soon_threadsafe(task.cancel)

    # `start` makes this method its handler.
    runner.handle_sigterm = end  # type: ignore[method-assign]
    await runner.start()


def register_blocks() -> None:
    """Let the UI offer our blocks, and save the default ones where nobody has."""
    for block, name in ((RunStore, "default"), (GPUHost, "local")):
        block.register_type_and_schema()
        try:
            block.load(name)
        except ValueError:
            block().save(name)


def take_up_again(say: Callable[[str], None]) -> None:
    """Resume the flow runs of our deployments that were cut off with an earlier server, and close all other unfinished runs."""
    with get_client(sync_client=True) as client, records() as known:
        resumed = _cut_off(client)
        for flow_run in resumed:
            is_cancelled = flow_run.state is not None and flow_run.state.type is StateType.CANCELLING
            if is_cancelled:
                cancel_runs(known, str(flow_run.id))
            state: State[None] = (
                Cancelled(message="Cancelled while the server was away.") if is_cancelled else Scheduled(name="AwaitingRetry")
            )
            client.set_flow_run_state(flow_run.id, state, force=True)
        again = {str(flow_run.id) for flow_run in resumed}
        # What a dispatch was at is of other flow runs; the one that is taken up goes on with it.
        report = reconcile_all(waits=False, leave=lambda run: root_of(run.request_key) in again or run.flow_run_id in again)
        close_flow_runs(client, report.flow_run_ids)
    if resumed:
        say(f"Took up {len(resumed)} flow runs that were cut off.")
    if report != Reconciled():
        say(f"Looked after what was left: {summary(report)}.")


def root_of(request_key: str) -> str:
    """The outermost flow run of a request."""
    return request_key.partition("/")[0]


def stop_local_processes() -> None:
    """Stop the model processes on this machine whose flow runs ended with us; the next start takes them up again."""
    until = time.monotonic() + FLOWS_END_S
    with workplace_at(LOCAL) as place:
        running = place.store.runs(RunFilter(status=(RunStatus.RUNNING,)), limit=FLOW_RUNS_MAX * 100)
        for run in running:
            # The processes of the flow runs were killed a moment ago; runs of others go on.
            while run.owner and not is_gone(run.owner) and time.monotonic() < until:
                time.sleep(0.1)
            job = place.store.job(run.job_id) if run.job_id is not None else None
            if job is not None and job.host == place.host.name and run.owner and is_gone(run.owner):
                place.host.stop(job.job.container_name, grace_s=5.0)


def _cut_off(client: SyncPrefectClient) -> list[FlowRun]:
    deployments = [client.read_deployment_by_name(f"{flow.name}/{NAME}").id for flow in FLOWS if _is_deployed(client, flow.name)]
    if not deployments:
        return []
    types = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
    wanted = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=deployments),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=types)),
    )
    return client.read_flow_runs(flow_run_filter=wanted, limit=200)


def _is_deployed(client: SyncPrefectClient, flow_name: str) -> bool:
    from prefect.exceptions import ObjectNotFound

    try:
        client.read_deployment_by_name(f"{flow_name}/{NAME}")
    except ObjectNotFound:
        return False
    return True
