"""The `cosmos` command, thin: reads options, calls what does the work, turns our errors into one line and an exit code."""

import json
import os
import sys
from typing import Any

import click

from cosmos_ops.errors import CosmosError, InputError
from cosmos_ops.log import set_up_log
from cosmos_ops.operations import find_operation, read_params
from cosmos_ops.results import ResultsFolder
from cosmos_ops.settings import Settings
from cosmos_ops.store import RunFilter, Store
from deployments.checkpoints import checkpoints
from deployments.costs import costs_command
from deployments.environment import use_own_prefect
from deployments.hosts import host
from deployments.options import given_params, params_options
from deployments.planning import plan_command
from deployments.queue_commands import queue_command
from deployments.request_commands import render_command, submit_command
from deployments.server import known_server

BAD_INPUT = 2
FAILED = 1
INTERRUPTED = 130
FAMILY = "preview"
LOCAL = "local"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="cosmos-ops", prog_name="cosmos")
def cli() -> None:
    """Cosmos: video generation on GPU servers, from prompt to upscaled video."""
    settings = Settings()
    set_up_log(settings.home_folder)


@cli.command()
@click.option(
    "--input", "input_path", type=str, default="", help="A video, or a folder with color.mp4 and control videos; none: a city."
)
@click.option("--prompt", "text", type=str, default=None, help="What the video is to show.")
@click.option("--negative", type=str, default="", help="What the video must not show.")
@click.option("--name", type=str, default=None, help="What to call it; names its folder.")
@click.option(
    "--host", "host_name", default=LOCAL, help="Name of the host that computes (`cosmos host list`); none: this machine."
)
@params_options(find_operation("inference", FAMILY).params)
def demo(input_path: str, text: str | None, negative: str, name: str | None, host_name: str, **options: Any) -> None:
    """Run enhance, inference and upscale in this process, on the CPU; a real video comes out."""
    from deployments.demo import Demo, run_demo

    params = given_params(find_operation("inference", FAMILY).params, options)
    run_demo(Settings(), Demo(input_path, text=text, negative_text=negative, name=name, params=params, host=host_name))


@cli.command()
@click.option("--port", type=click.IntRange(1, 65535), default=4200, show_default=True, help="Port of the server that it starts.")
def up(port: int) -> None:
    """Start the Prefect server (or use the one that PREFECT_API_URL names) and serve all deployments."""
    settings = Settings()
    api_url = os.environ.get("PREFECT_API_URL")
    use_own_prefect(settings, api_url=api_url or f"http://127.0.0.1:{port}/api")
    from deployments.up import up as serve_all

    serve_all(settings, api_url=api_url, port=port, say=lambda text: click.echo(text))


@cli.group()
def prompts() -> None:
    """What is recorded of prompts."""


