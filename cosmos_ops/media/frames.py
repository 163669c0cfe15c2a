"""Frames in and out, one at a time: memory does not grow with the length of a video."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from cosmos_ops.errors import VideoUnreadableError
from cosmos_ops.files import replacing
from cosmos_ops.media.streams import average_fps, breaks_off, open_stream, time_base

Picture = NDArray[np.uint8]
"""RGB, shape (height_px, width_px, 3)."""

_BT709 = 1
_LIMITED_RANGE = 1
# A fixed number of threads: x264 splits its work by it, so another number gives other bytes.
_ENCODER_THREADS = 4


@dataclass(frozen=True)
class Frame:
    """One picture and when it is shown."""

    picture: Picture
    pts: int
    """First moment, in units of `time_base`."""
    duration: int
    """Length, in units of `time_base`."""
    time_base: Fraction


@contextmanager
def open_reader(path: Path) -> Iterator[Iterator[Frame]]:
    """Yield the frames of a video, upright, in the order of their showing.

    Raises:
        VideoUnreadableError: At once if the file is no video; while reading if it breaks off or does not decode.
    """
    with open_stream(path) as (container, stream):
        stream.thread_type = "AUTO"
        yield _frames(container, stream, path)


def _frames(container: InputContainer, stream: VideoStream, path: Path) -> Iterator[Frame]:
    base, fps = time_base(stream), average_fps(stream)
    usual = max(1, round(1 / (fps * base)))
    count, pts = 0, -usual
    for frame in _decoded(container, stream, path):
        pts = frame.pts if frame.pts is not None else pts + usual
        yield Frame(_upright(frame), pts, frame.duration or usual, base)
        count += 1
    if count == 0:
        raise VideoUnreadableError(f"{path} has a video stream, but no frame of it decodes; export the file again")


def _decoded(container: InputContainer, stream: VideoStream, path: Path) -> Iterator[VideoFrame]:
    packet_count = frame_count = 0
    try:
        for packet in container.demux(stream):
            packet_count += packet.size > 0
            if packet.is_corrupt:
                raise breaks_off(path, frame_count)
            for frame in packet.decode():
                yield frame
                frame_count += 1
    except FFmpegError as error:
        raise breaks_off(path, frame_count) from error
    # The index of the container says how many there should be; 0 where it says nothing.
    if packet_count < stream.frames:
        raise breaks_off(path, frame_count)


def _upright(frame: VideoFrame) -> Picture:
    picture = frame.to_ndarray(format="rgb24")
    quarter_turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(picture, quarter_turns), dtype=np.uint8)


class VideoWriter:
    """Takes frames of one size; made by `open_writer`."""

    def __init__(self, container: OutputContainer, stream: VideoStream, time_base: Fraction) -> None:
        self._container = container
        self._stream = stream
        self._time_base = time_base
        self.frame_count = 0

    def write(self, frame: Frame) -> None:
        """Encode one frame; its time stamp is later than that of the frame before."""
        picture = _even(frame.picture)
        video_frame = VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p", dst_colorspace="ITU709")
        ticks = frame.time_base / self._time_base
        video_frame.pts = round(frame.pts * ticks)
        video_frame.duration = round(frame.duration * ticks)
        video_frame.time_base = self._time_base
        self._container.mux(self._stream.encode(video_frame))
        self.frame_count += 1

    def flush(self) -> None:
        """Encode what the encoder still holds back."""
        self._container.mux(self._stream.encode(None))


@contextmanager
def open_writer(
    target: Path,
    *,
    width_px: int,
    height_px: int,
    fps: Fraction,
    time_base: Fraction,
    crf: int = 20,
    preset: str = "veryfast",
) -> Iterator[VideoWriter]:
    """Write an H.264 mp4 that players and browsers start at once; equal frames give equal bytes.

    Time stamps are kept exactly. An odd width or height is made even by repeating the last column or row. The file
    appears under its name only when the body ends without an exception and every frame is found in it.

    Raises:
        DiskFullError: No space is left; nothing of the file remains.
        VideoUnreadableError: What was written cannot be read back, or frames are missing in it.
    """
    # Whole ticks per second: mp4 has no other.
    base = Fraction(1, time_base.denominator)
    with replacing(target) as partial:
        with _open_mp4(partial, base) as container:
            stream = _add_stream(container, width_px, height_px, fps, base, {"crf": str(crf), "preset": preset})
            writer = VideoWriter(container, stream, base)
            yield writer
            writer.flush()
        _check_written(partial, target, writer.frame_count)


@contextmanager
def _open_mp4(partial: Path, base: Fraction) -> Iterator[OutputContainer]:
    options = {"movflags": "+faststart", "video_track_timescale": str(base.denominator)}
    with av.open(str(partial.absolute()), "w", format="mp4", options=options) as container:
        yield container


def _add_stream(
    container: OutputContainer, width_px: int, height_px: int, fps: Fraction, base: Fraction, options: dict[str, str]
) -> VideoStream:
    # Without B-frames decoding order is showing order, and the durations and average rate in the file stay exact.
    # With AVX-512 x264's macroblock tree reads memory that nobody wrote: equal frames would get other bytes now and then.
    stream = container.add_stream("libx264", rate=fps, options={**options, "bf": "0", "mbtree": "0"})
    stream.width, stream.height = width_px + width_px % 2, height_px + height_px % 2
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.time_base = base
    context.thread_count = _ENCODER_THREADS
    context.colorspace = context.color_primaries = context.color_trc = _BT709
    context.color_range = _LIMITED_RANGE
    return stream


def _even(picture: Picture) -> Picture:
    height_px, width_px = picture.shape[:2]
    if height_px % 2 or width_px % 2:
        return np.pad(picture, ((0, height_px % 2), (0, width_px % 2), (0, 0)), mode="edge")
    return picture


def _check_written(partial: Path, target: Path, frame_count: int) -> None:
    with open_stream(partial) as (container, stream):
        found = sum(packet.size > 0 for packet in container.demux(stream))
    if found != frame_count:
        raise VideoUnreadableError(f"{target} was written with {found} of {frame_count} frames; check the disk and run again")


def with_picture(frame: Frame, picture: Picture) -> Frame:
    """Another picture at the same time."""
    return replace(frame, picture=picture)
