"""The spec files of Cosmos 3, and what they name as URLs."""

import glob
import json
import os
import urllib.request
from pathlib import Path
from typing import Any

from .cosmos3_arguments import HINTS, check_sample
from .problems import ValidationError


def read_samples(paths: list[Path], overrides: dict[str, Any]) -> list[dict[str, Any]]:
    """The samples of all files, which are sorted; that a name comes twice is not noticed."""
    if not paths:
        raise ValueError("No inference parameter files")
    samples = []
    for path in sorted({hit for given in paths for hit in _hits(given)}):
        for place, sample in enumerate(_read_file(path, overrides)):
            sample["name"] = sample["name"] or (f"{path.stem}_{place}" if path.suffix.lower() == ".jsonl" else path.stem)
            samples.append(sample)
    return samples


def _hits(path: Path) -> list[Path]:
    pattern = str(path)
    return [Path(hit) for hit in glob.glob(pattern, recursive=True)] if "*" in pattern else [path]  # noqa: PTH207


def _read_file(path: Path, overrides: dict[str, Any]) -> list[dict[str, Any]]:
    if path.suffix == ".json":
        objects = [json.loads(path.read_text())]
    elif path.suffix == ".jsonl":
        objects = [json.loads(line) for line in path.read_text().splitlines() if line]
    else:
        raise ValueError(f"Unsupported file extension: {path}")
    path = path.expanduser().absolute()
    folder = Path.cwd()
    os.chdir(path.parent)
    samples = []
    for place, given in enumerate(objects):
        data = {**given, **overrides} if isinstance(given, dict) else given
        try:
            samples.append(check_sample(data))
        except ValidationError as error:
            raise ValueError(
                f"Error validating parameters from '{path}' at sample {place}\nParameters: {data}\n{error}"
            ) from error
    os.chdir(folder)
    return samples


def download(sample: dict[str, Any], folder: Path) -> None:
    """Fetch what a sample has as a URL; all controls of a sample get the same name."""
    for key, name in (("vision_path", "vision"), ("sound_path", "sound"), ("action_path", "action")):
        sample[key] = _downloaded(sample[key], folder, name)
    for hint in HINTS:
        if sample[hint]:
            sample[hint]["control_path"] = _downloaded(sample[hint]["control_path"], folder, "transfer_control")


def _downloaded(url: str | None, folder: Path, name: str) -> str | None:
    if not url or "://" not in url:
        return url
    path = folder / f"{name}{Path(url).suffix.lower()}"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with urllib.request.urlopen(url) as answer:
            path.write_bytes(answer.read())
    except (OSError, ValueError) as error:
        attempts = os.environ.get("COSMOS_DOWNLOAD_MAX_ATTEMPTS", "6")
        raise RuntimeError(f"Failed to download {url} after {attempts} attempt(s)") from error
    return str(path)
