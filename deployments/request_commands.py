"""`cosmos render` and `cosmos submit`: request files, looked at without a host, or sent to the pipeline."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cosmos_ops.errors import InputError, OutputsFolderError
from cosmos_ops.intake import job_of, sample_of
from cosmos_ops.names import new_id
from cosmos_ops.operations import find_operation, read_params
from cosmos_ops.planning import regroup
from cosmos_ops.rendering import PATHS, render_job
from cosmos_ops.runs import Run
from cosmos_ops.settings import Settings
from cosmos_ops.store import Store
from deployments.environment import use_own_prefect
from deployments.server import known_server
from flows.request_files import PipelineRequest, read_requests

if TYPE_CHECKING:
    from flows.asked import Asked

Say = Callable[[str], None]
DEPLOYMENT = "pipeline/default"


def render(path: Path, out: Path, say: Say) -> None:
    """Write each job of a request file into a folder of its own, as it would be staged.

    Raises:
        InputError: Something in the request is no good; all problems, each with its path.
        OutputsFolderError: The folder is there already and not empty.
    """
    asked = checked(read_requests(path), path, say, api_url=None)
    if out.exists() and any(out.iterdir()):
        raise OutputsFolderError(f"{out} is not empty; name a new folder with --out")
    out.mkdir(parents=True, exist_ok=True)
    by_run = {one.run.id: one for one in asked}
    plan: list[dict[str, Any]] = []
    for runs in _in_stages([one.run for one in asked]):
        for batch in regroup(runs):
            operation = find_operation(batch.runs[0].operation, batch.runs[0].family)
            found = [by_run[run.id] for run in batch.runs]
            samples = [sample_of(operation, one.run, one.prompt, one.videos, prepared=out / ".prepared") for one in found]
            name = f"{len(plan) + 1:02d}-{operation.name}-{operation.family}"
            job = job_of(operation, f"jb_{len(plan) + 1:04d}", samples, PATHS)
            about = {
                one.run.id: {"request": one.path, "prompt": one.prompt.text, "stands_in": one.stands_in, "params": _dump(one.run)}
                for one in found
            }
            record = render_job(job, out / name, about=about)
            plan.append({"folder": name, "operation": operation.name, "family": operation.family, "runs": record["runs"]})
            say(f"{name}: {len(job.items)} runs, {len(job.files)} files, {len(job.inputs)} inputs")
    (out / "plan.json").write_text(json.dumps({"jobs": plan}, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    say(f"{len(plan)} jobs in {out}")


def start_pipelines(path: Path, *, name: str, watches: bool, say: Say) -> None:
    """Check a request file and start the pipeline once for each of its requests.

    Raises:
        InputError: Something in it is no good, or no server serves the pipeline; nothing was started.
    """
    requests = read_requests(path)
    server = known_server(Settings())
    checked(requests, path, say, api_url=server)
    if server is None:
        raise InputError("no server serves the pipeline; start one with `cosmos up`, or set PREFECT_API_URL")
    from deployments.flow_runs import follow, start

    flow_runs = [
        start(DEPLOYMENT, request.model_dump(mode="json", exclude_unset=True), name=_title(name, place, requests))
        for place, request in enumerate(requests, 1)
    ]
    for flow_run in flow_runs:
        say(f"flow run {flow_run.name} ({flow_run.id}): {server.removesuffix('/api')}/runs/flow-run/{flow_run.id}")
    say(f"Submitted {len(flow_runs)} flow run{'s' if len(flow_runs) > 1 else ''}.")
    if watches:
        follow(flow_runs, say)


def submit(path: Path, *, priority: int, watches: bool, say: Say) -> None:
    """Check a request file, put its runs into the shared queue, and wake the dispatcher.

    Raises:
        InputError: Something in it is no good; nothing was queued.
        RunsFailedError: Some of the watched runs did not complete.
    """
    requests, server = read_requests(path), known_server(Settings())
    checked(requests, path, say, api_url=server)
    from deployments.places import opened_records
    from deployments.queue_commands import watch
    from flows.queueing import queue_requests
    from flows.waking import wake_dispatch

    with opened_records(Settings()) as place:
        keys = [new_id("rq") for _ in requests]
        runs = queue_requests(place, dict(zip(keys, requests, strict=True)), priority=priority)
        for run in runs:
            say(f"{run.operation} {run.id}: {run.status.value}")
        follow_up = ", each followed by its next stages" if any(run.queueing and run.queueing.then for run in runs) else ""
        say(f"Runs in the queue: {len(runs)}{follow_up}; `cosmos queue` shows when they are expected to start.")
        if server is None:
            say("No server is there to dispatch them; `cosmos up` starts one.")
        else:
            wake_dispatch(place.store, len(runs))
        if watches and server is None:
            say("They are not watched: without a server none of them would come to an end.")
        elif watches:
            watch(place.store, keys, say)


def checked(requests: Sequence[PipelineRequest], path: Path, say: Say, *, api_url: str | None) -> "Sequence[Asked]":
    """What the requests ask for.

    Raises:
        InputError: Something in them is no good; all problems were said before.
    """
    # Prefect reads its environment when it is imported.
    use_own_prefect(Settings(), api_url=api_url)
    from flows.asked import ask

    with Store.open(Settings().store_url, read_params=read_params) as store:
        answer = ask(list(requests), store)
    if answer.problems:
        for problem in answer.problems:
            say(f"{path}: {problem}")
        count = len(answer.problems)
        raise InputError(f"{path}: {count} problem{'s' if count > 1 else ''}; nothing was started")
    return answer.asked


def _in_stages(runs: Sequence[Run]) -> list[list[Run]]:
    """A stage with one family begins when the one before is over."""
    kinds = dict.fromkeys((run.operation, run.family) for run in runs)
    return [[run for run in runs if (run.operation, run.family) == kind] for kind in kinds]


def _dump(run: Run) -> dict[str, Any]:
    return run.params.model_dump(mode="json")


def _title(name: str, place: int, requests: Sequence[PipelineRequest]) -> str | None:
    if not name:
        return None
    return f"{name} {place} of {len(requests)}" if len(requests) > 1 else name


FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("render")
@click.argument("file", type=FILE)
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder to write to; it must be new or empty."
)
def render_command(file: Path, out: Path) -> None:
    """Write every job of a request FILE as it would be staged, one folder each; nothing is sent or started."""
    render(file, out, click.echo)


@click.command("submit")
@click.argument("file", type=FILE)
@click.option("--priority", type=click.IntRange(-1000, 1000), default=0, show_default=True, help="Higher goes first.")
@click.option("--watch", "watches", is_flag=True, help="Wait for the end of all runs, and say how each went.")
@click.option("--at-once", "is_at_once", is_flag=True, help="Start the pipeline in a flow run of its own instead of queueing.")
@click.option("--name", default="", help="With --at-once: name of the flow run; empty for the names of the prompts.")
def submit_command(file: Path, priority: int, watches: bool, is_at_once: bool, name: str) -> None:
    """Put the runs of a request FILE (YAML, JSON or JSONL) into the shared queue, which all hosts work on."""
    if is_at_once:
        start_pipelines(file, name=name, watches=watches, say=click.echo)
        return
    if name:
        raise InputError("--name is for flow runs of their own; add --at-once, or leave it out")
    submit(file, priority=priority, watches=watches, say=click.echo)
