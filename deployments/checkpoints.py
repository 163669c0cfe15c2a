"""`cosmos checkpoints`: the model files of a host; thin, `cosmos_ops.remote.checkpoint_*` do the work."""

import json
from collections.abc import Iterator, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

import click

from cosmos_ops.checkpoints import DEFAULT_MODES, MANIFEST, MODES, Checkpoint, checkpoints_for
from cosmos_ops.errors import InputError
from cosmos_ops.settings import Settings

if TYPE_CHECKING:
    # What talks to machines takes a while to import, and `--help` needs none of it.
    from cosmos_ops.remote.checkpoint_files import Found
    from cosmos_ops.remote.checkpoint_news import Progress

COLUMNS = ("family", "mode", "source", "file", "size", "state", "licence", "gated")
COMMIT_SHOWN = 8
TOLD_EVERY_S = 10.0

host_option = click.option("--host", "name", required=True, metavar="NAME", help="Name of the host (`cosmos host list`).")
family_choice = click.Choice(list(MANIFEST))


@click.group()
def checkpoints() -> None:
    """Model files on GPU servers: see what is there, download, verify."""


@checkpoints.command("list")
@host_option
@click.option("--family", type=family_choice, default=None, help="Of this family only.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def list_checkpoints(name: str, family: str | None, as_json: bool) -> None:
    """List what each mode of each family needs, and what of it is there; no file is read."""
    from cosmos_ops.remote.checkpoint_store import look
    from deployments.display import lines_of
    from deployments.host_blocks import reach_prefect, ssh_host

    reach_prefect(Settings())
    with ssh_host(name) as host:
        found = look(host, _all_of(family))
    records = list(_records(family, found))
    if as_json:
        click.echo(json.dumps(records, indent=2))
        return
    click.echo("\n".join(lines_of([_shown(record) for record in records], COLUMNS)))


@checkpoints.command("download")
@host_option
@click.option("--family", type=family_choice, required=True, help="Family of models.")
@click.option(
    "--mode",
    "modes",
    multiple=True,
    metavar="MODE",
    help="What it is for, as `list` shows; may be repeated. [default: the usual]",
)
@click.option("--image", default="", help="Image on the host with python3 in it; without it, that of the family.")
def download_checkpoints(name: str, family: str, modes: tuple[str, ...], image: str) -> None:
    """Download model files on the host itself, and verify them; what was begun is gone on with.

    The token comes from the secret HF_TOKEN of the host block, another registry than huggingface.co from its environment
    variable HF_ENDPOINT.
    """
    from cosmos_ops.remote.checkpoint_download import Access, download
    from deployments.host_blocks import load_host, reach_prefect, ssh_host

    wanted = checkpoints_for(family, modes or DEFAULT_MODES[family])
    reach_prefect(Settings())
    image = image or load_host(name).images.get(family, "")
    if not image:
        raise InputError(f"host {name} has no image of the family {family}; name one with python3 that is there with --image")
    click.echo(f"{family} on host {name}, for {', '.join(modes or DEFAULT_MODES[family])}:")
    with ssh_host(name) as host:
        found = download(host, wanted, image=image, access=Access.of(host), on_news=_say, on_progress=_Told().progressed)
    click.echo(f"All {len(found)} files are there and verified.")


@checkpoints.command("verify")
@host_option
@click.option("--family", type=family_choice, default=None, help="Of this family only.")
@click.pass_context
def verify_checkpoints(context: click.Context, name: str, family: str | None) -> None:
    """Read every model file that is there and compare checksums; exit code 1 if one is damaged.

    What was read before and has not changed since is not read again.
    """
    from cosmos_ops.remote.checkpoint_store import verify
    from deployments.host_blocks import reach_prefect, ssh_host

    reach_prefect(Settings())
    with ssh_host(name) as host:
        found = {one.path: one for one in verify(host, _all_of(family), on_news=_say)}.values()
    states = [one.state for one in found]
    verified = sum(one.is_verified for one in found)
    damaged = states.count("damaged") + states.count("wrong size")
    unknown = states.count("present") - verified
    click.echo(f"{verified} files verified, {damaged} damaged" + (f", {unknown} without a known checksum" if unknown else ""))
    context.exit(1 if damaged else 0)


def _say(news: str) -> None:
    click.echo(f"  {news}")


class _Told:
    """Tells now and then how far a download is, and how fast."""

    def __init__(self) -> None:
        self._at_s = monotonic()
        self._bytes: int | None = None

    def progressed(self, progress: "Progress") -> None:
        from cosmos_ops.remote.checkpoint_news import size_text

        passed_s = monotonic() - self._at_s
        if self._bytes is not None and passed_s < TOLD_EVERY_S:
            return
        done, total = size_text(progress.done_bytes), size_text(progress.total_bytes)
        speed = "" if self._bytes is None else f", {size_text(max(0, int((progress.done_bytes - self._bytes) / passed_s)))}/s"
        _say(f"{done} of {total}, {progress.done_files} of {progress.total_files} files{speed}")
        self._at_s, self._bytes = monotonic(), progress.done_bytes


def _all_of(family: str | None) -> tuple[Checkpoint, ...]:
    families = [family] if family else list(MANIFEST)
    return tuple(dict.fromkeys(one for name in families for one in checkpoints_for(name, MODES[name])))


def _records(family: str | None, found: Sequence["Found"]) -> Iterator[dict[str, Any]]:
    for name in [family] if family else MANIFEST:
        for mode, needed in MANIFEST[name].items():
            for one in needed:
                yield _record(name, mode, one, [there for there in found if there.checkpoint == one])


def _record(family: str, mode: str, checkpoint: Checkpoint, found: Sequence["Found"]) -> dict[str, Any]:
    sizes = [one.size_bytes for one in found]
    return {
        "family": family,
        "mode": mode,
        "repository": checkpoint.repository,
        "revision": checkpoint.revision,
        "file": checkpoint.file,
        "size_bytes": None if None in sizes else sum(size or 0 for size in sizes),
        "state": _state(found),
        "licence": checkpoint.licence,
        "is_gated": checkpoint.is_gated,
    }


def _state(found: Sequence["Found"]) -> str:
    states = ["verified" if one.is_verified else one.state for one in found]
    if len(set(states)) == 1:
        return states[0]
    counts = {state: states.count(state) for state in dict.fromkeys(sorted(states))}
    return ", ".join(f"{count} {state}" for state, count in counts.items())


def _shown(record: Mapping[str, Any]) -> dict[str, Any]:
    from cosmos_ops.remote.checkpoint_news import size_text

    size = record["size_bytes"]
    return {
        **record,
        "source": f"{record['repository']}@{record['revision'][:COMMIT_SHOWN]}",
        "size": None if size is None else size_text(size),
        "gated": "gated" if record["is_gated"] else "",
    }
