"""`cosmos kill` and `cosmos reconcile`: what is to end ends, and records agree with machines."""

import time
from collections.abc import Callable

from cosmos_ops.errors import HostUnreachableError
from cosmos_ops.owners import this_process
from cosmos_ops.runs import Run
from cosmos_ops.store import JobRecord
from cosmos_ops.upkeep import is_abandoned, stop_requested, take_over
from cosmos_ops.workplace import Records, Workplace
from flows.hosts import connected
from flows.upkeep import close_flow_runs, reconcile_all, summary
from flows.workplace import records

WAIT_S = 60.0
ASK_S = 0.5


def kill(run_id: str, *, is_forced: bool, say: Callable[[str], None]) -> None:
    """End one run; its neighbours in the batch keep what they finished, and the others go back into the queue.

    Raises:
        RecordNotFoundError: There is no such run.
    """
    with records() as known:
        run = known.store.run(run_id)
        if run.status.is_final:
            say(f"run {run_id} is {run.status.value} already")
            return
        if not known.store.request_stop([run_id]):
            say(f"run {run_id} is {known.store.run(run_id).status.value}; it had not been started")
            return
        assert run.job_id is not None
        job = known.store.job(run.job_id)
        try:
            _stop(known, job, is_forced)
            ended = _waited(known, run_id)
        except HostUnreachableError as error:
            say(f"{error}; run {run_id} is stopped when it answers again")
            return
        say(f"run {run_id} is {ended.status.value}" if ended.status.is_final else f"run {run_id} is being stopped")


def reconcile(*, waits: bool, say: Callable[[str], None]) -> None:
    """Reconcile all hosts, and say what was found."""
    from prefect.client.orchestration import get_client

    found = reconcile_all(waits=waits)
    with get_client(sync_client=True) as client:
        close_flow_runs(client, found.flow_run_ids)
    for run in (*found.brought_home, *found.interrupted):
        say(f"{run.operation} {run.id}: {run.status.value}")
    say(summary(found))


def _stop(known: Records, job: JobRecord, is_forced: bool) -> None:
    """Whoever follows the job stops it; if nobody does, or it must go at once, we do."""
    is_ours = is_abandoned(job) and take_over(known.store, job, this_process())
    if not is_ours and not is_forced:
        return
    with connected(job.host) as host:
        if is_forced:
            host.stop(job.job.container_name, grace_s=0)
        if is_ours:
            stop_requested(Workplace(known.store, known.results, host, this_process()), job)


def _waited(known: Records, run_id: str) -> Run:
    until = time.monotonic() + WAIT_S
    run = known.store.run(run_id)
    while not run.status.is_final and time.monotonic() < until:
        time.sleep(ASK_S)
        run = known.store.run(run_id)
    return run
