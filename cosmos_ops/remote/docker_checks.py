"""The part of `cosmos host check` that asks docker: its version, its limits, images, and GPUs inside containers."""

import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any

import docker
import docker.errors
from docker.types import DeviceRequest

from cosmos_ops.errors import CosmosError, HostUnhealthyError
from cosmos_ops.remote.containers import GIGABYTE
from cosmos_ops.remote.findings import Check, changed, fail, free_space, ok, warn
from cosmos_ops.remote.foreign import translated
from cosmos_ops.remote.ssh_host import SSHHost
from cosmos_ops.remote.target import route_to

CHECK_LABEL = "cosmos.check"
TRIAL_LIMIT_S = 60
RUNTIME = "nvidia"
TOOLKIT = "nvidia-container-runtime-hook"
"""The program by which docker knows that it can give GPUs away."""
TOOLKIT_REMEDY = (
    "install the NVIDIA container toolkit there, then `sudo nvidia-ctk runtime configure --runtime=docker` and "
    "`sudo systemctl restart docker` (docs/hosts.md)"
)


def docker_answers(host: SSHHost) -> Iterator[Check]:
    """Docker is there, open to us, and says its version."""
    with translated(host.name):
        version = host.docker.api().version()
    yield ok(f"{version['Version']} (API {version['ApiVersion']}, {version['Arch']}), through {host.docker.way}")


def docker_remedy(host: SSHHost, error: CosmosError) -> str:
    """What to do where docker does not answer."""
    words, user = str(error), route_to(host.spec.target).user
    if "permission denied" in words:
        by_sudo = changed(host, "--docker-command 'sudo -n docker'")
        return f"`sudo usermod -aG docker {user}` there, then check again; or {by_sudo}"
    if "not installed" in words:
        return "install it there: `sudo apt-get install docker.io` (docs/hosts.md)"
    return f"`sudo systemctl enable --now docker` there; if its socket is elsewhere, {changed(host, '--docker-socket PATH')}"


def docker_disk(host: SSHHost) -> Iterator[Check]:
    """Room for images and containers, which may lie on another disk than the workspace."""
    folder = PurePosixPath(_info(host)["DockerRootDir"])
    remedy = "`docker system df` shows what fills it, `docker image prune` removes what nobody uses; or move its `data-root`"
    try:
        yield free_space(folder, host.transfers.free_bytes(folder), remedy)
    except HostUnhealthyError as error:
        yield warn(f"how much room {folder} has cannot be seen", f"`sudo df -h {folder}` there tells ({error})")


def limits(host: SSHHost) -> Iterator[Check]:
    """What containers may use, against what the machine has."""
    found, wanted, slots = _info(host), host.spec.limits, len(host.spec.slots)
    memory_gb, cpus = found["MemTotal"] / GIGABYTE, float(found["NCPU"])
    has = f"the machine has {memory_gb:.0f} GB of memory and {cpus:.0f} CPU cores"
    remedy = f"change the limits in the host block '{host.name}' (docs/hosts.md)"
    if wanted.cpus > cpus:
        yield fail(f"{wanted.cpus:g} CPU cores for a container, but {has}; docker refuses that", remedy)
    elif wanted.memory_gb * slots > memory_gb:
        yield warn(f"{slots} slots of {wanted.memory_gb:g} GB of memory each, but {has}", remedy)
    elif wanted.shm_gb * slots > memory_gb:
        yield warn(f"{slots} slots of {wanted.shm_gb:g} GB of shared memory (/dev/shm) each, but {has}", remedy)
    elif 0 < wanted.memory_gb < wanted.shm_gb:
        yield warn(
            f"shared memory of {wanted.shm_gb:g} GB counts as memory, of which a container may have {wanted.memory_gb:g} GB",
            remedy,
        )
    else:
        memory = f"memory {wanted.memory_gb:g} GB" if wanted.memory_gb else "memory without limit"
        yield ok(f"shared memory {wanted.shm_gb:g} GB, {memory} for each of {slots} slots; {has}")


