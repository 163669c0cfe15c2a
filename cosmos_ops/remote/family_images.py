"""The image of each GPU family: what it is built from on a host, and what that needs; `dockerfiles/` has the steps.

The source comes as a tar file at a pinned commit. Docker on the host fetches it, so that nothing large travels from here.
"""

import hashlib
import io
import re
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from cosmos_ops.errors import InputError
from cosmos_ops.remote.build_context import Context

DOCKERFILES = Path(__file__).with_name("dockerfiles")
ARCHIVE = "https://codeload.github.com/{repository}/tar.gz/{commit}"
PROXIES = ("http_proxy", "https_proxy", "no_proxy")
"""Variables of the host block that the steps of a build get as well; docker leaves no trace of them in the image."""
ONE_WORD = re.compile(r"[!-~]+")


@dataclass(frozen=True)
class FamilyImage:
    """How the image of a family is made."""

    family: str
    repository: str
    """Where the program comes from, as GitHub has it."""
    commit: str
    dockerfile: Path
    drivers: Mapping[str, str]
    """Base image to the oldest driver of NVIDIA that it runs with; the first one is taken where nobody names another."""
    size_gb: float
    """Room that docker needs to build it, about."""
    base_image: str = ""
    source_url: str = ""
    """A tar file with the source, packed by gzip, with one folder around it."""

    def with_sources(self, *, base_image: str = "", source_url: str = "") -> "FamilyImage":
        """The same with all filled in, and with other sources where they are named.

        Raises:
            InputError: One of them cannot stand in a Dockerfile.
        """
        archive = ARCHIVE.format(repository=self.repository, commit=self.commit)
        chosen = replace(
            self,
            base_image=base_image or self.base_image or next(iter(self.drivers)),
            source_url=source_url or self.source_url or archive,
        )
        for text in (chosen.base_image, chosen.source_url):
            if not ONE_WORD.fullmatch(text):
                raise InputError(f"'{text}' is no image and no URL; leave blanks and special characters out")
        return chosen

    @property
    def driver_min(self) -> str:
        """The oldest driver for its base image; for one that nobody knows, the oldest of all that are known."""
        return self.drivers.get(self.base_image) or min(self.drivers.values(), key=driver_number)

    @property
    def tag(self) -> str:
        """Name and tag of the image; another commit has another one."""
        return f"cosmos-{self.family}:{self.commit[:12]}"


FAMILY_IMAGES: Mapping[str, FamilyImage] = {
    image.family: image
    for image in (
        FamilyImage(
            family="transfer1",
            repository="nvidia-cosmos/cosmos-transfer1",
            commit="5005e823dbd478ad8e51f6bc28a913a13a994b5f",
            dockerfile=DOCKERFILES / "transfer1.Dockerfile",
            # GPUs of data centres; others need 575, as the release notes of Triton 25.04 say.
            drivers={"nvcr.io/nvidia/tritonserver:25.04-vllm-python-py3": "535.86"},
            size_gb=60,
        ),
        FamilyImage(
            family="transfer25",
            repository="nvidia-cosmos/cosmos-transfer2.5",
            commit="2ff49d0717af02057ae79bc75c00fbff9da1b4e7",
            dockerfile=DOCKERFILES / "transfer25.Dockerfile",
            drivers={"nvidia/cuda:12.8.1-cudnn-devel-ubuntu24.04": "570.124.06"},
            size_gb=50,
        ),
        FamilyImage(
            family="cosmos3",
            repository="NVIDIA/cosmos-framework",
            commit="5eee9ed574255f017b192161bfbb5a10253d65cf",
            dockerfile=DOCKERFILES / "cosmos3.Dockerfile",
            # As the release notes of CUDA say.
            drivers={
                "nvidia/cuda:13.0.2-cudnn-devel-ubuntu24.04": "580.65.06",
                "nvidia/cuda:12.8.1-cudnn-devel-ubuntu24.04": "570.124.06",
            },
            size_gb=60,
        ),
    )
}
"""By family; `preview` has an image of its own kind (`build_context`)."""


@contextmanager
def family_context(image: FamilyImage, environment: Mapping[str, str]) -> Iterator[Context]:
    """Pack what docker is sent: the Dockerfile, with all that varies said at its top.

    Args:
        image: What is built.
        environment: That of the host block, which may name proxies.
    """
    values = {"BASE_IMAGE": image.base_image, "SOURCE_URL": image.source_url, "SOURCE_COMMIT": image.commit}
    head = "".join(f"ARG {name}={value}\n" for name, value in values.items())
    content = head.encode() + image.dockerfile.read_bytes()
    with io.BytesIO() as tar:
        with tarfile.open(fileobj=tar, mode="w", format=tarfile.GNU_FORMAT) as archive:
            # Owner and time stay at 0: equal content gives equal bytes.
            entry = tarfile.TarInfo("Dockerfile")
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
        yield Context(
            tar=tar,
            size_bytes=tar.tell(),
            file_count=1,
            digest=hashlib.sha256(tar.getvalue()).hexdigest(),
            base_image=image.base_image,
            is_offline=False,
            build_args={name: value for name, value in environment.items() if name.lower() in PROXIES},
            advice="If the host has no internet, take an image from elsewhere with --image; if it has a proxy, name it in the "
            "environment of the host block (docs/hosts.md)",
        )


def driver_number(version: str) -> tuple[int, ...]:
    """A version of a driver as numbers that can be compared: 570.124.06 is older than 570.133.20."""
    return tuple(int(part) for part in re.findall(r"\d+", version))
