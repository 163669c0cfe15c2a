"""`cosmos host`: the GPU servers that are known; thin, `host_adding`, `host_blocks` and `host_setup` do the work."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cosmos_ops.checkpoints import MODES
from cosmos_ops.settings import Settings

say: Callable[[str], None] = lambda text: click.echo(text)  # noqa: E731


MODES_HELP = "; ".join(f"{family}: {', '.join(modes)}" for family, modes in MODES.items())


@click.group()
def host() -> None:
    """GPU servers: add them, check them, set them up; docs/hosts.md tells the whole way."""


@host.command("add")
@click.argument("name")
@click.argument("url", metavar="ssh://[USER@]HOST[:PORT]")
@click.option(
    "--key", default="", metavar="PATH", help="Private key file; without it those of ~/.ssh/config and of the SSH agent."
)
@click.option(
    "--workspace", default="", metavar="DIR", help="Folder for inputs and jobs there; `cosmos` in the home folder if not given."
)
@click.option(
    "--slots", default="", help="GPU slots, one job each: 0,1 is two slots of a GPU each, 0+1 one slot of both. [default: 0]"
)
@click.option(
    "--image", "images", multiple=True, metavar="FAMILY=IMAGE", help="Image of a family that is there; `setup` does this itself."
)
@click.option("--docker-command", default="", help="Go through this command where docker's socket is closed: 'sudo -n docker'.")
@click.option("--docker-socket", default="", metavar="PATH", help="Docker's socket there, where it cannot be found.")
@click.option(
    "--accept-fingerprint", "fingerprint", default="", metavar="SHA256:...", help="Accept just this host key; nobody is asked."
)
@click.option("--replace", "replaces", is_flag=True, help="Change the host of this name; what is not given stays as it is.")
def add(name: str, url: str, **given: Any) -> None:
    """Add a GPU server, once its host key is accepted and the login works.

    NAME is what flows call it: lower-case letters, digits and dashes. An encrypted key asks for its passphrase, or takes it
    from the variable COSMOS_KEY_PASSPHRASE.
    """
    from deployments.host_adding import Wanted, add_host

    add_host(Settings(), Wanted.read(name, url, **given), say)


@host.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def list_hosts(as_json: bool) -> None:
    """List all hosts."""
    from deployments.host_blocks import host_records

    records = host_records(Settings())
    if as_json:
        click.echo(json.dumps(records, indent=2))
        return
    from deployments.display import lines_of

    shown = [{**record, "state": _state(record)} for record in records]
    click.echo("\n".join(lines_of(shown, ("name", "address", "slots", "families", "state"))))
    if not records:
        click.echo("No host yet: cosmos host add NAME ssh://USER@HOST")


@host.command("show")
@click.argument("name")
def show(name: str) -> None:
    """Show one host as JSON; secrets as ***."""
    from deployments.host_blocks import host_fields

    click.echo(json.dumps(host_fields(Settings(), name), indent=2))


@host.command("remove")
@click.argument("name")
@click.option("--force", "is_forced", is_flag=True, help="Also while jobs of it are open; their containers go on unseen.")
def remove(name: str, is_forced: bool) -> None:
    """Forget a host; nothing is changed on the machine itself."""
    from deployments.host_blocks import remove_host

    remove_host(Settings(), name, is_forced=is_forced)
    say(f"Removed host {name}. What lies in its workspace is still there (docs/hosts.md).")


@host.command("check")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_context
def check(context: click.Context, name: str, as_json: bool) -> None:
    """Look at all that jobs need there; exit code 1 if something fails."""
    from deployments.host_checking import check_and_show

    context.exit(0 if check_and_show(Settings(), name, as_json=as_json) else 1)


@host.command("pause")
@click.argument("name")
def pause(name: str) -> None:
    """Give a host no new work; what is at work there goes on to its end."""
    from deployments.host_blocks import set_paused

    say(set_paused(Settings(), name, is_paused=True))


@host.command("resume")
@click.argument("name")
def resume(name: str) -> None:
    """Give a paused host work again."""
    from deployments.host_blocks import set_paused

    say(set_paused(Settings(), name, is_paused=False))


@host.command("setup")
@click.argument("name")
@click.option(
    "--family",
    type=click.Choice(["preview", "transfer1", "transfer25", "cosmos3"]),
    required=True,
    help="Family of models to make ready.",
)
@click.option(
    "--mode", "modes", multiple=True, help=f"What runs will do, which says what model files they need; repeatable. {MODES_HELP}."
)
@click.option("--image", default="", help="Image to take instead of building one; it is fetched if it is not there.")
@click.option("--base-image", default="", help="Image to build upon; without it that of the family.")
@click.option("--source-url", default="", metavar="URL", help="Tar file with the source of the program, such as on a mirror.")
@click.option(
    "--checkpoints/--no-checkpoints",
    "has_checkpoints",
    default=True,
    show_default=True,
    help="Whether model files are downloaded.",
)
@click.option(
    "--wheels",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=None,
    help="Folder with the wheels of all libraries, for the preview family on a host without internet.",
)
def setup(name: str, **wanted: Any) -> None:
    """Make a host ready for a family: prerequisites, image, model files, and a tiny job; doing it again goes on where it stopped.

    It says beforehand what it will download. The image is noted in the host block once the tiny job has completed.
    """
    from deployments.host_setup import set_up

    set_up(Settings(), name, **wanted, say=say)


def _state(record: dict[str, Any]) -> str:
    return "paused" if record["paused"] else "put aside" if record["put_aside"] else ""
