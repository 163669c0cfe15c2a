"""The completion marker of a sample, done.json: written last, so that its presence proves the outputs."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cosmos_ops.files import write_file

MARKER_NAME = "done.json"


def write_json(target: Path, value: Mapping[str, Any]) -> None:
    """Write an object completely or not at all."""
    write_file(target, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace"))


def mark_completed(folder: Path, files: Mapping[str, str], *, frame_count: int | None, seconds: float) -> None:
    """Write the marker of a sample that is complete; `files` gives the file name for each role."""
    listed = {role: _described(folder / name) for role, name in files.items()}
    length = {} if frame_count is None else {"frame_count": frame_count}
    write_json(folder / MARKER_NAME, {"status": "completed", "files": listed, **length, "seconds": round(seconds, 3)})


def mark_ended(folder: Path, status: str, reason: str) -> None:
    """Write the marker of a sample that was `blocked` or has `failed`."""
    write_json(folder / MARKER_NAME, {"status": status, "reason": reason})


def is_completed(folder: Path) -> bool:
    """Whether an earlier process completed the sample and its files are still there."""
    try:
        marker = json.loads((folder / MARKER_NAME).read_text(encoding="utf-8"))
        return marker["status"] == "completed" and all(
            (folder / file["path"]).stat().st_size == file["size_bytes"] for file in marker["files"].values()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        # Nothing there, or nothing that we wrote: the sample is done again.
        return False


def _described(path: Path) -> dict[str, Any]:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return {"path": path.name, "sha256": digest.hexdigest(), "size_bytes": path.stat().st_size}
