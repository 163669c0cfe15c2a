"""One file on the disk: where it belongs, putting it there, and taking away what is not what it should be."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .hub import Listed
from .places import agree, partial_path


@dataclass(frozen=True)
class Wanted:
    """A file that has to be there. Paths are relative to the folder of models."""

    repository: str
    commit: str
    file: str
    path: str
    blobs: str
    """Folder of the blobs of its repository, in the layout of the hub."""
    listed: Listed
    known: dict[str, str]
    """Checksums that do not come from the registry."""

    @property
    def hashes(self) -> dict[str, str]:
        """All checksums that it must have."""
        return {**self.listed.hashes, **self.known}

    @property
    def to_compute(self) -> list[str]:
        """The kinds of checksums that are computed of it."""
        return list(self.hashes) or ["sha256"]


class Shelf:
    """The folder of models."""

    def __init__(self, models: Path) -> None:
        self._models = models

    def whole(self, wanted: Wanted) -> Path | None:
        """The file, if one of the right size is there; nothing of a wrong size stays."""
        path = self._models / wanted.path
        if not path.is_file() and (blob := self._blob(wanted, wanted.listed.hashes)) and blob.is_file():
            self._link(path, blob)
        if not path.is_file():
            return None
        if wanted.listed.size_bytes not in (None, path.stat().st_size):
            self.discard(wanted)
            return None
        return path

    def partial(self, wanted: Wanted) -> Path:
        """Where it lies while it is on its way."""
        path = self._models / partial_path(wanted.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def put(self, wanted: Wanted, partial: Path, hashes: Mapping[str, str]) -> None:
        """Move a whole file to its place."""
        path = self._models / wanted.path
        blob = self._blob(wanted, hashes)
        target = blob or path
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.replace(target)
        if blob:
            self._link(path, blob)

    def discard(self, wanted: Wanted) -> None:
        """Remove a file that is damaged."""
        path = self._models / wanted.path
        if path.is_symlink():
            path.resolve().unlink(missing_ok=True)
        path.unlink()

    def point_to(self, folder: str, revision: str, commit: str) -> None:
        """Let a branch of a repository lead to a commit, as the libraries read it."""
        ref = self._models / folder / "refs" / revision
        ref.parent.mkdir(parents=True, exist_ok=True)
        ref.write_text(commit)

    def free_bytes(self) -> int:
        """Room on its disk."""
        found = os.statvfs(self._models)
        return found.f_bavail * found.f_frsize

    def _blob(self, wanted: Wanted, hashes: Mapping[str, str]) -> Path | None:
        names = {**hashes, **wanted.listed.hashes}
        name = names.get("sha256") if "sha256" in wanted.listed.hashes else names.get("git-sha1") or names.get("sha256")
        return self._models / wanted.blobs / name if wanted.blobs and name else None

    def _link(self, path: Path, blob: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(os.path.relpath(blob, path.parent))


def is_right(wanted: Wanted, hashes: Mapping[str, str]) -> bool:
    """Whether a whole file is what it should be; where nobody knows its checksums it is."""
    return agree(wanted.hashes, hashes) is not False
