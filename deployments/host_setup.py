"""`cosmos host setup`: an image is built on the host, tried with a tiny job, and noted in the host block."""

from collections.abc import Callable
from pathlib import Path
from time import monotonic

from cosmos_ops.remote import host_setup
from cosmos_ops.remote.build_context import Context, build_context, requirements
from cosmos_ops.remote.ssh_host import SSHHost
from cosmos_ops.settings import Settings
from cosmos_ops.smoke import run_smoke_job
from deployments.host_blocks import load_host, reach_prefect, ssh_host

Say = Callable[[str], None]
LINE_LENGTH_MAX = 100
TOLD_BYTES = 25_000_000
"""Of a larger transfer it is told now and then how far it is."""


def set_up(settings: Settings, name: str, *, family: str, base_image: str, wheels: Path | None, say: Say) -> None:
    """Make a host ready for a family; doing it again with nothing changed sends and builds nothing.

    Raises:
        InputError: There is no such host, or a wheel is missing.
        HostError: The host could not do it; the message says which step.
    """
    tag = host_setup.image_tag()
    with build_context(wheels=wheels, base_image=base_image) as context:
        libraries = ", ".join(requirements().split())
        say(f"[1/4] Packed: {context.file_count} files, {_size(context.size_bytes)} to send, for {libraries}")
        reach_prefect(settings)
        with ssh_host(name) as host:
            _build(host, context, tag, say)
            _try(host, tag, say)
    _note(name, family, tag, say)
    say(f"Next: cosmos demo --host {name}")


def _try(host: SSHHost, tag: str, say: Say) -> None:
    say("[3/4] Smoke job: a video of a few frames, through upload, container and download ...")
    begun = monotonic()
    frame_count = run_smoke_job(host, tag, on_news=lambda news: say(f"      {news}"))
    say(f"      completed in {monotonic() - begun:.1f} s; {frame_count} frames came home")


def _note(name: str, family: str, tag: str, say: Say) -> None:
    block = load_host(name)
    if block.images.get(family) == tag:
        say(f"[4/4] Host {name} has the image {tag} for the family {family} already")
        return
    block.images = {**block.images, family: tag}
    block.save(name, overwrite=True)
    say(f"[4/4] Saved: host {name} has the image {tag} for the family {family}")


def _build(host: SSHHost, context: Context, tag: str, say: Say) -> None:
    if host_setup.is_built(host, context, tag):
        say(f"[2/4] Image {tag} was built from the same before; nothing is sent")
        return
    network = "without network" if context.is_offline else "libraries come from the internet"
    say(f"[2/4] Building {tag} on {context.base_image}, {network} ...")
    begun, sent = monotonic(), _Sent(context.size_bytes, say)
    host_setup.build(host, context, tag, on_line=lambda line: say(f"      {_short(line)}"), on_sent=sent.add)
    say(f"      built in {monotonic() - begun:.1f} s")


class _Sent:
    """Tells every quarter of a large transfer."""

    def __init__(self, total_bytes: int, say: Say) -> None:
        self._total, self._say = total_bytes, say
        self._sent = self._told = 0

    def add(self, count: int) -> None:
        self._sent += count
        quarter = 4 * self._sent // self._total
        if self._total > TOLD_BYTES and quarter > self._told:
            self._told = quarter
            self._say(f"      sent {_size(self._sent)} of {_size(self._total)}")


def _short(line: str) -> str:
    return line if len(line) <= LINE_LENGTH_MAX else f"{line[:LINE_LENGTH_MAX]} ..."


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"
