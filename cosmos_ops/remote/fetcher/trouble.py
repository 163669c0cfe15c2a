"""The one error of the program: what is in the way of a download, in a word for programs and a sentence for people."""

from __future__ import annotations

import errno

FULL = (errno.ENOSPC, errno.EDQUOT)


class Trouble(Exception):
    """A download cannot go on; `kind` is one of `places.EXIT_CODES`."""

    def __init__(self, kind: str, detail: str, *, repository: str = "", file: str = "") -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail
        self.repository = repository
        self.file = file


class Stopped(Exception):
    """Another file met trouble that makes it senseless to go on with this one."""


def of_disk(error: OSError, *, repository: str = "", file: str = "") -> Trouble:
    """The trouble with a disk that cannot be read or written."""
    if error.errno in FULL:
        return Trouble("disk-full", "no space is left", repository=repository, file=file)
    return Trouble("disk-failed", str(error), repository=repository, file=file)
