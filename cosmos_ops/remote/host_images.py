"""Images on a host: what is there, and bringing one from its registry. `host_setup` builds them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

import docker
import docker.errors

from cosmos_ops.errors import DiskFullError, HostError, HostUnhealthyError, ImageMissingError
from cosmos_ops.remote.foreign import translated
from cosmos_ops.remote.ssh_host import SSHHost

SILENCE_LIMIT_S = 1800
"""How long a registry may say nothing."""
WITHOUT_TAG = "latest"
FULL = "no space left"
REFUSALS = ("not found", "manifest unknown", "access denied", "unauthorized", "forbidden", "denied:")


@dataclass(frozen=True)
class HostImage:
    """An image that a host has."""

    id: str
    """Equal for equal content, whatever it is called."""
    size_bytes: int


def find_image(host: SSHHost, image: str) -> HostImage | None:
    """What the host has under this name, if anything."""
    with translated(host.name):
        try:
            found = host.docker.api().inspect_image(image)  # type: ignore[no-untyped-call]
        except docker.errors.ImageNotFound:
            return None
    return HostImage(str(found["Id"]), int(found["Size"]))


def images_folder(host: SSHHost) -> PurePosixPath:
    """Where docker on the host keeps images and containers."""
    with translated(host.name):
        return PurePosixPath(host.docker.api().info()["DockerRootDir"])


def pull(host: SSHHost, image: str, *, on_news: Callable[[str], None]) -> None:
    """Let docker on the host fetch an image; layers that it has are not fetched again.

    Args:
        host: Where.
        image: As `REGISTRY/NAME:TAG` or `NAME@sha256:DIGEST`.
        on_news: Told each layer that is complete.

    Raises:
        ImageMissingError: The registry has no such image, or not for this host.
        DiskFullError: No room is left where docker keeps its images.
        HostUnhealthyError: The registry cannot be reached, or docker fails.
    """
    name, tag = reference(image)
    layers = _Layers(on_news)
    try:
        with translated(host.name):
            api = host.docker.api()
            for answer in api.pull(name, tag=tag, stream=True, decode=True):
                if "error" in answer:
                    raise docker.errors.APIError(str(answer["error"]))
                layers.take(answer)
    except HostError as error:
        # Without words of docker's own, the host was lost on the way.
        if not isinstance(error.__cause__, docker.errors.APIError):
            raise
        raise _ours(host, image, str(error)) from error


def reference(image: str) -> tuple[str, str]:
    """Name, and tag or digest of an image; a colon before a slash belongs to the port of the registry."""
    name, at, digest = image.partition("@")
    if at:
        return name, digest
    head, colon, tag = image.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (image, WITHOUT_TAG)


class _Layers:
    """Counts what is fetched; docker tells every move of its bars."""

    def __init__(self, on_news: Callable[[str], None]) -> None:
        self._on_news = on_news
        self._sizes: dict[str, int] = {}
        self._complete: set[str] = set()

    def take(self, answer: dict[str, object]) -> None:
        layer, status, detail = str(answer.get("id", "")), answer.get("status"), answer.get("progressDetail")
        if status == "Pulling fs layer":
            self._sizes.setdefault(layer, 0)
        if status == "Downloading" and isinstance(detail, dict):
            self._sizes[layer] = int(detail.get("total") or 0)
        if status == "Pull complete" and layer not in self._complete:
            self._complete.add(layer)
            done = sum(self._sizes.get(one, 0) for one in self._complete)
            self._on_news(f"{len(self._complete)} of {len(self._sizes)} layers, {done / 1e6:.0f} MB")


def _ours(host: SSHHost, image: str, words: str) -> ImageMissingError | DiskFullError | HostUnhealthyError:
    said = words.removeprefix(f"host {host.name}: ")
    if FULL in words.lower():
        return DiskFullError(
            f"host {host.name}: no room for the image {image}; `docker system df` there shows what fills the disk ({said})"
        )
    if any(part in words.lower() for part in REFUSALS):
        return ImageMissingError(
            f"host {host.name}: the registry does not give the image {image}; correct the name, or load it there with "
            f"`docker load` ({said})"
        )
    return HostUnhealthyError(f"host {host.name}: the image {image} cannot be fetched; see docs/hosts.md ({said})")
