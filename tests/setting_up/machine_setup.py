"""A GPU family whose program is the simulated one: its source on a server here, its model files in a registry here."""

import gzip
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cosmos_ops.checkpoints import Checkpoint, checkpoints_for
from cosmos_ops.remote.family_images import FamilyImage
from cosmos_ops.remote.ssh_host import SSHHost
from cosmos_ops.setting_up.gpu_family import SetUp, set_up_family
from tests.hosts.downloads import FileServer, running_file_server, tar_of
from tests.hosts.machine import GPUMachine
from tests.hosts.registry import Registry, running_registry
from tests.models.image import COMMON, give_common, workspace_files
from tests.remote.servers import a_spec

FAMILY = "transfer1"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
DOCKERFILE = """\
FROM ${BASE_IMAGE} AS source
ARG SOURCE_URL
ADD ${SOURCE_URL} /source.tar.gz
RUN mkdir /source && tar -xzf /source.tar.gz --strip-components=1 -C /source

FROM ${BASE_IMAGE}
COPY --from=source /source /workspace
ARG SOURCE_COMMIT
LABEL org.opencontainers.image.revision=${SOURCE_COMMIT}
"""
MODES = ("edge",)
NEEDED = {
    "nvidia/Cosmos-Guardrail1": "video_content_safety_filter/safety_filter.pt",
    "meta-llama/Llama-Guard-3-8B": "model-00001-of-00004.safetensors",
}
"""Of whole repositories, what the program looks for."""
TOKEN = "hf_" + "t" * 34


@dataclass
class Place:
    """A machine that a family is set up on, and the servers that it needs for that."""

    machine: GPUMachine
    host: SSHHost
    server: FileServer
    registry: Registry
    recipe: FamilyImage
    modes: tuple[str, ...]
    checkpoints: tuple[Checkpoint, ...]
    noted: list[str] = field(default_factory=list)

    def set_up(self, **values: Any) -> list[str]:
        """Set it up, and give back what was said."""
        said: list[str] = []
        set_up_family(
            self.host,
            SetUp(self.recipe.family, modes=self.modes, **values),
            note=self._note,
            say=said.append,
            recipe=self.recipe,
            manifest=self._manifest,
        )
        return said

    def _note(self, image: str) -> str:
        self.noted.append(image)
        return f"Noted {image}"

    def _manifest(self, family: str, modes: Sequence[str]) -> tuple[Checkpoint, ...]:
        assert (family, tuple(modes)) == (self.recipe.family, self.modes)
        return self.checkpoints


@contextmanager
def a_place(
    machine: GPUMachine, folder: Path, *, family: str = FAMILY, modes: tuple[str, ...] = MODES, **spec: Any
) -> Iterator[Place]:
    """A machine with nothing of the family on it, but with the base image."""
    give_common(machine)
    # The files of this registry are tiny, so that they have other checksums.
    checkpoints = tuple(replace(one, md5="", sha256="") for one in checkpoints_for(family, modes))
    gated = {one.repository for one in checkpoints if one.is_gated}
    with ExitStack() as stack:
        registry = stack.enter_context(running_registry())
        registry.add_for(checkpoints)
        for repository, name in NEEDED.items():
            registry.add(repository, {name: name.encode()})
        registry.orders.gated |= gated
        registry.orders.accepted[TOKEN] = set(gated)
        server = stack.enter_context(running_file_server())
        environment = {"HF_ENDPOINT": registry.endpoint}
        values = {"environment": environment, "secrets": {"HF_TOKEN": TOKEN}, "images": {}, **spec}
        host = SSHHost(a_spec(machine, folder, **values))
        stack.callback(host.close)
        recipe = a_recipe(folder, family, server.add("/source.tar.gz", source_archive(family)))
        stack.callback(forget, machine, recipe.tag)
        yield Place(machine, host, server, registry, recipe, modes, checkpoints)


def a_recipe(folder: Path, family: str, source_url: str) -> FamilyImage:
    dockerfile = folder / "Dockerfile"
    dockerfile.write_text(DOCKERFILE)
    return FamilyImage(
        family=family,
        repository="nvidia/tiny",
        commit=COMMIT,
        dockerfile=dockerfile,
        drivers={COMMON: "570.124.06"},
        size_gb=0.001,
        source_url=source_url,
    )


def source_archive(family: str) -> bytes:
    """The source of a simulated program, as GitHub packs one: with a folder around it."""
    files = workspace_files(family).items()
    return gzip.compress(tar_of({name.replace("workspace", "tiny-0123456", 1): content for name, content in files}), mtime=0)


def forget(machine: GPUMachine, tag: str) -> None:
    """Remove an image with the layers that nothing else needs, so that it is built anew."""
    if any(tag in image.tags for image in machine.docker.images.list()):
        machine.docker.images.remove(tag, force=True)
    machine.docker.images.prune()
