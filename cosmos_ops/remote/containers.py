"""Containers on a host: how one is made, what docker says of it, and how its end is read."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

import docker
import docker.errors
from docker.types import DeviceRequest, LogConfig
from docker.types import Mount as DockerMount

from cosmos_ops.errors import HostUnhealthyError, ImageMissingError
from cosmos_ops.job import MODELS_FOLDER, ContainerExit, ContainerSpec
from cosmos_ops.remote.host import JOB_LABEL
from cosmos_ops.remote.slots import ENDED, GPUS_LABEL, Occupant, gpus_text, read_gpus
from cosmos_ops.remote.spec import Limits, Mount, Slot

JOB_FOLDER = PurePosixPath("/cosmos/job")
INPUTS_FOLDER = PurePosixPath("/cosmos/inputs")
LOG_NAME = "process.log"
GIGABYTE = 1_000_000_000
TIME_LIMIT = "timeout"
"""The program of coreutils and busybox that ends a command after a time, whoever is there to see it."""
OVERDUE_CODE = 124
KILL_AFTER_S = 30
WORDS_BEFORE = 1
"""Words of our own before those of the job's command."""
ENVIRONMENT: Mapping[str, str] = {"PYTHONUNBUFFERED": "1", "HOME": "/tmp", "USER": "cosmos", "LOGNAME": "cosmos"}  # noqa: S108
"""PyTorch does not import for a user id that has neither a line in /etc/passwd nor these names."""
ROOT = "0"
LOG_SCRIPT = ': >>"$0"; tail -n +1 -f "$0" 2>/dev/null & exec "$@" >>"$0" 2>&1'
"""The process writes its log into a file, from which it is followed: byte by byte, through every cut, and with each redraw of
a progress bar at once, while docker keeps a line until it ends. `tail` shows docker the same. `$0` is the file, `$@` the
words of the command; nothing in them is interpreted."""
ENTRYPOINT = ["sh", "-c", LOG_SCRIPT]
"""In place of that of the image, which may do things of its own at each start, such as looking for updates."""


@dataclass(frozen=True)
class Placement:
    """Where and as what a container runs."""

    job_folder: PurePosixPath
    inputs_folder: PurePosixPath
    models_folder: PurePosixPath
    slot: Slot
    user: str
    labels: Mapping[str, str]
    mounts: Sequence[Mount] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    limits: Limits = field(default_factory=Limits)


def create(api: docker.APIClient, name: str, container: ContainerSpec, at: Placement) -> None:
    """Create a container; it does not run yet.

    Raises:
        ImageMissingError: Its image is not on the host.
        docker.errors.APIError: 409 if there is one of that name.
    """
    try:
        api.create_container(
            container.image,
            command=_command(container.argv, at.limits),
            name=name,
            labels={**at.labels, GPUS_LABEL: gpus_text(at.slot)},
            entrypoint=ENTRYPOINT,
            environment={**ENVIRONMENT, **container.env, **at.env},
            user=at.user,
            working_dir=container.workdir or None,
            stop_signal="SIGTERM",
            host_config=_host_config(api, container, at),
        )
    except docker.errors.ImageNotFound as error:
        raise ImageMissingError(f"the image {container.image} is not there; `cosmos host setup` builds or brings it") from error


def start(api: docker.APIClient, name: str) -> None:
    """Start a created container; one that runs is no error.

    Raises:
        HostUnhealthyError: Docker cannot start it; it is removed again.
        docker.errors.NotFound: Somebody removed it.
    """
    try:
        api.start(name)
    except docker.errors.NotFound:
        raise
    except docker.errors.APIError as error:
        words = " ".join(str(error.explanation or error).split())
        api.remove_container(name, v=True, force=True)
        if "could not select device driver" in words:
            words = "docker cannot give GPUs to containers; install the NVIDIA container toolkit (docs/hosts.md)"
        raise HostUnhealthyError(f"the container {name} cannot be started: {words}") from error


def listed(api: docker.APIClient, labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """All containers of ours that carry these labels, as docker lists them."""
    wanted = [JOB_LABEL, *(f"{key}={value}" for key, value in labels.items())]
    found: list[dict[str, Any]] = api.containers(all=True, filters={"label": wanted})
    return found


def occupant(found: Mapping[str, Any]) -> Occupant:
    """What a listed container means for the slots."""
    gpus = read_gpus(found["Labels"].get(GPUS_LABEL, ""))
    return Occupant(name_of(found), gpus, str(found["State"]), float(found["Created"]))


def name_of(found: Mapping[str, Any]) -> str:
    """The name of a listed container; one that is being removed may have none."""
    return str((found["Names"] or ["/"])[0]).removeprefix("/")


def exit_of(api: docker.APIClient, name: str) -> ContainerExit | None:
    """How a container ended; none if it has not.

    Raises:
        docker.errors.NotFound: There is no such container.
    """
    found = api.inspect_container(name)
    if found["State"]["Status"] not in ENDED:
        return None
    code = int(found["State"]["ExitCode"])
    is_limited = TIME_LIMIT in found["Config"]["Cmd"][WORDS_BEFORE : WORDS_BEFORE + 1]
    return ContainerExit(code, oom_killed=bool(found["State"]["OOMKilled"]), is_overdue=is_limited and code == OVERDUE_CODE)


def now_s(api: docker.APIClient) -> float:
    """The clock of the host, in Unix seconds."""
    text = str(api.info()["SystemTime"])
    # Docker gives nanoseconds, which Python 3.10 cannot read.
    return datetime.fromisoformat(re.sub(r"\.\d+", "", text).replace("Z", "+00:00")).timestamp()


def _command(argv: Sequence[str], limits: Limits) -> list[str]:
    limit = [TIME_LIMIT, "-k", str(KILL_AFTER_S), str(int(3600 * limits.hours))] if limits.hours else []
    return [str(JOB_FOLDER / LOG_NAME), *limit, *argv]


def _host_config(api: docker.APIClient, container: ContainerSpec, at: Placement) -> dict[str, Any]:
    memory = int(at.limits.memory_gb * GIGABYTE) or None
    is_root = at.user.partition(":")[0] == ROOT
    used = [str(gpu) for gpu in at.slot[: container.gpu_count]]
    gpus = [DeviceRequest(device_ids=used, capabilities=[["gpu"]])] if used else None
    models = [DockerMount(str(MODELS_FOLDER), str(at.models_folder), type="bind", read_only=True)] if container.family else []
    config: dict[str, Any] = api.create_host_config(
        mounts=[
            DockerMount(str(JOB_FOLDER), str(at.job_folder), type="bind"),
            DockerMount(str(INPUTS_FOLDER), str(at.inputs_folder), type="bind", read_only=True),
            *models,
            *(DockerMount(str(one.target), str(one.source), type="bind", read_only=not one.is_writable) for one in at.mounts),
        ],
        network_mode="bridge" if container.has_network else "none",
        init=True,
        cap_drop=["ALL"],
        # Root of the container writes into the folder of the user who logs in.
        cap_add=["CHOWN", "DAC_OVERRIDE", "FOWNER"] if is_root else None,
        security_opt=["no-new-privileges"],
        shm_size=int(at.limits.shm_gb * GIGABYTE) or None,
        mem_limit=memory,
        memswap_limit=memory,
        nano_cpus=int(at.limits.cpus * GIGABYTE) or None,
        device_requests=gpus,
        log_config=LogConfig(type="json-file", config={"max-size": "10m", "max-file": "3"}),
    )
    return config
