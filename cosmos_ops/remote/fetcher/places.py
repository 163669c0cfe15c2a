"""Names and paths below the folder of models that the program and those who look at a host from outside agree on."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

LISTINGS = ".listings.json"
"""What the registry said of a repository when it was first asked: `org/repository@revision` to commit and files."""
VERIFIED = ".verified.json"
"""Path to size, time of change and checksums of a file that was read as a whole."""
DOWNLOADS = ".downloads"
"""A folder for each download that is at work."""
REQUEST, EVENTS = "request.json", "events.jsonl"
PARTIALS = ".partials"
"""Files on their way, so that they can be taken up again."""
LOCK = ".lock"
"""Held by the one that downloads."""

HASHES = ("sha256", "git-sha1", "md5")
"""Checksums by their names here: `git-sha1` is that of git for a file with the length before it."""
COMMIT = re.compile(r"[0-9a-f]{40}")

EXIT_CODES = {
    "token-missing": 10,
    "token-refused": 11,
    "gated": 12,
    "not-found": 13,
    "network": 14,
    "disk-full": 15,
    "damaged": 16,
    "changed": 17,
    "disk-failed": 18,
}
"""Kinds of trouble, each with the exit code of the program."""


def file_path(folder: str, layout: str, commit: str, file: str) -> str:
    """Where a file of a repository is found, relative to the folder of models."""
    return f"{folder}/{file}" if layout == "folder" else f"{folder}/snapshots/{commit}/{file}"


def partial_path(path: str) -> str:
    """Where a file lies while it is on its way."""
    return f"{PARTIALS}/{hashlib.sha256(path.encode()).hexdigest()[:32]}"


def matching(pattern: str, names: Iterable[str]) -> list[str]:
    """The files of a repository that are meant; without `*` that is the name itself."""
    return sorted(name for name in names if fnmatchcase(name, pattern)) if "*" in pattern else [pattern]


def agree(expected: Mapping[str, str], found: Mapping[str, str]) -> bool | None:
    """Whether checksums agree; none if no kind of them is on both sides."""
    both = expected.keys() & found.keys()
    return all(expected[name] == found[name] for name in both) if both else None
