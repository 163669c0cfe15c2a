"""Which runs share a container: pure functions over runs, no clock and no I/O."""

from cosmos_ops.planning.batches import Batch, regroup
from cosmos_ops.planning.signature import ControlSignature, control_signature

__all__ = ["Batch", "ControlSignature", "control_signature", "regroup"]
