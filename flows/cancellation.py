"""Cancelling: what a flow learns of it, and how the runs of a cancelled flow end. See `docs/decisions.md` for the layers."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any
from uuid import UUID

import httpx
from loguru import logger
from prefect import Flow, runtime
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.exceptions import PrefectException
from typing_extensions import Self

from cosmos_ops.errors import CosmosError, HostUnreachableError, InterruptedRunError, StoreUnreachableError
from cosmos_ops.following import LEASE_S, Follower
from cosmos_ops.homecoming import fail
from cosmos_ops.log import tell
from cosmos_ops.owners import this_process
from cosmos_ops.runs import Run, RunFailure, RunStatus
from cosmos_ops.store import JobRecord, RunFilter
from cosmos_ops.upkeep import stop
from cosmos_ops.workplace import Records, Workplace
from flows.hosts import connected
from flows.workplace import records

POLL_S = 5.0
PAGE = 10_000


class Cancellation:
    """Wraps the body of a flow, on its main thread; knows whether somebody cancelled the flow run.

    A supervised flow run gets an exception that is no `Exception`; one that runs in its caller's process gets nothing,
    so a thread asks the server every few seconds.
    """

    def __init__(self, place: Records, flow_run_id: str, root_flow_run_id: str, *, fails_runs: bool = True) -> None:
        self._place = place
        self._fails_runs = fails_runs
        self._flow_run_id = flow_run_id
        # People cancel the pipeline; the stage at work must hear of it.
        self._watched = tuple({flow_run_id, root_flow_run_id})
        self._cancelled = threading.Event()
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="cancellation", daemon=True)

    def is_cancelled(self) -> bool:
        """Whether to stop."""
        return self._cancelled.is_set()

    def __enter__(self) -> Self:
        if self._is_cancelling():
            self._cancelled.set()
        self._watcher.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.hear(error)
        self._over.set()
        if self.is_cancelled():
            cancel_runs(self._place, self._flow_run_id)
        elif isinstance(error, Exception) and self._fails_runs and not isinstance(error, StoreUnreachableError):
            # Without the store nobody can say what became of what computes; `reconcile` looks after it.
            fail_runs(self._place, self._flow_run_id, error)

    def hear(self, error: BaseException | None) -> None:
        """Find out whether a signal means a cancellation: a shutdown leaves the containers to be adopted, Ctrl-C stops them."""
        is_signal = error is not None and not isinstance(error, Exception)
        if is_signal and (isinstance(error, KeyboardInterrupt) or self._is_cancelling()):
            self._cancelled.set()

    def _watch(self) -> None:
        while not self._over.wait(POLL_S):
            if self._is_cancelling():
                self._cancelled.set()
                return

    def _is_cancelling(self) -> bool:
        return any(is_cancelling(flow_run_id) for flow_run_id in self._watched)


def is_cancelling(flow_run_id: str) -> bool:
    """Whether the flow run is being cancelled; a server that does not answer cancels nothing."""
    try:
        with get_client(sync_client=True) as client:
            state = client.read_flow_run(UUID(flow_run_id)).state
    except (PrefectException, httpx.HTTPError, OSError, RuntimeError):
        return False
    return state is not None and state.type in (StateType.CANCELLING, StateType.CANCELLED)


def is_over() -> bool:
    """Whether the flow run that we are in, or the outermost one, is being cancelled; a single killed run is none of that."""
    return any(is_cancelling(flow_run_id) for flow_run_id in {this_flow_run(), root_flow_run()})


def cancel_runs(place: Records, flow_run_id: str) -> None:
    """Stop the containers of a flow run, keep what is complete and all logs, and end all else as cancelled.

    What a host that does not answer would have to do stays requested, and is done when it answers again.
    """
    mine = _unfinished(place, flow_run_id)
    running = place.store.request_stop(run.id for run in mine)
    job_ids = {run.job_id for run in mine if run.id in running}
    jobs = [found for found in place.store.open_jobs() if found.job.id in job_ids]
    if jobs:
        with ThreadPoolExecutor(len(jobs)) as threads:
            list(threads.map(partial(_each, _stop, place), jobs))


def stop_what_is_left(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001
    """Prefect's hook for a cancelled flow run, after its process has ended: that may have been too late for it to clean up."""
    with records() as known:
        cancel_runs(known, str(flow_run.id))


def fail_runs(place: Records, flow_run_id: str, error: Exception) -> None:
    """End what a flow run leaves unfinished when it breaks off with an error that nobody expected; its containers stop too.

    A job that another process has taken over is left to that one.
    """
    reason = (
        error if isinstance(error, CosmosError) else InterruptedRunError(f"the flow broke off: {type(error).__name__}: {error}")
    )
    job_ids = {run.job_id for run in _unfinished(place, flow_run_id)}
    for found in place.store.open_jobs():
        if found.job.id in job_ids and found.owner == this_process():
            _each(_fail, place, found, reason)
    for run in _unfinished(place, flow_run_id):
        if run.job_id is None:
            place.store.finish(run.id, RunStatus.FAILED, failure=RunFailure.of(reason))


def _each(step: Callable[..., None], place: Records, found: JobRecord, *values: Any) -> None:
    """Do something with one of several jobs; what goes wrong with it leaves the others alone."""
    try:
        step(place, found, *values)
    except HostUnreachableError as error:
        logger.warning("Job {} is looked after when its host answers again: {}", found.job.id, error)
    except Exception as error:  # noqa: BLE001
        tell(error, "Job {} is left to reconcile: {}", found.job.id, error)


def _unfinished(place: Records, flow_run_id: str) -> list[Run]:
    return place.store.runs(RunFilter(flow_run_id=flow_run_id, status=(RunStatus.QUEUED, RunStatus.RUNNING)), limit=PAGE)


def _stop(place: Records, found: JobRecord) -> None:
    """A host of its own for each job: whoever holds the other one may be in the middle of something."""
    with connected(found.host) as host:
        owner = this_process()
        if place.store.take_over(found.job.id, from_owner=found.owner, owner=owner, lease_s=LEASE_S):
            stop(Workplace(place.store, place.results, host, owner), found)


def _fail(place: Records, found: JobRecord, reason: CosmosError) -> None:
    with connected(found.host) as host:
        there = Workplace(place.store, place.results, host, found.owner)
        fail(Follower(there, found.job, is_stopping=lambda: True, may_have_started=True), reason)


def this_flow_run() -> str:
    """The id of the flow run that we are in."""
    return str(runtime.flow_run.id)


def root_flow_run() -> str:
    """The id of the outermost flow run that we are in; stays the same when Prefect runs it again."""
    return str(runtime.flow_run.root_flow_run_id or runtime.flow_run.id)
