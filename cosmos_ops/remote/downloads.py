"""Bringing files home from a host: verified as they come, each whole or not at all; a large one goes on where it was."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath

from cosmos_ops.errors import DiskFullError, TransferError
from cosmos_ops.remote.connection import Connection
from cosmos_ops.remote.landing import Landing, prepare
from cosmos_ops.remote.movers import Arrived, Receiver
from cosmos_ops.remote.pipeline import RefusedError
from cosmos_ops.remote.refusals import said
from cosmos_ops.remote.session import session
from cosmos_ops.remote.streams import Moving, Plan, Streams, stream_count, window_bytes


@dataclass(frozen=True)
class Download:
    """A file of a host that this machine is to have."""

    source: PurePosixPath
    """Absolute."""
    target: Path
    sha256: str
    size_bytes: int | None = None


@dataclass(frozen=True)
class Settled:
    """A file is in place, if its hash is right."""

    moving: Moving[Download]
    sha256: str


@dataclass(eq=False)
class _Coming:
    """A file that comes, and what came of it before its turn."""

    landing: Landing
    early: dict[int, Arrived[Download]] = field(default_factory=dict)


class Downloads:
    """One call: files whose targets nobody else of this process writes."""

    def __init__(self, connection: Connection, on_received: Callable[[int], None]) -> None:
        self._connection = connection
        self._on_received = on_received
        self._coming: dict[Moving[Download], _Coming] = {}
        self._stream_count = 1
        self._received_bytes = 0

    def receive(self, files: Sequence[Download]) -> int:
        """Bring files home; gives back how many bytes came."""
        try:
            again = self._received(self._prepared(files))
            if again:
                # What an earlier attempt left was wrong; now all comes from the host.
                self._received(self._prepared(again))
        except RefusedError as error:
            raise said(self._connection, error) from error
        except DiskFullError:
            for coming in self._coming.values():
                coming.landing.drop()
            raise
        finally:
            for coming in self._coming.values():
                coming.landing.leave()
        return self._received_bytes

    def _prepared(self, files: Sequence[Download]) -> list[Moving[Download]]:
        found = {folder: prepare(folder) for folder in {file.target.parent for file in files}}
        moving = [Moving(file, file.source, size) for file, size in zip(files, self._sizes(files), strict=True)]
        for one in moving:
            file = one.file
            landing = Landing(file.target, found[file.target.parent], sha256=file.sha256, size_bytes=one.size_bytes)
            one.start_bytes = one.next_bytes = landing.start_bytes
            self._coming[one] = _Coming(landing)
        return moving

    def _sizes(self, files: Sequence[Download]) -> list[int]:
        """What the host says about the files.

        Raises:
            TransferError: One is not there, or has another size than it should have.
        """
        with session(self._connection) as remote:
            stats = remote.stats([file.source for file in files])
            sizes = [stat.size_bytes for stat in stats if stat]
            self._stream_count = stream_count(sum(sizes), remote)
        for file, stat in zip(files, stats, strict=True):
            where = f"host {self._connection.host}: {file.source}"
            if stat is None:
                raise TransferError(f"{where} is not there")
            if file.size_bytes not in (None, stat.size_bytes):
                raise TransferError(f"{where} has changed or was damaged: it has {stat.size_bytes} bytes, not {file.size_bytes}")
        return sizes

    def _received(self, moving: Sequence[Moving[Download]]) -> list[Download]:
        """Receive, verify, rename; gives back what has to be received from its start."""
        again: list[Download] = []
        complete = [one for one in moving if one.is_handed_out and one.size_bytes]
        plan = Plan([one for one in moving if one not in complete], window_bytes=window_bytes(self._stream_count))
        open_count = len(moving)
        with Streams(self._connection, plan) as streams:
            if not plan.is_over:
                streams.start(self._stream_count, lambda remote: Receiver(remote, plan, streams.report).run())
            for one in complete:
                streams.submit(self._settled, one)
            while open_count:
                match streams.next_event(partial(self._on_received, 0)):
                    case Arrived() as arrived:
                        self._land(plan, streams, arrived)
                    case Settled() as settled:
                        open_count -= 1
                        again += self._to_repeat(settled)
        return again

    def _land(self, plan: Plan[Download], streams: Streams, arrived: Arrived[Download]) -> None:
        """Write what has its turn; what came too early waits."""
        moving = arrived.block.moving
        coming = self._coming[moving]
        coming.early[arrived.block.offset] = arrived
        while ready := coming.early.pop(coming.landing.written_bytes, None):
            coming.landing.write(ready.pieces)
            plan.arrived(ready.block)
            self._received_bytes += ready.block.size
            self._on_received(ready.block.size)
        if coming.landing.written_bytes == moving.size_bytes:
            streams.submit(self._settled, moving)

    def _settled(self, moving: Moving[Download]) -> Settled:
        landing = self._coming[moving].landing
        found = landing.sha256()
        if found == moving.file.sha256:
            landing.finish()
        return Settled(moving, found)

    def _to_repeat(self, settled: Settled) -> list[Download]:
        moving, file = settled.moving, settled.moving.file
        landing = self._coming.pop(moving).landing
        if settled.sha256 == file.sha256:
            return []
        landing.drop()
        if moving.start_bytes:
            return [file]
        raise TransferError(
            f"host {self._connection.host}: {file.source} has changed or was damaged on the way: "
            f"its SHA-256 is {settled.sha256}, not {file.sha256}"
        )
