"""`cosmos queue`: what waits in the shared queue and when it is expected to start; runs are moved and taken out."""

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import click

from cosmos_ops.errors import InputError, RunsFailedError
from cosmos_ops.operations import read_params
from cosmos_ops.runs import Run, RunStatus
from cosmos_ops.settings import Settings
from cosmos_ops.store import Store

Say = Callable[[str], None]
POLL_S = 1.0
INTERRUPTED = 130


def watch(store: Store, keys: Sequence[str], say: Say) -> None:
    """Wait until all runs of some submissions have ended, those that followed included; each is said once.

    Raises:
        RunsFailedError: Some did not complete.
    """
    said: set[str] = set()
    while True:
        runs = [run for key in keys for run in store.runs_of_request(key)]
        for run in runs:
            if run.status.is_final and run.id not in said:
                said.add(run.id)
                say(_ended(run))
        if all(run.status.is_final for run in runs):
            break
        try:
            time.sleep(POLL_S)
        except KeyboardInterrupt:
            say("Not watched any more; the runs go on, and `cosmos runs list` shows what becomes of them.")
            raise click.exceptions.Exit(INTERRUPTED) from None
    if bad := [run for run in runs if run.status is not RunStatus.COMPLETED]:
        raise RunsFailedError(f"{len(bad)} of {len(runs)} runs did not complete; `cosmos runs show ID` has more")


def _ended(run: Run) -> str:
    seconds = f" in {run.duration_s:.1f} s" if run.duration_s is not None else ""
    return f"{run.operation} {run.id}: {run.status.value}{seconds}" + (f": {run.failure.message}" if run.failure else "")


@click.group("queue", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_context
def queue_command(context: click.Context, as_json: bool) -> None:
    """Show what waits in the shared queue, in the order of the expected starts."""
    if context.invoked_subcommand is not None:
        return
    from deployments.display import lines_of
    from deployments.planning import queue_records

    records = queue_records(Settings())
    if as_json:
        click.echo(json.dumps(records, indent=2, ensure_ascii=False))
    elif records:
        click.echo("\n".join(lines_of(records, ("position", "run", "operation", "family", "priority", "host", "starts", "why"))))
    else:
        click.echo("Nothing waits in the queue.")


@queue_command.command("front")
@click.argument("run_ids", nargs=-1, required=True, metavar="RUN...")
def front(run_ids: tuple[str, ...]) -> None:
    """Move queued runs to the front: they get the next slot that is free."""
    with _store() as store:
        # Age counts like priority, and of all runs together nobody has waited for longer than the oldest.
        from cosmos_ops.planning import PlanOptions
        from cosmos_ops.planning.workloads_of_runs import workload_of

        waiting = store.runs_of_ids(one.run_id for one in store.waiting())
        options, now_s = PlanOptions(), time.time()
        highest = max((options.level(workload_of(run), now_s) for run in waiting if run.id not in run_ids), default=0)
        _moved(store, run_ids, highest + 1)


# A negative number is no option.
@queue_command.command("priority", context_settings={"ignore_unknown_options": True})
@click.argument("priority", type=click.IntRange(-1000, 1000))
@click.argument("run_ids", nargs=-1, required=True, metavar="RUN...")
def set_priority(priority: int, run_ids: tuple[str, ...]) -> None:
    """Give queued runs another priority; higher goes first, and every 6 hours of waiting count as one."""
    with _store() as store:
        _moved(store, run_ids, priority)


@queue_command.command("cancel")
@click.argument("run_ids", nargs=-1, required=True, metavar="RUN...")
def cancel(run_ids: tuple[str, ...]) -> None:
    """Take queued runs out of the queue; they become cancelled."""
    with _store() as store:
        runs = _found(store, run_ids)
        if other := [run.id for run in runs if run.status is not RunStatus.QUEUED]:
            raise InputError(f"not in the queue: {', '.join(other)}; `cosmos kill --run ID` ends one that is at work")
        late = store.request_stop(run_ids)
        for run in store.runs_of_ids(run_ids):
            click.echo(f"{run.operation} {run.id}: {'is being stopped' if run.id in late else run.status.value}")


def _moved(store: Store, run_ids: Sequence[str], priority: int) -> None:
    runs = _found(store, run_ids)
    if other := [run.id for run in runs if run.status is not RunStatus.QUEUED or run.queueing is None]:
        raise InputError(f"not in the queue: {', '.join(other)}; nothing was changed; `cosmos queue` shows what waits")
    click.echo(f"Runs with the priority {priority} now: {store.set_priority(run_ids, priority)}")


def _found(store: Store, run_ids: Sequence[str]) -> list[Run[Any]]:
    """The runs of these ids.

    Raises:
        RecordNotFoundError: There is none of an id.
    """
    return [store.run(run_id) for run_id in run_ids]


def _store() -> Store:
    return Store.open(Settings().store_url, read_params=read_params)
