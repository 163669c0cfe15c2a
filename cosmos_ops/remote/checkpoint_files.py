"""What lies in the folder of models of a host, from one look without reading a file, and what the manifest makes of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal

from cosmos_ops.checkpoints import Checkpoint
from cosmos_ops.errors import HostUnhealthyError
from cosmos_ops.remote.fetcher.places import LISTINGS, PARTIALS, VERIFIED, agree, file_path, matching, partial_path
from cosmos_ops.remote.ssh_host import MODELS, SSHHost

Entry = Mapping[str, Any]
"""What a download keeps of a repository or a file, as JSON (`fetcher/memory.py`)."""
State = Literal["present", "missing", "partial", "wrong size", "damaged"]

# First the two files that downloads keep, then size, time of change and path of all files in these folders.
_LOOK = f"""
[ -e "$1" ] || exit 0
cd -- "$1" || exit 1
shift
cat {LISTINGS} 2>/dev/null; printf '\\0'; cat {VERIFIED} 2>/dev/null; printf '\\0'
for folder; do [ ! -d "$folder" ] || find -L "$folder" -ignore_readdir_race -type f -printf '%s %T@ %p\\0' || exit 1; done
"""
_LOOK_LIMIT_S = 60.0
_NANOSECONDS = 9


@dataclass(frozen=True)
class Stat:
    """Size and time of change of a file."""

    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True)
class Found:
    """One file of the manifest on a host."""

    checkpoint: Checkpoint
    file: str
    """Its path in the repository; the pattern itself, while nobody knows which files that means."""
    path: PurePosixPath
    """Relative to the folder of models."""
    state: State
    size_bytes: int | None
    """How large it is, or has to be; none if nobody knows."""
    stat: Stat | None = None
    hashes: Mapping[str, str] = field(default_factory=dict)
    """The checksums that it must have, as far as they are known."""
    is_verified: bool = False
    """Whether it was read as a whole since it was last changed, and is as it should be."""

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.checkpoint.repository}/{self.file}"


@dataclass(frozen=True)
class Models:
    """The folder of models as a look found it."""

    listings: Mapping[str, Entry]
    verified: Mapping[str, Entry]
    stats: Mapping[str, Stat]

    def found(self, checkpoint: Checkpoint) -> list[Found]:
        """The files of a checkpoint; where nobody knows which these are, one that is missing."""
        listing = self.listings.get(checkpoint.source)
        commit = listing["commit"] if listing else checkpoint.revision
        names = matching(checkpoint.file, listing["files"]) if listing else []
        return [self._one(checkpoint, commit, name, listing) for name in names or [checkpoint.file]]

    def with_verified(self, fresh: Mapping[str, Entry]) -> "Models":
        """The same, once some files have been read."""
        return Models(self.listings, {**self.verified, **fresh}, self.stats)

    def _one(self, checkpoint: Checkpoint, commit: str, name: str, listing: Entry | None) -> Found:
        path = file_path(str(checkpoint.folder), checkpoint.layout, commit, name)
        listed = listing["files"].get(name, {}) if listing else {}
        size = listed.get("size_bytes") or checkpoint.size_bytes
        hashes = {**listed.get("hashes", {}), **_known_hashes(checkpoint)}
        stat = self.stats.get(path)
        if stat is None:
            state: State = "partial" if partial_path(path) in self.stats else "missing"
            return Found(checkpoint, name, PurePosixPath(path), state, size, self.stats.get(partial_path(path)), hashes)
        is_right = agree(hashes, self._remembered(path, stat))
        state = "wrong size" if size not in (None, stat.size_bytes) else "damaged" if is_right is False else "present"
        is_verified = state == "present" and is_right is True
        return Found(checkpoint, name, PurePosixPath(path), state, size or stat.size_bytes, stat, hashes, is_verified)

    def _remembered(self, path: str, stat: Stat) -> Mapping[str, str]:
        known = self.verified.get(path, {})
        is_same = (known.get("size_bytes"), known.get("mtime_ns")) == (stat.size_bytes, stat.mtime_ns)
        return dict(known["hashes"]) if is_same else {}


def read_models(host: SSHHost, checkpoints: Sequence[Checkpoint]) -> Models:
    """Look at the folders of these checkpoints, by one command.

    Raises:
        HostUnhealthyError: The folder of models cannot be read.
    """
    folders = dict.fromkeys([PARTIALS, *(str(_looked_at(one)) for one in checkpoints)])
    done = host.connection.run(["sh", "-c", _LOOK, "sh", str(host.workspace / MODELS), *folders], limit_s=_LOOK_LIMIT_S)
    if done.code:
        words = " ".join(done.stderr.split())
        raise HostUnhealthyError(f"host {host.name}: {host.workspace / MODELS} cannot be read ({words}); look at it there")
    listings, verified, *files = [*done.stdout.split("\0"), "", ""]
    return Models(read_object(listings), read_object(verified), dict(_read_stat(file) for file in files if file))


def _looked_at(checkpoint: Checkpoint) -> PurePosixPath:
    return checkpoint.folder if checkpoint.layout == "folder" else checkpoint.folder / "snapshots"


def _read_stat(text: str) -> tuple[str, Stat]:
    size, time, path = text.split(" ", 2)
    seconds, _, fraction = time.partition(".")
    return path, Stat(int(size), int(seconds + fraction[:_NANOSECONDS].ljust(_NANOSECONDS, "0")))


def _known_hashes(checkpoint: Checkpoint) -> dict[str, str]:
    known = {"sha256": checkpoint.sha256, "md5": checkpoint.md5}
    return {name: value for name, value in known.items() if value}


def read_object(text: str) -> dict[str, Entry]:
    """The JSON object in a file that a download keeps; nothing if it cannot be read."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
