"""How cosmos-transfer2.5 cuts a video into chunks, and which files it can read."""

from cosmos_ops.videos import VideoInfo

CHUNK = 93
"""Frames that the released models make at a time."""
PICTURES = (".png", ".jpg", ".jpeg")
OTHER_PICTURES = (".webp", ".bmp", ".tif", ".tiff", ".tga", ".ppm", ".pgm", ".jp2", ".exr")
"""Pictures that the program does not know."""
RATIOS = (("16:9", 16 / 9), ("4:3", 4 / 3), ("1:1", 1.0), ("3:4", 3 / 4), ("9:16", 9 / 16))


def used_frames(frame_count: int, max_frames: int) -> int:
    """How many frames of a video are used; `max_frames` 0 takes all."""
    return min(frame_count, max_frames) if max_frames else frame_count


def chunk_count(frames: int, overlap: int) -> int:
    """Number of chunks that so many frames take."""
    return 1 if frames <= CHUNK else 1 + -(-(frames - CHUNK) // (CHUNK - overlap))


def last_chunk(frames: int, overlap: int) -> int:
    """Number of frames that the last chunk reads."""
    return frames - (chunk_count(frames, overlap) - 1) * (CHUNK - overlap)


def aspect_ratio(width_px: int, height_px: int) -> str:
    """The ratio to which the program squeezes a picture."""
    return min(RATIOS, key=lambda ratio: (ratio[1] - width_px / height_px) ** 2)[0]


def is_picture(file: VideoInfo) -> bool:
    """Whether the name says that a file is a picture."""
    return file.path.suffix.lower() in (*PICTURES, *OTHER_PICTURES)


def is_read(file: VideoInfo) -> bool:
    """Whether the program reads all frames of such a file as players show them; the documents name mp4 for videos."""
    suffix = file.path.suffix.lower()
    # Of an animated picture it would take one frame.
    return (suffix == ".mp4" and file.is_plain) or (suffix in PICTURES and file.frame_count == 1)
