"""The manifest: family and mode to the files that they need."""

from collections.abc import Iterable, Mapping

from cosmos_ops.checkpoints.checkpoint import Checkpoint, distinct
from cosmos_ops.checkpoints.cosmos3 import COSMOS3
from cosmos_ops.checkpoints.transfer1 import TRANSFER1
from cosmos_ops.checkpoints.transfer25 import TRANSFER25
from cosmos_ops.errors import InputError

ALWAYS = "always"
"""The mode of what every run of a family needs; the others come in addition."""

MANIFEST: Mapping[str, Mapping[str, tuple[Checkpoint, ...]]] = {
    "transfer1": TRANSFER1,
    "transfer25": TRANSFER25,
    "cosmos3": COSMOS3,
}
MODES: Mapping[str, tuple[str, ...]] = {family: tuple(modes) for family, modes in MANIFEST.items()}
"""What a run may do that needs files of its own, by family."""
DEFAULT_MODES: Mapping[str, tuple[str, ...]] = {
    "transfer1": ("vis", "edge", "depth", "seg"),
    "transfer25": ("multi", "guardrails"),
    "cosmos3": ("nano",),
}
"""What is downloaded where nobody chooses."""


def checkpoints_for(family: str, modes: Iterable[str]) -> tuple[Checkpoint, ...]:
    """What runs of a family need, with what all of them need.

    Raises:
        InputError: There is no such family or mode; the message names those that there are.
    """
    if family not in MANIFEST:
        raise InputError(f"no model files are known of the family '{family}'; families with some: {', '.join(MANIFEST)}")
    asked = (ALWAYS, *modes)
    if unknown := [mode for mode in asked if mode not in MANIFEST[family]]:
        raise InputError(f"the family {family} has no mode '{unknown[0]}'; its modes: {', '.join(MODES[family])}")
    return distinct([checkpoint for mode in asked for checkpoint in MANIFEST[family][mode]])
