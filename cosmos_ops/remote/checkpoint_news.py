"""What the program that downloads says, line by line, as sentences, as progress, and in the end as one of our errors."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cosmos_ops.errors import (
    AccessRefusedError,
    CheckpointMissingError,
    CosmosError,
    DiskFullError,
    DownloadFailedError,
    HostUnhealthyError,
)
from cosmos_ops.job import ContainerExit

PAGES = "https://huggingface.co/"
ERRORS: Mapping[str, type[CosmosError]] = {
    "token-missing": AccessRefusedError,
    "token-refused": AccessRefusedError,
    "gated": AccessRefusedError,
    "not-found": CheckpointMissingError,
    "changed": CheckpointMissingError,
    "network": DownloadFailedError,
    "damaged": DownloadFailedError,
    "disk-full": DiskFullError,
    "disk-failed": HostUnhealthyError,
}
"""By the kind of trouble; in the order of what has to be mended first."""
NAMED_MAX = 3
KILLED_CODES = (137, 143)


@dataclass(frozen=True)
class Progress:
    """How far a download is; what earlier ones brought counts as done."""

    done_bytes: int
    total_bytes: int
    done_files: int
    total_files: int


def ignore_progress(_progress: Progress) -> None:
    """For callers who do not watch how far it is."""


class Troubles:
    """What was in the way of a download."""

    def __init__(self) -> None:
        self._found: list[Mapping[str, Any]] = []

    def __len__(self) -> int:
        return len(self._found)

    def add(self, trouble: Mapping[str, Any]) -> None:
        """One more."""
        self._found.append(trouble)

    def error(self, host_name: str) -> CosmosError:
        """The error that says it, of all kinds the one that has to be mended first."""
        kind = min((str(trouble["kind"]) for trouble in self._found), key=list(ERRORS).index)
        alike = [trouble for trouble in self._found if trouble["kind"] == kind]
        repositories = list(dict.fromkeys(str(trouble["repository"]) for trouble in alike))
        return ERRORS[kind](f"host {host_name}: {_sentence(kind, alike, repositories)}")

    def unexplained(self, host_name: str, ended: ContainerExit, log: str) -> CosmosError:
        """The error of a program that ended without a word."""
        if ended.is_stalled:
            return DownloadFailedError(f"host {host_name}: the download said nothing for too long and was ended; run it again")
        if ended.code in KILLED_CODES:
            return DownloadFailedError(
                f"host {host_name}: the download was ended from outside; run it again, it goes on where it was"
            )
        words = " | ".join(line.strip() for line in log.splitlines()[-NAMED_MAX:] if line.strip())
        return HostUnhealthyError(
            f"host {host_name}: the program that downloads ended with exit code {ended.code} ({words or 'it said nothing'}); "
            "it needs an image with Python 3.9 or newer"
        )


class News:
    """Takes the lines of the program."""

    def __init__(self, on_news: Callable[[str], None], on_progress: Callable[[Progress], None]) -> None:
        self._on_news = on_news
        self._on_progress = on_progress
        self._last = ""
        self.troubles = Troubles()

    def take(self, line: str) -> None:
        """One line; one that is no JSON is passed over."""
        try:
            event = json.loads(line)
        except ValueError:
            return
        if event["event"] == "progress":
            self._on_progress(Progress(event["done"], event["total"], event["files_done"], event["files"]))
        elif event["event"] == "trouble":
            self.troubles.add(event)
        elif words := _words(event):
            self._say(words)

    def _say(self, words: str) -> None:
        if words != self._last:
            self._on_news(words)
        self._last = words


def size_text(count: int) -> str:
    """Bytes for people."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1e3:.0f} kB"


def _words(event: Mapping[str, Any]) -> str:
    if event["event"] == "waiting":
        return "Another download is at work on this host; waiting for it"
    if event["event"] == "checked" and event["bytes"]:
        return "Reading files that are there already, to verify them"
    if event["event"] == "plan":
        left, free = size_text(event["missing_bytes"]), size_text(event["free_bytes"])
        return f"{event['missing_files']} of {event['files']} files are missing: {left} to download; {free} are free there"
    if event["event"] == "file":
        return f"Verified: {event['repository']}/{event['file']}"
    return ""


def _sentence(kind: str, alike: Sequence[Mapping[str, Any]], repositories: Sequence[str]) -> str:
    pages = ", ".join(PAGES + repository for repository in repositories)
    detail = str(alike[0]["detail"])
    files = _shortened([f"{one['repository']}/{one['file']}".rstrip("/") for one in alike])
    return {
        "token-missing": f"{', '.join(repositories)} cannot be had without a token; accept the licence at {pages} with your "
        "account, then put a read token of that account into the secrets of the host block as HF_TOKEN",
        "token-refused": f"the token is refused for {', '.join(repositories)} ({detail}); put a valid read token that may read "
        "gated repositories into the secrets of the host block as HF_TOKEN",
        "gated": f"the licence was not accepted; accept it at {pages} with the account of the host block's "
        "HF_TOKEN, then run it again",
        "not-found": f"the registry has no {files} ({detail}); if it is private, the host block needs a token for it (HF_TOKEN)",
        "changed": f"{files}: {detail}; a newer version of Cosmos may know it",
        "network": f"{files} could not be downloaded ({detail}); run it again, it goes on where it was",
        "damaged": f"{files}: {detail}; run it again, and look at the disk and at proxies on the way if that does not help",
        "disk-full": f"no room for the model files ({detail}); make room on the disk of the workspace, then run it again",
        "disk-failed": f"the folder of models cannot be written ({detail}); look at the disk and at the owner of the folder",
    }[kind]


def _shortened(names: Sequence[str]) -> str:
    more = [f"and {len(names) - NAMED_MAX} more"] if len(names) > NAMED_MAX else []
    return ", ".join([*names[:NAMED_MAX], *more])
