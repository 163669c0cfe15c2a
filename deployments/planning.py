"""`cosmos plan`: what a dispatch would do, on what slot, when, and what that costs; nothing is started."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cosmos_ops.errors import InputError
from cosmos_ops.planning import Goal, Mixing, PlanOptions
from cosmos_ops.runs import Queueing, Run
from cosmos_ops.settings import Settings
from cosmos_ops.workplace import Records
from deployments.places import opened_records
from deployments.request_commands import FILE, checked
from deployments.server import known_server
from flows.request_files import read_requests

if TYPE_CHECKING:
    from cosmos_ops.dispatching.prospect import Prospect


def queue_records(settings: Settings) -> list[dict[str, Any]]:
    """The runs of the shared queue with their expected start, the first one first; those that no host can take at the end."""
    with opened_records(settings) as place:
        runs = _queued(place)
        if not runs:
            return []
        found = _prospect(place, runs, (), PlanOptions())
        starts = {
            run_id: (start_s - found.now_s, batch.host)
            for batch in found.plan.batches
            for run_id, start_s in zip(batch.run_ids, (batch.start_s + batch.load_s, *batch.ends_s), strict=False)
        }
        ordered = sorted(runs, key=lambda run: (starts.get(run.id, (float("inf"), ""))[0], -run.priority, run.id))
        return [_queue_record(position, run, starts, found) for position, run in enumerate(ordered, 1)]


def _queue_record(position: int, run: Run[Any], starts: dict[str, tuple[float, str]], found: "Prospect") -> dict[str, Any]:
    from cosmos_ops.planning.preview import duration

    in_s, host = starts.get(run.id, (None, ""))
    return {
        "position": position,
        "run": run.id,
        "operation": run.operation,
        "family": run.family,
        "priority": run.priority,
        "host": host,
        "starts_in_s": None if in_s is None else round(in_s, 1),
        "starts": "" if in_s is None else f"in {duration(max(0.0, in_s))}",
        "why": found.plan.waiting.get(run.id, ""),
    }


def show_plan(path: Path | None, slots: Sequence[str], options: PlanOptions, *, as_json: bool) -> None:
    """Print the plan for a request file, or for what waits in the queue.

    Raises:
        InputError: Something in the request or the slots is no good.
    """
    from cosmos_ops.planning.preview import lines

    settings = Settings()
    with opened_records(settings) as place:
        runs, after = (_queued(place), dict[str, int]()) if path is None else _asked(path)
        description = _prospect(place, runs, slots, options, after).description
    click.echo(json.dumps(description, indent=2, ensure_ascii=False) if as_json else "\n".join(lines(description)))


def _queued(place: Records) -> list[Run[Any]]:
    return place.store.runs_of_ids(one.run_id for one in place.store.waiting())


def _asked(path: Path) -> tuple[list[Run[Any]], dict[str, int]]:
    """The runs of all stages, and how many stages come before each; what these will make is as long and wide as what there is."""
    from cosmos_ops.operations import find_operation
    from cosmos_ops.queueing import needs_of

    requests = read_requests(path)
    hosts = {f"request {number}: " if len(requests) > 1 else "": one.host for number, one in enumerate(requests, 1)}
    runs, after = [], {}
    for one in checked(requests, path, click.echo, api_url=known_server(Settings())):
        needs = needs_of(find_operation(one.run.operation, one.run.family), one.run.params, one.videos)
        host = next((host for name, host in hosts.items() if one.path.startswith(name)), "auto")
        runs.append(replace(one.run, queueing=Queueing(needs, host=host)))
        after[one.run.id] = one.after
    return runs, after


def _prospect(
    place: Records, runs: Sequence[Run[Any]], slots: Sequence[str], options: PlanOptions, after: Mapping[str, int] | None = None
) -> "Prospect":
    from cosmos_ops.dispatching.prospect import imagined_slots, prospect, slots_now
    from flows.dispatch import offers

    now_s, left_out = time.time(), list[str]()
    if slots:
        there = imagined_slots(slots, now_s)
    else:
        models = frozenset((run.family, mode) for run in runs if run.queueing is not None for mode in run.queueing.needs.modes)
        there, left_out = slots_now(place.store, offers, models)
    return prospect(place.store, runs, there, options=options, now_s=now_s, left_out=left_out, after=after)


GOALS = click.Choice([goal.value for goal in Goal])
MIXINGS = click.Choice([mixing.value for mixing in Mixing])


@click.command("plan")
@click.argument("file", type=FILE, required=False)
@click.option("--queued", "is_queued", is_flag=True, help="Plan what waits in the shared queue instead of a file.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option(
    "--slots",
    multiple=True,
    metavar="HOST=N[:GPU[xK]]",
    help="Plan for N slots, of K GPUs each, of a machine that need not be there.",
)
@click.option("--goal", type=GOALS, default=Goal.BALANCED.value, show_default=True, help="What to weigh; docs/batching.md.")
@click.option("--mixing", type=MIXINGS, default=Mixing.AUTOMATIC.value, show_default=True, help="Whether controls may be mixed.")
def plan_command(file: Path | None, is_queued: bool, as_json: bool, slots: tuple[str, ...], goal: str, mixing: str) -> None:
    """Show the batches, slots and times that a request FILE or the queue would get, and what they save; nothing is started."""
    if (file is None) == (not is_queued):
        raise InputError("name a request file, or give --queued for what waits in the shared queue")
    show_plan(file, slots, PlanOptions(Goal(goal), Mixing(mixing)), as_json=as_json)
