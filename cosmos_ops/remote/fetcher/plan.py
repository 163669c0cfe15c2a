"""What has to be downloaded: asks the registry what the files are, and looks what is there already."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from .hashing import hashes_of
from .hub import Hub, Listed, Listing
from .memory import Memory
from .patience import Patience
from .places import COMMIT, agree, file_path, matching
from .shelf import Shelf, Wanted, is_right
from .trouble import Trouble

Entry = Mapping[str, Any]
"""A checkpoint of the request, as JSON."""


class Plan:
    """Finds out what is missing."""

    def __init__(self, hub: Hub, memory: Memory, shelf: Shelf, patience: Patience) -> None:
        self._hub = hub
        self._memory = memory
        self._shelf = shelf
        self._patience = patience

    def wanted(self, entries: Iterable[Entry]) -> tuple[list[Wanted], list[Trouble]]:
        """All files that the entries mean, each once, and the repositories that cannot be asked."""
        found: dict[str, Wanted] = {}
        troubles: dict[str, Trouble] = {}
        for entry in entries:
            try:
                for one in self._files_of(entry):
                    known = {**found[one.path].known, **one.known} if one.path in found else one.known
                    found[one.path] = replace(one, known=known)
            except Trouble as trouble:
                troubles.setdefault(f"{trouble.repository} {trouble.kind} {trouble.file}", trouble)
        return list(found.values()), list(troubles.values())

    def missing(self, files: Iterable[Wanted], *, on_checked: Callable[[int], None]) -> list[Wanted]:
        """Those that are not there as they should be; what is there and was never read is read now."""
        return [one for one in files if not self._is_there(one, on_checked)]

    def refused(self, files: Iterable[Wanted]) -> list[Trouble]:
        """The repositories whose files we may not have."""
        troubles = []
        for one in {file.repository: file for file in files}.values():
            try:
                self._look(one.repository, one.commit, one.file)
            except Trouble as trouble:
                troubles.append(trouble)
        return troubles

    def _files_of(self, entry: Entry) -> list[Wanted]:
        repository, revision = str(entry["repository"]), str(entry["revision"])
        listing = self._listing(entry)
        if entry["layout"] == "hub" and not COMMIT.fullmatch(revision):
            self._shelf.point_to(entry["folder"], revision, listing.commit)
        names = matching(entry["file"], listing.files)
        if not names or names[0] not in listing.files:
            detail = f"at {listing.commit[:8]} it has no {entry['file']}"
            raise Trouble("not-found", detail, repository=repository, file=entry["file"])
        self._describe(entry, listing, names)
        return [self._file(entry, listing, name) for name in names]

    def _describe(self, entry: Entry, listing: Listing, names: Iterable[str]) -> None:
        """Ask for the files of which a listing says neither size nor checksum, as those of some mirrors do."""
        bare = [name for name in names if listing.files[name].size_bytes is None or not listing.files[name].hashes]
        for name in bare:
            listing.files[name] = self._look(str(entry["repository"]), listing.commit, name)
        if bare:
            self._memory.keep_listing(_source(entry), listing)

    def _listing(self, entry: Entry) -> Listing:
        source, repository, revision = _source(entry), str(entry["repository"]), str(entry["revision"])
        listing = self._memory.listing(source)
        if listing is None:
            listing = self._patience.ask(lambda: self._hub.listing(repository, revision))
            self._memory.keep_listing(source, listing)
        return listing

    def _file(self, entry: Entry, listing: Listing, name: str) -> Wanted:
        repository, listed = str(entry["repository"]), listing.files[name]
        known = {kind: str(entry[kind]) for kind in ("sha256", "md5") if entry[kind]}
        if agree(listed.hashes, known) is False:
            raise Trouble("changed", "the registry has another file than we know", repository=repository, file=name)
        path = file_path(entry["folder"], entry["layout"], listing.commit, name)
        blobs = f"{entry['folder']}/blobs" if entry["layout"] == "hub" else ""
        return Wanted(repository, listing.commit, name, path, blobs, listed, known)

    def _look(self, repository: str, commit: str, name: str) -> Listed:
        return self._patience.ask(lambda: self._hub.look(repository, commit, name))

    def _is_there(self, wanted: Wanted, on_checked: Callable[[int], None]) -> bool:
        path = self._shelf.whole(wanted)
        if path is None:
            return False
        if not is_right(wanted, self._hashes(wanted, path, on_checked)):
            self._shelf.discard(wanted)
            return False
        return True

    def _hashes(self, wanted: Wanted, path: Path, on_checked: Callable[[int], None]) -> dict[str, str]:
        remembered = self._memory.hashes(wanted.path)
        if remembered and agree(wanted.hashes, remembered) is not None:
            return remembered
        hashes = hashes_of(path, wanted.to_compute, on_read=on_checked)
        self._memory.keep_hashes(wanted.path, hashes)
        return hashes


def _source(entry: Entry) -> str:
    return f"{entry['repository']}@{entry['revision']}"