@prompts.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many, newest first.")
@click.option("--before", default=None, help="Id of the last prompt of the page before.")
@click.option("--search", default="", help="Part of the text or of the name.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def prompts_list(limit: int, before: str | None, search: str, as_json: bool) -> None:
    """List prompts, newest first."""
    from deployments.display import prompt_record

    with _store() as store:
        records = [prompt_record(prompt) for prompt in store.prompts(limit=limit, before=before, search=search)]
    _print(records, ("id", "name", "text", "parent_prompt_id", "created_at"), as_json)


@prompts.command("show")
@click.argument("prompt_id")
def prompts_show(prompt_id: str) -> None:
    """Show one prompt with its runs, as JSON."""
    from deployments.display import prompt_record, run_record

    with _store() as store:
        record = prompt_record(store.prompt(prompt_id))
        runs = store.runs(RunFilter(prompt_id=prompt_id), limit=1000)
    click.echo(_json({**record, "runs": [run_record(run, _results()) for run in runs]}))


@cli.group()
def runs() -> None:
    """What is recorded of runs."""


@runs.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many, newest first.")
@click.option("--before", default=None, help="Id of the last run of the page before.")
@click.option("--status", type=click.Choice(["queued", "running", "completed", "failed", "blocked", "cancelled"]), default=None)
@click.option("--operation", type=click.Choice(["enhance", "inference", "upscale"]), default=None)
@click.option("--prompt", "prompt_id", default=None, help="Id of a prompt.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def runs_list(
    limit: int, before: str | None, status: str | None, operation: str | None, prompt_id: str | None, as_json: bool
) -> None:
    """List runs, newest first."""
    from cosmos_ops.runs import RunStatus
    from deployments.display import run_record

    wanted = RunFilter(status=(RunStatus(status),) if status else (), operation=operation, prompt_id=prompt_id)
    with _store() as store:
        records = [run_record(run, _results()) for run in store.runs(wanted, limit=limit, before=before)]
    _print(records, ("id", "operation", "family", "status", "prompt_id", "parent_run_id", "duration_s", "created_at"), as_json)


@runs.command("show")
@click.argument("run_id")
def runs_show(run_id: str) -> None:
    """Show one run, as JSON."""
    from deployments.display import run_record

    with _store() as store:
        click.echo(_json(run_record(store.run(run_id), _results())))


@cli.command()
@click.argument("run_ids", nargs=-1, required=True, metavar="RUN...")
def signature(run_ids: tuple[str, ...]) -> None:
    """Say what runs have in common to share a model process, and what keeps them apart."""
    from deployments.signatures import explained

    with _store() as store:
        click.echo("\n".join(explained([store.run(run_id) for run_id in run_ids])))


@cli.command()
@click.option("--run", "run_id", required=True, help="Id of the run (rs_...).")
@click.option("--force", "is_forced", is_flag=True, help="End its process at once, without the ten seconds to clean up.")
def kill(run_id: str, is_forced: bool) -> None:
    """End a run that waits or is at work; it becomes cancelled, its batch goes on without it."""
    use_own_prefect(Settings(), api_url=known_server(Settings()))
    from deployments.upkeep import kill as end

    end(run_id, is_forced=is_forced, say=lambda text: click.echo(text))


@cli.command()
@click.option("--wait", "waits", is_flag=True, help="Follow what still computes to its end.")
def reconcile(waits: bool) -> None:
    """Bring home what finished while nobody looked, close what nobody carries out, stop what nobody owns."""
    use_own_prefect(Settings(), api_url=known_server(Settings()))
    from deployments.upkeep import reconcile as reconcile_hosts

    reconcile_hosts(waits=waits, say=lambda text: click.echo(text))


cli.add_command(host)
cli.add_command(checkpoints)
cli.add_command(render_command)
cli.add_command(submit_command)
cli.add_command(plan_command)
cli.add_command(queue_command)
cli.add_command(costs_command)


def main() -> None:
    """Run the command; exit code 2 for bad input, 1 for what failed, 130 after Ctrl-C."""
    try:
        code = cli.main(standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("interrupted; what was running is cancelled", err=True)
        code = INTERRUPTED
    except click.ClickException as error:
        click.echo(f"error: {' '.join(error.format_message().split())}", err=True)
        code = error.exit_code
    except InputError as error:
        click.echo(f"error: {' '.join(str(error).split())}", err=True)
        code = BAD_INPUT
    except (CosmosError, OSError) as error:
        click.echo(f"error: {' '.join(str(error).split())}", err=True)
        code = FAILED
    sys.exit(code if isinstance(code, int) else 0)


def _store() -> Store:
    return Store.open(Settings().store_url, read_params=read_params)


def _results() -> ResultsFolder:
    return ResultsFolder(Settings().outputs_folder)


def _print(records: list[dict[str, Any]], columns: tuple[str, ...], as_json: bool) -> None:
    from deployments.display import lines_of

    click.echo(_json(records) if as_json else "\n".join(lines_of(records, columns)))


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


if __name__ == "__main__":
    main()
