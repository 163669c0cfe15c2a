"""Small JPEG pictures of videos: thumbnails, contact sheets, previews that fit a size."""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from cosmos_ops.errors import VideoUnreadableError
from cosmos_ops.files import write_file
from cosmos_ops.media.frames import Picture, open_reader
from cosmos_ops.media.probe import probe

_THUMBNAIL_WIDTH_PX = 480
_CELL_WIDTH_PX = 320
_GAP_PX = 8
_HEADER_PX = 36
_LABEL_WIDTH_PX = 150
_BACKGROUND = (24, 25, 28)
_CELL_BACKGROUND = (36, 38, 42)
_LABEL_COLOUR = (226, 228, 232)
_TIME_COLOUR = (150, 154, 162)
_FONT = cv2.FONT_HERSHEY_DUPLEX


def write_thumbnail(video: Path, target: Path) -> None:
    """Write the middle frame as a JPEG of at most 480 pixels width.

    Raises:
        VideoUnreadableError: The file is no video or breaks off before its middle.
    """
    info = probe(video)
    middle = _frames_at(video, [info.duration_s * (info.frame_count // 2) / info.frame_count], _THUMBNAIL_WIDTH_PX)[0]
    write_file(target, _jpeg(middle, 88))


def write_contact_sheet(rows: Mapping[str, Path], target: Path, columns: int = 6) -> None:
    """Write a JPEG with one row per labelled video; all rows show the same instants.

    The instants are spread evenly over the longest video; a shorter one shows its last frame where it has ended.

    Raises:
        VideoUnreadableError: A file is no video or breaks off.
        ValueError: There is no row or no column.
    """
    if not rows or columns < 1:
        raise ValueError("A contact sheet needs at least one video and one column")
    infos = [probe(path) for path in rows.values()]
    longest_s = max(info.duration_s for info in infos)
    instants_s = [longest_s * (column + 0.5) / columns for column in range(columns)]
    strips = [_strip(_frames_at(path, instants_s, _CELL_WIDTH_PX)) for path in rows.values()]
    strip_width = strips[0].shape[1]
    lines = [_header(instants_s, strip_width)]
    for label, strip in zip(rows, strips, strict=True):
        lines += [np.hstack([_label(label, strip.shape[0]), strip]), _blank(_GAP_PX, _LABEL_WIDTH_PX + strip_width)]
    write_file(target, _jpeg(np.vstack(lines), 90))


def jpeg_preview(image: Path, bytes_max: int = 30_000) -> bytes:
    """A picture as a JPEG that is made coarser and smaller until it is at most `bytes_max` long.

    Raises:
        VideoUnreadableError: The file is no picture.
        ValueError: Not even 16 pixels of width fit.
    """
    picture = cv2.imdecode(np.frombuffer(image.read_bytes() or b"\0", np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise VideoUnreadableError(f"{image} is no picture that can be read; name a JPEG or PNG file")
    shown = np.asarray(picture[:, :, ::-1], np.uint8)
    while shown.shape[1] >= 16:
        for quality in (88, 78, 66):
            content = _jpeg(shown, quality)
            if len(content) <= bytes_max:
                return content
        shown = _scaled(shown, int(shown.shape[1] * 0.82))
    raise ValueError(f"{image} does not fit {bytes_max} bytes; allow some hundred at least")


def _frames_at(video: Path, instants_s: list[float], width_px: int) -> list[Picture]:
    """The frame on show at each instant, scaled; only those are kept in memory."""
    found: list[Picture] = []
    with open_reader(video) as frames:
        first = current = next(frames)
        for frame in frames:
            shown_s = float((frame.pts - first.pts) * frame.time_base)
            while len(found) < len(instants_s) and instants_s[len(found)] < shown_s - 1e-9:
                found.append(_scaled(current.picture, width_px))
            if len(found) == len(instants_s):
                return found
            current = frame
    return found + [_scaled(current.picture, width_px)] * (len(instants_s) - len(found))


def _scaled(picture: Picture, width_px: int) -> Picture:
    """At most as wide as asked."""
    height, width = picture.shape[:2]
    if width <= width_px:
        return picture
    size = (width_px, max(1, round(height * width_px / width)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _strip(pictures: list[Picture]) -> Picture:
    """Cells side by side, each `_CELL_WIDTH_PX` wide and followed by a gap; upright videos are fitted in."""
    height = min(round(_CELL_WIDTH_PX * pictures[0].shape[0] / pictures[0].shape[1]), _CELL_WIDTH_PX)
    gap = _blank(height, _GAP_PX)
    parts = []
    for picture in pictures:
        parts += [_fitted(picture, height), gap]
    return np.hstack(parts)


def _fitted(picture: Picture, height_px: int) -> Picture:
    scale = min(_CELL_WIDTH_PX / picture.shape[1], height_px / picture.shape[0])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    inner = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    cell = np.full((height_px, _CELL_WIDTH_PX, 3), _CELL_BACKGROUND, np.uint8)
    top, left = (height_px - size[1]) // 2, (_CELL_WIDTH_PX - size[0]) // 2
    cell[top : top + size[1], left : left + size[0]] = inner
    return cell


def _header(instants_s: list[float], strip_width_px: int) -> Picture:
    line = _blank(_HEADER_PX, _LABEL_WIDTH_PX + strip_width_px)
    for column, instant_s in enumerate(instants_s):
        left = _LABEL_WIDTH_PX + column * (_CELL_WIDTH_PX + _GAP_PX) + 2
        cv2.putText(line, f"{instant_s:.2f} s", (left, _HEADER_PX - 11), _FONT, 0.48, _TIME_COLOUR, 1, cv2.LINE_AA)
    return line


def _label(text: str, height_px: int) -> Picture:
    cell = _blank(height_px, _LABEL_WIDTH_PX)
    # OpenCV's font has ASCII only.
    lines = _wrapped("".join(c if " " <= c <= "~" else "?" for c in text))[: max(1, height_px // 22)]
    top = (height_px - 22 * len(lines)) // 2 + 16
    for number, line in enumerate(lines):
        cv2.putText(cell, line, (14, top + 22 * number), _FONT, 0.52, _LABEL_COLOUR, 1, cv2.LINE_AA)
    return cell


def _wrapped(text: str, characters_max: int = 13) -> list[str]:
    lines = [""]
    for word in text.split():
        for piece in (word[i : i + characters_max] for i in range(0, len(word), characters_max)):
            if lines[-1] and len(lines[-1]) + 1 + len(piece) > characters_max:
                lines.append("")
            lines[-1] = f"{lines[-1]} {piece}".strip()
    return lines


def _blank(height_px: int, width_px: int) -> Picture:
    return np.full((height_px, width_px, 3), _BACKGROUND, np.uint8)


def _jpeg(picture: Picture, quality: int) -> bytes:
    done, content = cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1])
    assert done
    return bytes(content.tobytes())
