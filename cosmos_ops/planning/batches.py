"""Runs to batches: a simple grouping by control signature, in the order of arrival."""

from collections.abc import Sequence
from dataclasses import dataclass

from cosmos_ops.planning.signature import ControlSignature, control_signature
from cosmos_ops.runs import Run

BATCH_SIZE_MAX = 24
"""Limits what one poisoned sample or one cancellation can cost."""


@dataclass(frozen=True)
class Batch:
    """Runs that share one container, one model load."""

    signature: ControlSignature
    runs: tuple[Run, ...]


def regroup(runs: Sequence[Run], *, size_max: int = BATCH_SIZE_MAX) -> list[Batch]:
    """Put runs with equal control signatures into batches; every run is in exactly one, the first to arrive goes first."""
    groups: dict[ControlSignature, list[Run]] = {}
    for run in runs:
        groups.setdefault(control_signature(run), []).append(run)
    return [
        Batch(signature, tuple(group[start : start + size_max]))
        for signature, group in groups.items()
        for start in range(0, len(group), size_max)
    ]
