"""One entry of the manifest: files of a repository of the Hugging Face hub, and where they lie below a folder of models."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Literal

Layout = Literal["folder", "hub"]
"""`folder`: <org>/<repository>/<file>, as transfer1 reads its files. `hub`: the cache of the Hugging Face libraries."""

FOLDERS = PurePosixPath("transfer1")
"""Where the layout `folder` begins, below the folder of models."""
HUB = PurePosixPath("hf", "hub")
"""Where the layout `hub` begins; `hf` is the HF_HOME of every family."""
COMMIT_LENGTH = 40


@dataclass(frozen=True)
class Checkpoint:
    """Files of one repository at one revision."""

    repository: str
    file: str
    """A path in the repository; with `*` in it, all files that it matches."""
    layout: Layout
    licence: str
    revision: str = "main"
    """A commit, or a branch: the commit that it has at the first download is kept from then on."""
    is_gated: bool = False
    """Whether the account has to accept the licence on the page of the repository before the first download."""
    size_bytes: int | None = None
    sha256: str = ""
    md5: str = ""

    @property
    def is_pattern(self) -> bool:
        """Whether only the registry knows which files these are."""
        return "*" in self.file

    @property
    def is_pinned(self) -> bool:
        """Whether the revision is a commit."""
        return len(self.revision) == COMMIT_LENGTH

    @property
    def source(self) -> str:
        """Repository and revision, as `org/repository@revision`."""
        return f"{self.repository}@{self.revision}"

    @property
    def folder(self) -> PurePosixPath:
        """The folder of the repository, relative to the folder of models."""
        if self.layout == "folder":
            return FOLDERS / self.repository
        return HUB / f"models--{self.repository.replace('/', '--')}"

    def files(self, *names: str) -> tuple["Checkpoint", ...]:
        """The same for other files, of which no checksum is known."""
        return tuple(replace(self, file=name, size_bytes=None, sha256="", md5="") for name in names)

    def with_md5(self, file: str, md5: str) -> "Checkpoint":
        """The same for a file whose MD5 is known."""
        return replace(self, file=file, md5=md5)


def distinct(checkpoints: Sequence[Checkpoint]) -> tuple[Checkpoint, ...]:
    """Each once, in order."""
    return tuple(dict.fromkeys(checkpoints))
