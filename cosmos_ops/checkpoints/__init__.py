"""The model files that each family needs, by what a run does with them; how they lie on a host is told by `Checkpoint`."""

from cosmos_ops.checkpoints.checkpoint import Checkpoint, Layout
from cosmos_ops.checkpoints.manifest import ALWAYS, DEFAULT_MODES, MANIFEST, MODES, checkpoints_for

__all__ = ["ALWAYS", "DEFAULT_MODES", "MANIFEST", "MODES", "Checkpoint", "Layout", "checkpoints_for"]
