"""Size, rate and exact length of a video, with one decoded frame as proof and nothing more decoded."""

from functools import lru_cache
from pathlib import Path

from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from cosmos_ops.errors import VideoUnreadableError
from cosmos_ops.media.streams import average_fps, breaks_off, open_stream, time_base
from cosmos_ops.media.timing import even_fps
from cosmos_ops.videos import VideoInfo


def probe(path: Path, *, takes_pictures: bool = False) -> VideoInfo:
    """Read what a player would show; where pictures are taken, one is a video of one frame.

    Raises:
        VideoUnreadableError: The file is missing, a folder, empty, no video, only sound, cut off, or no frame of it decodes.
    """
    with open_stream(path, takes_pictures=takes_pictures) as (container, stream):
        frame = _first_frame(container, stream, path)
        fps = average_fps(stream)
        has_audio = bool(container.streams.audio)
        rotation = frame.rotation
    frame_count, duration_s = _length(path, takes_pictures)
    return VideoInfo(
        path=path,
        width_px=frame.height if rotation % 180 else frame.width,
        height_px=frame.width if rotation % 180 else frame.height,
        frame_count=frame_count,
        fps=fps,
        duration_s=duration_s or frame_count / float(fps),
        has_audio=has_audio,
        is_plain=rotation % 360 == 0 and ((takes_pictures and frame_count == 1) or even_fps(path) is not None),
    )


def prove(path: Path) -> None:
    """Decode every frame of a video; a file that was decoded before, and has not changed since, is not read again.

    Raises:
        VideoUnreadableError: It breaks off.
    """
    stat = path.stat()
    _decode_all(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=10_000)
def _decode_all(path: Path, _size_bytes: int, _mtime_ns: int) -> None:
    count = 0
    try:
        with open_stream(path) as (container, stream):
            stream.thread_type = "AUTO"
            for _ in container.decode(stream):
                count += 1
    except FFmpegError as error:
        raise breaks_off(path, count) from error


def _first_frame(container: InputContainer, stream: VideoStream, path: Path) -> VideoFrame:
    try:
        for frame in container.decode(stream):
            return frame
    except FFmpegError as error:
        raise _no_frame(path) from error
    raise _no_frame(path)


def _no_frame(path: Path) -> VideoUnreadableError:
    return VideoUnreadableError(f"{path} has a video stream, but no frame of it decodes; export the file again")


def _length(path: Path, takes_pictures: bool) -> tuple[int, float]:
    """Count the packets and span their times; one packet holds one frame."""
    count, packets, ends = 0, 0, [0.0]
    first: int | None = None
    with open_stream(path, takes_pictures=takes_pictures) as (container, stream):
        base = time_base(stream)
        for packet in container.demux(stream):
            packets += packet.size > 0
            if packet.size == 0 or packet.is_discard:
                continue
            count += 1
            if packet.pts is not None:
                first = packet.pts if first is None else min(first, packet.pts)
                ends[0] = max(ends[0], float((packet.pts + (packet.duration or 0)) * base))
        start_s = float((first or 0) * base)
        if packets < stream.frames:
            raise breaks_off(path, packets)
    return count, ends[0] - start_s
