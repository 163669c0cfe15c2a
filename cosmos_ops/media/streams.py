"""Opening video files with one clear error for each way in which a file can be no video."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from cosmos_ops.errors import VideoUnreadableError


@contextmanager
def open_stream(path: Path, *, takes_pictures: bool = False) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and yield its container and its first video stream; cover pictures of audio files do not count.

    Raises:
        VideoUnreadableError: The file is missing, a folder, empty, no video or without a video stream.
    """
    _check_file(path)
    try:
        # Only local files: a playlist in disguise must not make us read from a network.
        container = av.open(str(path.absolute()), "r", options={"protocol_whitelist": "file"})
    except FFmpegError as error:
        raise VideoUnreadableError(f"{path} is no video file that can be read; convert it to mp4 (H.264)") from error
    with container:
        yield container, _video_stream(container, path, takes_pictures)


def average_fps(stream: VideoStream) -> Fraction:
    """Average frames per second as the container states it; 24 where it states nothing."""
    rate = stream.average_rate or stream.guessed_rate
    return Fraction(rate) if rate else Fraction(24)


def time_base(stream: VideoStream) -> Fraction:
    """Seconds per tick of the time stamps."""
    base = stream.time_base
    return Fraction(base.numerator, base.denominator) if base else Fraction(1, 90_000)


def breaks_off(path: Path, frame_count: int) -> VideoUnreadableError:
    """The error for a file that ends or turns to garbage in the middle."""
    return VideoUnreadableError(f"{path} breaks off after {frame_count} readable frames; copy or export the file again")


def _check_file(path: Path) -> None:
    try:
        _check_entry(path)
    except OSError as error:
        raise VideoUnreadableError(f"{path} cannot be read: {error.strerror}") from error


def _check_entry(path: Path) -> None:
    if path.is_dir():
        raise VideoUnreadableError(f"{path} is a folder; name a video file in it")
    if not path.exists():
        raise VideoUnreadableError(f"{path} does not exist; check the name and that the disk is mounted")
    if path.stat().st_size == 0:
        raise VideoUnreadableError(f"{path} is empty (0 bytes); copy or export the file again")


def _video_stream(container: InputContainer, path: Path, takes_pictures: bool) -> VideoStream:
    is_picture = container.format.name == "image2" or container.format.name.endswith("_pipe")
    if is_picture and not takes_pictures:
        raise VideoUnreadableError(f"{path} is a picture; a video is needed")
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    if container.streams.audio:
        raise VideoUnreadableError(f"{path} holds only sound; name a file with pictures")
    raise VideoUnreadableError(f"{path} holds no video stream that can be read; copy or export the file again")
