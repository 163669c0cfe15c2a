"""Sets a host up for the preview family: its image is built there from what this machine has, and tried."""

from pathlib import Path

from cosmos_ops.remote import host_setup
from cosmos_ops.remote.build_context import Context, build_context, requirements
from cosmos_ops.remote.checkpoint_news import size_text
from cosmos_ops.remote.ssh_host import SSHHost
from cosmos_ops.setting_up.steps import Note, Say, Steps, Stopwatch, Transfer
from cosmos_ops.smoke import run_smoke_job

QUARTERS = 4


def set_up_preview(host: SSHHost, *, base_image: str, wheels: Path | None, note: Note, say: Say) -> None:
    """Make a host ready for the preview family; doing it again with nothing changed sends and builds nothing.

    Raises:
        InputError: A wheel is missing.
        HostError: The host could not do it; the message says which step.
        ModelError: The smoke job failed.
    """
    tag, steps = host_setup.image_tag(), Steps(say, 4)
    with build_context(wheels=wheels, base_image=base_image) as context:
        libraries = ", ".join(requirements().split())
        steps.begin(f"Packed: {context.file_count} files, {size_text(context.size_bytes)} to send, for {libraries}")
        _build(host, context, tag, steps)
    _try(host, tag, steps)
    steps.begin(note(tag))


def _build(host: SSHHost, context: Context, tag: str, steps: Steps) -> None:
    if host_setup.is_built(host, context, tag):
        steps.begin(f"Image {tag} was built from the same before; nothing is sent")
        return
    network = "without network" if context.is_offline else "libraries come from the internet"
    steps.begin(f"Building {tag} on {context.base_image}, {network} ...")
    took, transfer, sent = Stopwatch(), Transfer(steps, "sent", parts=QUARTERS), 0

    def add(count: int) -> None:
        nonlocal sent
        sent += count
        transfer.reached(sent, context.size_bytes)

    host_setup.build(host, context, tag, on_line=steps.tell, on_sent=add)
    steps.tell(f"built in {took}")


def _try(host: SSHHost, tag: str, steps: Steps) -> None:
    steps.begin("Smoke job: a video of a few frames, through upload, container and download ...")
    took = Stopwatch()
    frame_count = run_smoke_job(host, tag, on_news=steps.tell)
    steps.tell(f"completed in {took}; {frame_count} frames came home")
