"""Set up a host for a family, from the UI or a schedule: the steps are log lines, and a page shows what was done."""

from typing import Literal, cast

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact

from blocks import GPUHost
from cosmos_ops.errors import CosmosError, InputError
from cosmos_ops.remote.ssh_host import SSHHost
from cosmos_ops.setting_up import SetUp, set_up_host
from flows.artifacts import only_shown
from flows.hosts import connected

Family = Literal["preview", "transfer1", "transfer25", "cosmos3"]


@flow(name="host-setup")
def host_setup(
    name: str,
    family: Family,
    modes: list[str] = [],  # noqa: B006
    image: str = "",
    base_image: str = "",
    source_url: str = "",
    checkpoints: bool = True,
) -> str:
    """Make a GPU server ready for a family: prerequisites, image, model files, and a smoke job. Again goes on where it stopped.

    Args:
        name: Name of the host, as `cosmos host list` shows it.
        family: Family of models to make ready.
        modes: What runs will do, which says what model files they need; empty for what most need.
        image: Image to take instead of building one; it is fetched if it is not there.
        base_image: Image to build upon; empty for that of the family.
        source_url: Tar file with the source of the program; empty for that of the family.
        checkpoints: Whether model files are downloaded.
    """
    logger, lines = get_run_logger(), list[str]()

    def say(line: str) -> None:
        logger.info("%s", line)
        lines.append(line)

    wanted = SetUp(family, tuple(modes), image, base_image, source_url, checkpoints)
    try:
        with connected(name) as host:
            if not isinstance(host, SSHHost):
                raise InputError(f"'{name}' is this machine; it runs the preview family as it is, without set-up")
            set_up_host(host, wanted, note=lambda tag: note_image(name, family, tag), say=say)
    except CosmosError as error:
        _show(name, family, lines, f"It stopped: {error}")
        raise
    _show(name, family, lines, "It is ready.")
    return f"host {name} is ready for {family}"


def note_image(name: str, family: str, image: str) -> str:
    """Note in the block of a host where the image of a family is.

    Returns:
        A sentence that says so.
    """
    block = cast(GPUHost, GPUHost.load(name))
    if block.images.get(family) == image:
        return f"Host {name} has the image {image} for the family {family} already"
    block.images = {**block.images, family: image}
    block.save(name, overwrite=True)
    return f"Saved: host {name} has the image {image} for the family {family}"


def _show(name: str, family: str, lines: list[str], end: str) -> None:
    text = "\n".join([f"# Host {name}, family {family}", "", "```", *lines, "```", "", end, ""])
    with only_shown():
        create_markdown_artifact(text, key=f"host-setup-{name}", description=f"Set-up of {name} for {family}")
