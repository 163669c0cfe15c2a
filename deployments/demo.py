"""`cosmos demo`: the whole pipeline in this process, on the preview family, on this machine or on a GPU server."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click
from rich.console import Console

from cosmos_ops.errors import CosmosError, RunsFailedError
from cosmos_ops.intake import check_request, check_text, find_videos, storable
from cosmos_ops.operations import find_operation, read_params
from cosmos_ops.owners import this_process
from cosmos_ops.params import Params
from cosmos_ops.results import ResultsFolder
from cosmos_ops.runs import Run
from cosmos_ops.settings import Settings
from cosmos_ops.store import RunFilter, Store
from cosmos_ops.upkeep import Reconciled, reconcile
from cosmos_ops.workplace import Workplace
from deployments.environment import use_own_prefect
from deployments.host_blocks import check_ready, reach_prefect
from deployments.server import known_server, running_server
from flows.forms import DEMO_TEXT, InferenceSettings, PromptRequest

if TYPE_CHECKING:
    # Prefect reads its environment when it is imported, so it is imported only after `use_own_prefect`.
    from prefect.client.schemas.objects import State

FAMILY = "preview"
DEMO_NAME = "demo city"
LOCAL = "local"


@dataclass(frozen=True)
class Demo:
    """What the command was given."""

    input_path: str
    text: str | None
    negative_text: str
    name: str | None
    params: Params
    host: str = LOCAL


def run_demo(settings: Settings, demo: Demo) -> None:
    """Check, reconcile, run the pipeline, and say where everything is.

    Raises:
        InputError: Something given is no good; nothing was started.
        RunsFailedError: A run did not complete.
    """
    text = check_text(DEMO_TEXT if demo.text is None else demo.text)
    results = ResultsFolder(settings.outputs_folder)
    results.check()
    _check(demo, text)
    server = _server(settings, demo)
    reconciled = _reconcile(settings, results, demo)
    console = Console(stderr=False, soft_wrap=True)
    console.print("Cosmos demo: enhance -> inference -> upscale with the preview family (classical processing, no neural model).")
    console.print(f"Using the Prefect server at {server}" if server else "Starting Prefect's embedded server (some seconds) ...")
    if demo.host != LOCAL:
        console.print(f"Computing on host {demo.host}.")
    runs, failure = _run_pipeline(demo, text, console, reconciled)
    _summarise(settings, results, runs)
    if failure is not None:
        raise failure


def _check(demo: Demo, text: str) -> None:
    """All that can be found out before anything is started."""
    if demo.input_path:
        path = Path(demo.input_path)
        check_request(find_operation("inference", FAMILY), demo.params, text, find_videos(path))


def _server(settings: Settings, demo: Demo) -> str | None:
    """The Prefect server that shows the flow run; a GPU server is known to one of them, and must be ready.

    Raises:
        InputError: There is no such host, or it has not been set up.
    """
    if demo.host == LOCAL:
        server = running_server(settings)
        use_own_prefect(settings, api_url=server)
        return server
    reach_prefect(settings)
    check_ready(demo.host, FAMILY)
    return known_server(settings)


def _reconcile(settings: Settings, results: ResultsFolder, demo: Demo) -> Reconciled:
    if demo.host == LOCAL:
        from cosmos_ops.remote.local import LocalHost

        with Store.open(settings.store_url, read_params=read_params) as store:
            found = reconcile(Workplace(store, results, LocalHost(settings.workspace_folder), owner=this_process()))
    else:
        from flows.workplace import workplace_at

        with workplace_at(demo.host) as place:
            found = reconcile(place)
    if found.brought_home or found.interrupted:
        click.echo(
            f"Found unfinished runs of a process that is gone: {len(found.brought_home)} brought home, "
            f"{len(found.interrupted)} marked as interrupted."
        )
    return found


def _run_pipeline(demo: Demo, text: str, console: Console, reconciled: Reconciled) -> tuple[list[Run], CosmosError | None]:
    # Prefect reads its environment when it is imported, so these imports come after `use_own_prefect`.
    import os

    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    from prefect.client.orchestration import get_client

    from deployments.display import LiveProgress
    from flows.observer import observed_by
    from flows.pipeline import pipeline
    from flows.upkeep import close_flow_runs

    settings = InferenceSettings.model_validate({FAMILY: demo.params})
    name = storable(demo.name) if demo.name is not None else (Path(demo.input_path).stem if demo.input_path else DEMO_NAME)
    request = PromptRequest(text=text, negative_text=storable(demo.negative_text), input=demo.input_path, name=name)
    with LiveProgress(console) as progress, observed_by(progress):
        state = cast("State[object]", pipeline([request], family=FAMILY, inference=settings, host=demo.host, return_state=True))
    with get_client(sync_client=True) as client:
        close_flow_runs(client, reconciled.flow_run_ids)
    return _runs_under(str(state.state_details.flow_run_id)), _failure(state)


def _failure(state: "State[object]") -> CosmosError | None:
    if state.is_completed():
        return None
    error = state.result(raise_on_failure=False)
    return error if isinstance(error, CosmosError) else RunsFailedError(state.message or "the pipeline did not complete")


def _runs_under(flow_run_id: str) -> list[Run]:
    with Store.open(Settings().store_url, read_params=read_params) as store:
        return [run for run in store.runs(RunFilter(), limit=200) if run.request_key.startswith(f"{flow_run_id}/")][::-1]


def _summarise(settings: Settings, results: ResultsFolder, runs: list[Run]) -> None:
    for run in runs:
        click.echo(f"\n{run.operation} {run.id}: {run.status.value}")
        for name in ("prompt", "video", "thumbnail", "contact_sheet", "spec", "log"):
            path = getattr(run.outputs, name)
            if path is not None:
                click.echo(f"  {name.replace('_', ' '):<14}{results.absolute(path)}")
    folders = {results.absolute(run.outputs.log).parent.parent for run in runs if run.outputs.log is not None}
    for folder in sorted(folders):
        click.echo(f"\nEverything is under {folder}")
    click.echo(f"Records: cosmos runs list   (database and outputs: {settings.home_folder})")
