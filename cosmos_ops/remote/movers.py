"""What one session does: moves the blocks that the plan hands out, with the next files opened before it is their turn."""

import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Generic, TypeVar

from cosmos_ops.errors import TransferError
from cosmos_ops.remote.pipeline import CREATE, READ, WRITE, Answer, Pipeline
from cosmos_ops.remote.streams import Block, Moving, Plan, StoppedError

AHEAD_BYTES = 1 << 21
OPEN_MAX = 64
WAIT_S = 0.05
T = TypeVar("T")


@dataclass(frozen=True)
class Upload:
    """A file of this machine that a host is to have."""

    source: Path
    target: PurePosixPath
    """Absolute."""
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Arrived(Generic[T]):
    """A block is there."""

    block: Block[T]
    pieces: tuple[memoryview, ...] = ()
    """What it holds, where it was received."""


@dataclass(eq=False)
class _Open:
    """A file that is open on the host, or about to be."""

    answers: list[Answer] = field(default_factory=list)
    blocks: int = 0
    """So many of its blocks have not arrived yet."""


class Mover(Generic[T]):
    """Moves blocks over one session until none is left; reports what arrives, and the files that are complete by that."""

    flags: int

    def __init__(self, pipe: Pipeline, plan: Plan[T], report: Callable[[object], None]) -> None:
        self.pipe = pipe
        self.plan = plan
        self.report = report
        self._ahead: deque[Block[T]] = deque()
        self._open: dict[Moving[T], _Open] = {}

    def run(self) -> None:
        """Move until nothing is left."""
        while self._open or not self.plan.is_over:
            self._step()
        self.pipe.settle()

    def move(self, block: Block[T], handle: bytes) -> None:
        """Ask for all of a block to be moved."""
        raise NotImplementedError

    def arrived(self, block: Block[T]) -> None:
        """Nothing of a block is on the way any more."""
        self._open[block.moving].blocks -= 1

    def _step(self) -> None:
        if self.plan.is_stopped:
            raise StoppedError
        self._look_ahead()
        if self._ahead:
            block = self._ahead.popleft()
            self.move(block, self._handle(block.moving))
        elif self.pipe.is_waiting:
            self.pipe.take_in()
        else:
            self.plan.wait(WAIT_S)
        self._close_unneeded()

    def _look_ahead(self) -> None:
        """Open files before it is their turn, so that none has to wait for its handle."""
        while len(self._open) < OPEN_MAX and sum(block.size for block in self._ahead) < AHEAD_BYTES:
            block = self.plan.next()
            if block is None:
                return
            if block.moving not in self._open:
                self._open[block.moving] = _Open()
                self.plan.opened(block.moving)
                self.pipe.open(block.moving.path, self.flags, self._open[block.moving].answers.append)
            self._open[block.moving].blocks += 1
            self._ahead.append(block)

    def _handle(self, moving: Moving[T]) -> bytes:
        answers = self._open[moving].answers
        while not answers:
            self.pipe.take_in()
        return answers[0].handle(moving.path)

    def _close_unneeded(self) -> None:
        for moving in [one for one, state in self._open.items() if not state.blocks and one.is_handed_out]:
            handle = self._handle(moving)
            del self._open[moving]
            self.pipe.close(handle, partial(self._closed, moving))

    def _closed(self, moving: Moving[T], answer: Answer) -> None:
        # Some file systems say only now that the disk is full.
        answer.done(moving.path)
        if self.plan.closed(moving):
            self.report(moving)


class Sender(Mover[Upload]):
    """Sends what lies on this machine."""

    flags = WRITE | CREATE
    _source: tuple[Upload, BinaryIO] | None = None

    def run(self) -> None:
        """Send until nothing is left."""
        try:
            super().run()
        finally:
            self._close_source()

    def move(self, block: Block[Upload], handle: bytes) -> None:
        """Read the block and send it."""
        file = block.moving.file
        source = self._source_of(file)
        for offset in range(block.offset, block.end, self.pipe.request_bytes):
            data = _read(file, source, offset, min(self.pipe.request_bytes, block.end - offset))
            self.pipe.write(handle, offset, data, partial(self._written, block, len(data)))
        if not block.size:
            self.arrived(block)

    def arrived(self, block: Block[Upload]) -> None:
        """The block is on the host."""
        super().arrived(block)
        self.plan.arrived(block)
        self.report(Arrived(block))

    def _written(self, block: Block[Upload], size: int, answer: Answer) -> None:
        answer.done(block.moving.path)
        block.left -= size
        if not block.left:
            self.arrived(block)

    def _source_of(self, file: Upload) -> BinaryIO:
        if self._source is None or self._source[0] is not file:
            self._close_source()
            self._source = file, open_source(file)
        return self._source[1]

    def _close_source(self) -> None:
        if self._source:
            self._source[1].close()
            self._source = None


class Receiver(Mover[T]):
    """Receives from the host; the calling thread says when a block has been taken care of."""

    flags = READ

    def __init__(self, pipe: Pipeline, plan: Plan[T], report: Callable[[object], None]) -> None:
        super().__init__(pipe, plan, report)
        self._pieces: dict[Block[T], dict[int, memoryview]] = {}
        self._short: list[tuple[Block[T], int, int]] = []

    def move(self, block: Block[T], handle: bytes) -> None:
        """Ask for the block."""
        self._pieces[block] = {}
        for offset in range(block.offset, block.end, self.pipe.request_bytes):
            self._ask(block, handle, offset, min(self.pipe.request_bytes, block.end - offset))
        if not block.size:
            self.arrived(block)

    def arrived(self, block: Block[T]) -> None:
        """The block has been received."""
        super().arrived(block)
        pieces = self._pieces.pop(block)
        self.report(Arrived(block, tuple(pieces[offset] for offset in sorted(pieces))))

    def _step(self) -> None:
        while self._short:
            block, offset, size = self._short.pop()
            self._ask(block, self._handle(block.moving), offset, size)
        super()._step()

    def _ask(self, block: Block[T], handle: bytes, offset: int, size: int) -> None:
        self.pipe.read(handle, offset, size, partial(self._came, block, offset, size))

    def _came(self, block: Block[T], offset: int, size: int, answer: Answer) -> None:
        data = answer.data(block.moving.path)
        if not data:
            raise TransferError(f"{block.moving.path} has changed or was damaged: it ends after {offset} bytes")
        self._pieces[block][offset] = data
        block.left -= len(data)
        if len(data) < size:
            self._short.append((block, offset + len(data), size - len(data)))
        elif not block.left:
            self.arrived(block)


def open_source(file: Upload) -> BinaryIO:
    """Open the source, which must be what it was, as far as its size tells.

    Raises:
        TransferError: It is not there, cannot be read, or has changed.
    """
    try:
        source = file.source.open("rb")
    except FileNotFoundError as error:
        raise TransferError(f"{file.source} is not there") from error
    except OSError as error:
        raise TransferError(f"{file.source} cannot be read: {error.strerror}") from error
    size = os.fstat(source.fileno()).st_size
    if size != file.size_bytes:
        source.close()
        raise TransferError(f"{file.source} has changed or was damaged: it has {size} bytes, not {file.size_bytes}")
    return source


def _read(file: Upload, source: BinaryIO, offset: int, size: int) -> bytes:
    try:
        source.seek(offset)
        data = source.read(size)
    except OSError as error:
        raise TransferError(f"{file.source} cannot be read: {error.strerror}") from error
    if len(data) < size:
        raise TransferError(f"{file.source} has changed or was damaged: it ends after {offset + len(data)} bytes")
    return data
