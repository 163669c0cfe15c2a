"""What a GPU family needs before anything is brought to its host: docker, GPUs, their driver, and room on the disks."""

from pathlib import PurePosixPath

from cosmos_ops.errors import DiskFullError, HostUnhealthyError
from cosmos_ops.remote.checkpoint_news import size_text
from cosmos_ops.remote.checks import check_host
from cosmos_ops.remote.family_images import driver_number
from cosmos_ops.remote.host_images import images_folder
from cosmos_ops.remote.ssh_host import SSHHost
from cosmos_ops.setting_up.steps import Steps

IMAGE_CHECK = "image"
"""How the checks of images begin: those of other families may be missing, this one is about to come."""


def check_prerequisites(host: SSHHost, *, driver_min: str, family: str, steps: Steps) -> None:
    """Do the checks of `cosmos host check`, and compare the driver.

    Raises:
        HostError: Something is missing; the message says all of it, each with what to do.
    """
    failed = []
    for check in check_host(host, needs_gpu=True):
        if check.name.startswith(IMAGE_CHECK):
            continue
        if check.verdict == "fail":
            failed.append(f"{check.name}: {check.detail}; {check.remedy}")
        elif check.verdict in ("ok", "warn"):
            steps.tell(f"{check.name}: {check.detail}")
            if check.verdict == "warn":
                steps.tell_all(f"  warning: {check.remedy}")
    if failed:
        raise HostUnhealthyError(f"host {host.name} is not ready for {family}: {' | '.join(failed)}")
    _check_driver(host, driver_min, family)


def check_room(host: SSHHost, *, image_bytes: int, model_bytes: int) -> None:
    """Make sure that the disks have room for what will come.

    Raises:
        DiskFullError: One has not.
    """
    folder = images_folder(host)
    needs = [(folder, image_bytes, "the image"), (host.workspace, model_bytes, "the model files")]
    if _disk(host, folder) == _disk(host, host.workspace):
        needs = [(host.workspace, image_bytes + model_bytes, "image and model files")]
    for path, needed, what in needs:
        free = _free_bytes(host, path)
        if free is not None and needed > free:
            raise DiskFullError(
                f"host {host.name}: too little room for {what}: about {size_text(needed)} under {path}, and "
                f"{size_text(free)} are free; make room there, or use a larger disk"
            )


def _check_driver(host: SSHHost, driver_min: str, family: str) -> None:
    driver = host.gpus()[0].driver
    if driver_number(driver) < driver_number(driver_min):
        raise HostUnhealthyError(
            f"host {host.name}: the NVIDIA driver is {driver}, but {family} needs {driver_min} or newer; install a newer driver "
            "there and reboot, or take a base image with an older CUDA (docs/hosts.md)"
        )


def _disk(host: SSHHost, path: PurePosixPath) -> str:
    """The device that a path lies on, or the path itself where that cannot be seen."""
    lines = host.connection.run(["df", "-P", str(path)]).stdout.splitlines()
    return lines[-1].split()[0] + lines[-1].split()[-1] if len(lines) > 1 else str(path)


def _free_bytes(host: SSHHost, path: PurePosixPath) -> int | None:
    """Room under a path; none where the user who logs in may not see it."""
    try:
        return host.transfers.free_bytes(path)
    except HostUnhealthyError:
        return None
