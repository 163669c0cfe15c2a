"""Files that are only partly there: their names say what they will be and who writes them, so that others can go on."""

import functools
import os
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, unquote

from cosmos_ops.owners import is_gone, this_process

UNTOUCHED_LIMIT_S = 60
"""After so long without a change nobody writes any more, whatever is known of the writer."""
_SEPARATOR = "@"


@dataclass(frozen=True)
class PartialName:
    """What the name of a partial file says."""

    sha256: str
    """Of the whole file."""
    owner: str
    """The process that writes it."""
    place: str
    """Keeps apart what one process writes at the same time."""
    rewind_bytes: int = 0
    """So many bytes before its end there may be holes, because several connections wrote."""

    @classmethod
    def parse(cls, name: str) -> "PartialName | None":
        """Read a name; none if it is none of ours."""
        parts = name.split(_SEPARATOR)
        if len(parts) != 4 or not parts[3].isdigit():
            return None
        return cls(parts[0], unquote(parts[1]), parts[2], int(parts[3]))

    def __str__(self) -> str:
        return _SEPARATOR.join((self.sha256, quote(self.owner, safe=""), self.place, str(self.rewind_bytes)))


@dataclass(frozen=True)
class Partial:
    """A partial file as it was found."""

    name: PartialName
    size_bytes: int
    modified_s: float

    @property
    def whole_bytes(self) -> int:
        """From the start on, so much is there without holes."""
        return max(0, self.size_bytes - self.name.rewind_bytes)


def own_name(sha256: str, place: str, *, rewind_bytes: int = 0) -> PartialName:
    """The name under which this process writes."""
    return PartialName(sha256, _this_process(os.getpid()), place, rewind_bytes)


def choose(found: Iterable[Partial], own: PartialName, *, size_bytes: int, now_s: float) -> tuple[Partial | None, list[Partial]]:
    """Of those that nobody else writes, the one that has most of what is wanted; and all the others."""
    free = [partial for partial in found if partial.name.sha256 == own.sha256 and _is_free(partial, own, now_s)]
    usable = [partial for partial in free if partial.size_bytes <= size_bytes]
    best = max(usable, key=lambda partial: (partial.whole_bytes, partial.name == own), default=None)
    return best, [partial for partial in free if partial is not best]


def _is_free(partial: Partial, own: PartialName, now_s: float) -> bool:
    if (partial.name.owner, partial.name.place) == (own.owner, own.place):
        return True
    return is_gone(partial.name.owner) or now_s - partial.modified_s > UNTOUCHED_LIMIT_S


@functools.cache
def _this_process(_process_id: int) -> str:
    # Asked once: the start of a process seems to move when the clock of the machine is set.
    return this_process()
