"""`cosmos host setup`: a host is made ready for a family, tried with a tiny job, and its block gets the image."""

from collections.abc import Sequence
from pathlib import Path

from cosmos_ops.setting_up import Say, SetUp, set_up_host
from cosmos_ops.settings import Settings
from deployments.host_blocks import reach_prefect, ssh_host


def set_up(
    settings: Settings,
    name: str,
    *,
    family: str,
    base_image: str,
    wheels: Path | None,
    say: Say,
    modes: Sequence[str] = (),
    image: str = "",
    source_url: str = "",
    has_checkpoints: bool = True,
) -> None:
    """Make a host ready for a family; doing it again goes on where it stopped, and with nothing changed does nothing.

    Raises:
        InputError: There is no such host, or an option is not for this family.
        HostError: The host could not do it; the message says which step.
        ModelError: Model files cannot be had, or the smoke job failed.
    """
    wanted = SetUp(family, tuple(modes), image, base_image, source_url, has_checkpoints)
    reach_prefect(settings)
    from flows.host_setup import note_image

    with ssh_host(name) as host:
        set_up_host(host, wanted, wheels=wheels, note=lambda tag: note_image(name, family, tag), say=say)
    say(f"Next: cosmos demo --host {name}" if family == "preview" else f"Next: cosmos host check {name}")
