"""Files that are made from inputs before anything is sent; each is made once and kept under the content that it was made from."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from cosmos_ops.job import InputFile
from cosmos_ops.media.controls import write_blur, write_edge
from cosmos_ops.media.convert import to_mp4
from cosmos_ops.media.pieces import cut
from cosmos_ops.operations.operation import Preparation
from cosmos_ops.pieces import Piece

KEPT_DAYS = 14
"""How long a file is kept that nobody asks for."""


def prepare(steps: Sequence[Preparation], inputs: Mapping[str, InputFile], folder: Path) -> dict[str, Path]:
    """Make what is not there yet.

    Returns:
        Role to file.

    Raises:
        VideoUnreadableError: An input breaks off.
    """
    if not steps:
        return {}
    folder.mkdir(parents=True, exist_ok=True)
    _forget_old(folder)
    made = {step.role: folder / _name(step, inputs[step.source]) for step in steps}
    missing = [step for step in steps if not made[step.role].exists()]
    cut_anew = {step.source for step in missing if step.kind == "piece"}
    _cut([step for step in steps if step.kind == "piece" and step.source in cut_anew], inputs, made)
    for step in missing:
        _make(step, inputs[step.source].source, made[step.role])
    for path in made.values():
        path.touch()
    return made


def _name(step: Preparation, source: InputFile) -> str:
    details = {"piece": f"-{step.frames[0]}-{step.frames[1]}", "mp4": ""}.get(step.kind, f"-{step.strength}")
    return f"{source.sha256}-{step.kind}{details}.mp4"


def _make(step: Preparation, source: Path, target: Path) -> None:
    if step.kind == "edge":
        write_edge(source, target, strength=step.strength)
    elif step.kind == "blur":
        write_blur(source, target, strength=step.strength)
    elif step.kind == "mp4":
        to_mp4(source, target)


def _cut(steps: Sequence[Preparation], inputs: Mapping[str, InputFile], made: Mapping[str, Path]) -> None:
    """All pieces of one video in one reading."""
    for source in dict.fromkeys(step.source for step in steps):
        mine = [step for step in steps if step.source == source]
        with TemporaryDirectory(dir=made[mine[0].role].parent) as folder:
            parts = cut(inputs[source].source, Path(folder), [Piece(*step.frames) for step in mine])
            for step, part in zip(mine, parts, strict=True):
                part.replace(made[step.role])


def _forget_old(folder: Path) -> None:
    for path in folder.glob("*.mp4"):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > KEPT_DAYS * 86_400:
                path.unlink()
