"""Where the program begins: it reads its request, waits for its turn, says what it will do, does it, and says how it went."""

from __future__ import annotations

import fcntl
import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .fetch import Fetcher
from .hub import Hub
from .memory import Memory
from .patience import Patience
from .places import EVENTS, EXIT_CODES, LOCK, REQUEST
from .plan import Plan
from .reporting import Counter, Events
from .shelf import Shelf, Wanted
from .trouble import Stopped, Trouble, of_disk

TOLD_EVERY_S = 1.0
FILES_AT_A_TIME = 4


def main() -> None:
    """Carry out the request in the folder that is named on the command line; the exit code is one of `EXIT_CODES`, or 0."""
    folder = Path(sys.argv[1])
    events = Events(folder / EVENTS)
    models = folder.parents[1]
    with _my_turn(models / LOCK, events):
        try:
            troubles = Download(models, json.loads((folder / REQUEST).read_text()), events).run()
        except Trouble as error:
            troubles = [error]
        except OSError as error:
            troubles = [of_disk(error)]
    for trouble in troubles:
        events.tell_trouble(trouble)
    sys.exit(EXIT_CODES[troubles[0].kind] if troubles else 0)


class Download:
    """One request."""

    def __init__(self, models: Path, request: dict[str, Any], events: Events) -> None:
        self._entries = request["checkpoints"]
        self._events = events
        self._memory = Memory(models)
        self._shelf = Shelf(models)
        patience = Patience(tries=request["tries"], pause_s=request["pause_s"])
        hub = Hub(request["endpoint"], os.environ.get("HF_TOKEN", ""))
        self._plan = Plan(hub, self._memory, self._shelf, patience)
        self._fetcher = Fetcher(hub, patience, Counter(), threading.Event())

    def run(self) -> list[Trouble]:
        """Bring what is missing; gives what was in the way."""
        wanted, troubles = self._plan.wanted(self._entries)
        missing = self._missing(wanted)
        troubles += self._plan.refused(missing)
        if not troubles:
            troubles = self._too_large(wanted, missing)
        if not troubles:
            troubles = self._fetched(missing)
        return troubles

    def _missing(self, wanted: Sequence[Wanted]) -> list[Wanted]:
        """What is missing; to look at what is there may take a while, since it is read."""
        checked = Counter()
        with ThreadPoolExecutor(1) as threads:
            future = threads.submit(self._plan.missing, wanted, on_checked=checked.add)
            while wait([future], timeout=TOLD_EVERY_S).not_done:
                self._events.tell("checked", bytes=checked.count)
            self._events.tell("checked", bytes=checked.count)
            return future.result()

    def _too_large(self, wanted: Sequence[Wanted], missing: Sequence[Wanted]) -> list[Trouble]:
        """Say what will be done; gives the trouble if the disk has no room for it."""
        partials = [self._shelf.partial(one) for one in missing]
        there = sum(path.stat().st_size for path in partials if path.is_file())
        left, free = _size(missing) - there, self._shelf.free_bytes()
        sizes = {"files": len(wanted), "bytes": _size(wanted), "missing_files": len(missing), "missing_bytes": left}
        self._events.tell("plan", free_bytes=free, **sizes)
        return [Trouble("disk-full", f"{left} bytes are to come and {free} are free")] if left > free else []

    def _fetched(self, missing: Sequence[Wanted]) -> list[Trouble]:
        total = _size(missing)
        largest_first = sorted(missing, key=lambda one: -(one.listed.size_bytes or 0))
        with ThreadPoolExecutor(FILES_AT_A_TIME) as threads:
            futures = [threads.submit(self._fetch, one) for one in largest_first]
            open_ones: set[Future[Trouble | None]] = set(futures)
            while open_ones:
                open_ones = wait(open_ones, timeout=TOLD_EVERY_S).not_done
                files = {"files_done": len(futures) - len(open_ones), "files": len(futures)}
                self._events.tell("progress", done=self._fetcher.received.count, total=total, **files)
            return [trouble for future in futures if (trouble := future.result()) is not None]

    def _fetch(self, wanted: Wanted) -> Trouble | None:
        """Bring one file; of trouble with the disk all others hear as well."""
        if self._fetcher.is_stopped.is_set():
            return None
        partial = self._shelf.partial(wanted)
        try:
            hashes = self._fetcher.fetch(wanted, partial)
            self._shelf.put(wanted, partial, hashes)
            self._memory.keep_hashes(wanted.path, hashes)
        except Stopped:
            return None
        except (Trouble, OSError) as error:
            trouble = error if isinstance(error, Trouble) else of_disk(error, repository=wanted.repository, file=wanted.file)
            if trouble.kind.startswith("disk"):
                self._fetcher.is_stopped.set()
            return trouble
        self._events.tell("file", repository=wanted.repository, file=wanted.file, bytes=wanted.listed.size_bytes)
        return None


@contextmanager
def _my_turn(path: Path, events: Events) -> Iterator[None]:
    """Wait until no other download is at work in this folder; the kernel ends the turn of one that was killed."""
    with path.open("a") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                events.tell("waiting")
                time.sleep(TOLD_EVERY_S)
        yield


def _size(files: Sequence[Wanted]) -> int:
    return sum(one.listed.size_bytes or 0 for one in files)