def images(host: SSHHost) -> Iterator[Check]:
    """The image of each family is there."""
    if not host.spec.images:
        yield warn("no family has an image", f"`cosmos host setup {host.name} --family preview`")
    for family, image in sorted(host.spec.images.items()):
        found = _image(host, image)
        if found is None:
            yield fail(f"{image} is not there", f"`cosmos host setup {host.name} --family {family}`", name=f"image {family}")
        else:
            yield ok(f"{image}, {found['Size'] / 1e6:.0f} MB, of {found['Created'][:10]}", name=f"image {family}")


def gpus(host: SSHHost) -> Iterator[Check]:
    """The driver works, and every GPU of every slot is there."""
    found = host.gpus()
    if not found:
        yield fail(
            "nvidia-smi is not there: no NVIDIA driver",
            "install the driver: `sudo ubuntu-drivers install`, then reboot (docs/hosts.md)",
        )
        return
    kinds = Counter(f"{gpu.name} of {gpu.memory_mib / 1024:.0f} GiB" for gpu in found)
    there = f"{', '.join(f'{count} x {kind}' for kind, count in kinds.items())}, driver {found[0].driver}"
    if missing := sorted({gpu for slot in host.spec.slots for gpu in slot} - {gpu.index for gpu in found}):
        numbers = ", ".join(str(gpu.index) for gpu in found)
        yield fail(
            f"{there}; slots name GPU {', '.join(map(str, missing))}, but there are only {numbers}",
            changed(host, f"--slots {','.join(numbers.split(', '))}"),
        )
        return
    yield ok(there)


def gpus_remedy(_host: SSHHost, _error: CosmosError) -> str:
    """What to do where nvidia-smi fails."""
    return "most often the driver was updated without a reboot, or a new kernel lacks it: `sudo reboot`, then `nvidia-smi` there"


def gpu_containers(host: SSHHost) -> Iterator[Check]:
    """Docker can give GPUs to a container: one of them is started and ends at once."""
    image = next((image for image in host.spec.images.values() if _image(host, image)), None)
    if image is None:
        yield _toolkit(host)
        return
    gpu = host.spec.slots[0][0]
    _try_gpu(host, image, gpu)
    yield ok(f"a container of {image} was started with GPU {gpu}")


def gpu_containers_remedy(_host: SSHHost, _error: CosmosError) -> str:
    """What to do where docker has no GPUs to give."""
    return TOOLKIT_REMEDY


def _toolkit(host: SSHHost) -> Check:
    """Without any image nothing can be started; then the toolkit itself is looked for."""
    has_runtime = RUNTIME in _info(host).get("Runtimes", {})
    if has_runtime or host.connection.run([TOOLKIT, "--help"]).code != 127:
        return ok("the NVIDIA container toolkit is there; it is tried with a container once a family has its image")
    return fail("the NVIDIA container toolkit is not there", TOOLKIT_REMEDY)


def _try_gpu(host: SSHHost, image: str, gpu: int) -> None:
    name = f"cosmos-check-{secrets.token_hex(4)}"
    with translated(host.name):
        api = host.docker.api()
        config = api.create_host_config(
            network_mode="none", device_requests=[DeviceRequest(device_ids=[str(gpu)], capabilities=[["gpu"]])]
        )
        api.create_container(image, name=name, entrypoint=["true"], host_config=config, labels={CHECK_LABEL: host.name})
        try:
            api.start(name)
            ended = api.wait(name, timeout=TRIAL_LIMIT_S)
        except docker.errors.APIError as error:
            words = " ".join(str(error.explanation or error).split())
            raise HostUnhealthyError(f"docker cannot give GPU {gpu} to a container: {words}") from error
        finally:
            with suppress(docker.errors.NotFound):
                api.remove_container(name, v=True, force=True)
    if ended["StatusCode"] != 0:
        raise HostUnhealthyError(f"`true` in a container of {image} ended with {ended['StatusCode']}")


def _info(host: SSHHost) -> dict[str, Any]:
    with translated(host.name):
        found: dict[str, Any] = host.docker.api().info()
    return found


def _image(host: SSHHost, image: str) -> dict[str, Any] | None:
    with translated(host.name):
        try:
            found: dict[str, Any] = host.docker.api().inspect_image(image)  # type: ignore[no-untyped-call]
        except docker.errors.ImageNotFound:
            return None
    return found
