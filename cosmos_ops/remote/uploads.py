"""Sending files to a host: beside their targets, verified there, then renamed; what was broken off goes on where it was."""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath

from cosmos_ops.errors import CosmosError, DiskFullError, TransferError
from cosmos_ops.remote.connection import Connection
from cosmos_ops.remote.files import sha256_of
from cosmos_ops.remote.judging import Judge, Judged, Turns
from cosmos_ops.remote.movers import Arrived, Sender, Upload, open_source
from cosmos_ops.remote.partials import Partial, PartialName, choose, own_name
from cosmos_ops.remote.pipeline import RefusedError
from cosmos_ops.remote.refusals import free_on_disk, said
from cosmos_ops.remote.session import FileStat, Session, session
from cosmos_ops.remote.streams import Moving, Plan, Streams, stream_count, window_bytes

TRIES = 2
RESERVE_BYTES = 64_000_000
"""So much stays free on the disk of the host."""
JUDGED_AT_ONCE_MAX = 64
"""Files; a command on the host costs some milliseconds, so that a few are collected before it is worth one."""
JUDGED_AT_ONCE_BYTES = 64_000_000


class Uploads:
    """One call: files that nobody else of this process sends."""

    def __init__(self, connection: Connection, partials: PurePosixPath, on_sent: Callable[[int], None], turns: Turns) -> None:
        self._connection = connection
        self._partials = partials
        self._on_sent = on_sent
        self._turns = turns
        self._stream_count = 1
        self._sent_bytes = 0

    def send(self, files: Sequence[Upload]) -> int:
        """Bring files to the host that are not there; gives back how many bytes went."""
        moving: list[Moving[Upload]] = []
        try:
            moving = self._prepared(files)
            moving = self._sent(moving, is_last=False)
            self._sent(moving, is_last=True)
        except RefusedError as error:
            raise self._said(error, moving) from error
        return self._sent_bytes

    # Before the first byte

    def _prepared(self, files: Sequence[Upload]) -> list[Moving[Upload]]:
        with session(self._connection) as remote:
            # All at once: from far away every wait counts.
            entries, disk = remote.ask_entries(self._partials), remote.ask_disk(self._partials)
            files = self._missing(remote, files)
            found = _partials(entries())
            known = disk()
            free_bytes = known.free_bytes if known else free_on_disk(self._connection, remote, self._partials)
            self._stream_count = stream_count(sum(file.size_bytes for file in files), remote)
            moving = [self._claimed(remote, file, found) for file in files]
        needed_bytes = sum(one.size_bytes - one.start_bytes for one in moving)
        if needed_bytes and free_bytes < needed_bytes + RESERVE_BYTES:
            raise DiskFullError(
                f"host {self._connection.host}: {self._partials} has {free_bytes / 1e6:.0f} MB left, the files to send need "
                f"{needed_bytes / 1e6:.0f} MB and {RESERVE_BYTES / 1e6:.0f} MB must stay free; make room there"
            )
        return moving

    def _missing(self, remote: Session, files: Sequence[Upload]) -> list[Upload]:
        """What has not come meanwhile, with all folders made for it."""
        folders = sorted({self._partials, *(file.target.parent for file in files)})
        stats = remote.stats([*folders, *(file.target for file in files)])
        for folder, stat in zip(folders, stats, strict=False):
            if stat is None:
                remote.make_folder(folder)
        missing = [file for file, stat in zip(files, stats[len(folders) :], strict=True) if not is_whole(file, stat)]
        for file in missing:
            open_source(file).close()
        return missing

    def _claimed(self, remote: Session, file: Upload, found: Sequence[Partial]) -> Moving[Upload]:
        """What is there of the file, under our own name; the rename is how one of several processes gets it."""
        # One connection writes in order; several leave holes, but none wider than their window.
        rewind_bytes = window_bytes(self._stream_count) if self._stream_count > 1 else 0
        own = own_name(file.sha256, self._place(file), rewind_bytes=rewind_bytes)
        candidates = [one for one in found if one.name.sha256 == file.sha256]
        best, useless = choose(candidates, own, size_bytes=file.size_bytes, now_s=self._now_s(remote, candidates, own))
        for one in useless:
            remote.remove(self._partials / str(one.name))
        if best is None:
            return Moving(file, self._partials / str(own), file.size_bytes)
        own = replace(own, rewind_bytes=max(own.rewind_bytes, best.name.rewind_bytes))
        path = self._partials / str(own)
        if best.name != own and not remote.replace(self._partials / str(best.name), path):
            return Moving(file, path, file.size_bytes)
        if best.whole_bytes < best.size_bytes:
            remote.set_size(path, best.whole_bytes)
        return Moving(file, path, file.size_bytes, start_bytes=best.whole_bytes)

    def _place(self, file: Upload) -> str:
        where = f"{self._connection.target.address}:{self._connection.target.port}:{file.target}"
        return hashlib.sha256(where.encode("utf-8", "surrogateescape")).hexdigest()[:8]

    def _now_s(self, remote: Session, candidates: Sequence[Partial], own: PartialName) -> float:
        """The clock of the host's file system, by which its time stamps go."""
        if all((one.name.owner, one.name.place) == (own.owner, own.place) for one in candidates):
            return 0.0
        path = self._partials / f"{own}.clock"
        remote.put(path, b"")
        (stat,) = remote.stats([path])
        remote.remove(path)
        return float(stat.modified_s) if stat else 0.0

    # Sending

    def _sent(self, moving: Sequence[Moving[Upload]], *, is_last: bool) -> list[Moving[Upload]]:
        """Send, verify, rename; gives back what has to be sent once more."""
        if not moving:
            return []
        window = window_bytes(self._stream_count)
        plan = Plan([one for one in moving if not one.is_handed_out or not one.size_bytes], window_bytes=window)
        complete = [one for one in moving if one.is_handed_out and one.size_bytes]
        wrong: list[tuple[Moving[Upload], str]] = []
        open_count, is_judging = len(moving), False
        judge = Judge(self._connection, self._partials, self._turns)
        with closing(judge), Streams(self._connection, plan) as streams:
            streams.on_abort(judge.abort)
            if not plan.is_over:
                streams.start(self._stream_count, lambda remote: Sender(remote, plan, streams.report).run())
            while open_count:
                if not is_judging and _is_enough(complete, open_count):
                    batch, complete = complete[:JUDGED_AT_ONCE_MAX], complete[JUDGED_AT_ONCE_MAX:]
                    streams.submit(judge.judge, batch)
                    is_judging = True
                match streams.next_event(partial(self._on_sent, 0)):
                    case Arrived(block=block):
                        judge.follow(block.moving)
                        self._sent_bytes += block.size
                        self._on_sent(block.size)
                    case Moving() as one:
                        complete.append(one)
                    case Judged() as judged:
                        is_judging = False
                        open_count -= len(judged.in_place) + len(judged.wrong)
                        wrong += judged.wrong
        return [self._again(one, found, is_last=is_last) for one, found in wrong]

    def _again(self, one: Moving[Upload], found: str, *, is_last: bool) -> Moving[Upload]:
        """Start over with a file that arrived damaged.

        Raises:
            TransferError: It is the source that has changed, or this was the last try.
        """
        with session(self._connection) as remote:
            remote.remove(one.path)
        file = one.file
        here = _sha256_here(file)
        if here != file.sha256:
            raise TransferError(f"{file.source} has changed or was damaged: its SHA-256 is {here}, not {file.sha256}")
        if is_last:
            raise TransferError(
                f"{file.source} has changed or was damaged on its way to {file.target} on host {self._connection.host}, "
                f"{TRIES} times: the SHA-256 there was {found}, not {file.sha256}; look after disk and memory of that machine"
            )
        return Moving(file, one.path, file.size_bytes)

    def _said(self, error: RefusedError, moving: Sequence[Moving[Upload]]) -> CosmosError:
        ours = said(self._connection, error, needed_bytes=sum(one.size_bytes - one.whole_bytes for one in moving))
        if isinstance(ours, DiskFullError):
            with suppress(RefusedError), session(self._connection) as remote:
                for one in moving:
                    remote.remove(one.path)
        return ours


def _partials(entries: dict[str, FileStat]) -> list[Partial]:
    named = [(PartialName.parse(name), stat) for name, stat in entries.items()]
    return [Partial(name, stat.size_bytes, stat.modified_s) for name, stat in named if name]


def is_whole(file: Upload, stat: FileStat | None) -> bool:
    """Whether the host has the file, as far as its size tells; it gets its name only after it was verified."""
    return stat is not None and stat.size_bytes == file.size_bytes


def _is_enough(complete: Sequence[Moving[Upload]], open_count: int) -> bool:
    """Whether the files that are complete are worth a command, or nothing else will come."""
    size = sum(one.size_bytes for one in complete)
    return len(complete) in (open_count, JUDGED_AT_ONCE_MAX) or len(complete) > JUDGED_AT_ONCE_MAX or size > JUDGED_AT_ONCE_BYTES


def _sha256_here(file: Upload) -> str:
    try:
        return sha256_of(file.source)
    except OSError as error:
        raise TransferError(f"{file.source} has changed or was damaged: it cannot be read ({error.strerror})") from error
