"""What is kept in the folder of models from one download to the next: listings of repositories, and checksums of files."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .hub import Listed, Listing
from .places import LISTINGS, VERIFIED


class Memory:
    """Reads and writes the two files; safe to share among threads."""

    def __init__(self, models: Path) -> None:
        self._models = models
        self._lock = threading.Lock()

    def listing(self, source: str) -> Listing | None:
        """What the registry said of `org/repository@revision`; a branch stays at the commit that it had then."""
        found = self._read(LISTINGS).get(source)
        if found is None:
            return None
        files = {name: Listed(file["size_bytes"], file["hashes"]) for name, file in found["files"].items()}
        return Listing(found["commit"], files)

    def keep_listing(self, source: str, listing: Listing) -> None:
        """Remember it."""
        files = {name: {"size_bytes": file.size_bytes, "hashes": file.hashes} for name, file in listing.files.items()}
        self._add(LISTINGS, source, {"commit": listing.commit, "files": files})

    def hashes(self, path: str) -> dict[str, str]:
        """The checksums of a file that has not been touched since they were computed; none otherwise."""
        known = self._read(VERIFIED).get(path, {})
        stat = (self._models / path).stat()
        is_same = (known.get("size_bytes"), known.get("mtime_ns")) == (stat.st_size, stat.st_mtime_ns)
        return dict(known["hashes"]) if is_same else {}

    def keep_hashes(self, path: str, hashes: Mapping[str, str]) -> None:
        """Remember them together with size and time of the file."""
        stat = (self._models / path).stat()
        value = {"size_bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns, "hashes": dict(hashes)}
        self._add(VERIFIED, path, value)

    def _add(self, name: str, key: str, value: dict[str, Any]) -> None:
        with self._lock:
            draft = self._models / f"{name}.new"
            draft.write_text(json.dumps({**self._read(name), key: value}, indent=1))
            os.replace(draft, self._models / name)  # noqa: PTH105

    def _read(self, name: str) -> dict[str, Any]:
        try:
            found = json.loads((self._models / name).read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}
