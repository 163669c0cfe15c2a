"""A long video as pieces that overlap, for models that take few frames at once; joined again without a seam.

The 4K upscaler of transfer1 fails on more than 121 frames.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import cv2
import numpy as np

from cosmos_ops.errors import VideoUnreadableError
from cosmos_ops.media.frames import Frame, Picture, VideoWriter, open_reader, open_writer
from cosmos_ops.media.probe import probe
from cosmos_ops.media.streams import breaks_off
from cosmos_ops.media.timing import one_rate, restamped
from cosmos_ops.pieces import Piece

# The upscaler must not enlarge the traces of a codec.
_CUT_CRF = 6
_JOIN_CRF = 14


@dataclass(frozen=True)
class _OpenPiece:
    """A piece that is being written."""

    piece: Piece
    first_pts: int
    writer: VideoWriter
    closing: ExitStack


def cut(source: Path, folder: Path, pieces: Sequence[Piece]) -> list[Path]:
    """Write each piece as an mp4 of its own, nearly without loss, with the frames and the rate of the source.

    Raises:
        ValueError: The pieces leave frames out or share too many.
        VideoUnreadableError: The source is no video, breaks off, or has another number of frames than the pieces.
        DiskFullError: No space is left; no unfinished file remains.
    """
    _shared(pieces)
    info = probe(source)
    fps = one_rate(source, info)
    if info.frame_count != pieces[-1].end:
        raise VideoUnreadableError(f"{source} has {info.frame_count} frames, and its pieces {pieces[-1].end}; plan them again")
    paths = [folder / f"piece_{number:03d}.mp4" for number in range(len(pieces))]
    waiting = list(zip(pieces, paths, strict=True))
    current: list[_OpenPiece] = []
    frame_count = 0
    with ExitStack() as opened, open_reader(source) as frames:
        for frame in restamped(frames, fps):
            if waiting and waiting[0][0].start == frame_count:
                current.append(_open_piece(opened, *waiting.pop(0), first=frame, fps=fps))
            frame_count += 1
            current = _written(current, frame)
        if current or waiting:
            raise breaks_off(source, frame_count)
    return paths


def join(parts: Sequence[Path], pieces: Sequence[Piece], target: Path, *, fps: Fraction) -> None:
    """Join pieces of one size to one video at `fps`; where two overlap, one fades into the other in even steps.

    Raises:
        ValueError: The pieces leave frames out or share too many, or there are more or fewer parts.
        VideoUnreadableError: A part breaks off or has another number of frames or another size than it should.
        DiskFullError: No space is left; nothing of the file remains.
    """
    shared = _shared(pieces)
    width_px, height_px = _checked_size(parts, pieces)
    with (
        closing(_joined(parts, pieces, shared)) as pictures,
        open_writer(target, width_px=width_px, height_px=height_px, fps=fps, time_base=1 / fps, crf=_JOIN_CRF) as writer,
    ):
        for index, picture in enumerate(pictures):
            writer.write(Frame(picture, index, 1, 1 / fps))
        if writer.frame_count != pieces[-1].end:
            raise VideoUnreadableError(
                f"{target}: its parts hold {writer.frame_count} of {pieces[-1].end} frames; make them again"
            )


def _shared(pieces: Sequence[Piece]) -> list[int]:
    """How many frames each piece shares with the one before it; 0 at both ends of the list."""
    if not pieces or pieces[0].start != 0:
        raise ValueError("The first piece begins at frame 0")
    shared = [0, *(before.end - piece.start for before, piece in pairwise(pieces)), 0]
    for piece, (fade_in, fade_out) in zip(pieces, pairwise(shared), strict=True):
        if fade_in < 0 or piece.count < max(1, fade_in + fade_out):
            raise ValueError(f"{piece} leaves frames out before it, or is too short for what it shares with its neighbours")
    return shared


def _open_piece(opened: ExitStack, piece: Piece, path: Path, *, first: Frame, fps: Fraction) -> _OpenPiece:
    height_px, width_px = first.picture.shape[:2]
    closing = opened.enter_context(ExitStack())
    writer = closing.enter_context(
        open_writer(path, width_px=width_px, height_px=height_px, fps=fps, time_base=first.time_base, crf=_CUT_CRF)
    )
    return _OpenPiece(piece, first.pts, writer, closing)


def _written(current: list[_OpenPiece], frame: Frame) -> list[_OpenPiece]:
    """Write a frame to all open pieces, close those that are complete, and return the others."""
    unfinished = []
    for part in current:
        part.writer.write(Frame(frame.picture, frame.pts - part.first_pts, frame.duration, frame.time_base))
        if part.writer.frame_count == part.piece.count:
            part.closing.close()
        else:
            unfinished.append(part)
    return unfinished


def _checked_size(parts: Sequence[Path], pieces: Sequence[Piece]) -> tuple[int, int]:
    if len(parts) != len(pieces):
        raise ValueError(f"{len(parts)} parts do not make {len(pieces)} pieces")
    infos = [probe(part) for part in parts]
    for number, (info, piece) in enumerate(zip(infos, pieces, strict=True)):
        name = f"Piece {number} (frames {piece.start} to {piece.end - 1}) in {info.path}"
        if info.frame_count != piece.count:
            raise VideoUnreadableError(f"{name} has {info.frame_count} frames instead of {piece.count}; make it again")
        if (info.width_px, info.height_px) != (infos[0].width_px, infos[0].height_px):
            size, other = f"{info.width_px}x{info.height_px}", f"{infos[0].width_px}x{infos[0].height_px}"
            raise VideoUnreadableError(f"{name} has {size} pixels and piece 0 {other}; make all in one size")
    return infos[0].width_px, infos[0].height_px


def _joined(parts: Sequence[Path], pieces: Sequence[Piece], shared: list[int]) -> Generator[Picture, None, None]:
    """All pictures in order, with two parts open at most."""
    with ExitStack() as opened:
        before: Iterator[Frame] = iter(())
        before_closing = ExitStack()
        for part, piece, (fade_in, fade_out) in zip(parts, pieces, pairwise(shared), strict=True):
            part_closing = opened.enter_context(ExitStack())
            frames = part_closing.enter_context(open_reader(part))
            for step, (old, new) in enumerate(zip(islice(before, fade_in), islice(frames, fade_in), strict=False), start=1):
                yield _faded(old.picture, new.picture, step / (fade_in + 1))
            before_closing.close()
            for frame in islice(frames, piece.count - fade_in - fade_out):
                yield frame.picture
            before, before_closing = frames, part_closing


def _faded(old: Picture, new: Picture, share: float) -> Picture:
    return np.asarray(cv2.addWeighted(old, 1 - share, new, share, 0), np.uint8)
