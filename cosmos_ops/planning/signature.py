"""The control signature: what runs must have in common to share one model process."""

from dataclasses import dataclass

from cosmos_ops.params import Scalar, active_controls, process_values
from cosmos_ops.runs import Run


@dataclass(frozen=True)
class ControlSignature:
    """Set of controls plus every parameter that the process takes once; follows from the parameters' declarations."""

    operation: str
    family: str
    controls: tuple[str, ...]
    process: tuple[tuple[str, Scalar], ...]


def control_signature(run: Run) -> ControlSignature:
    """The control signature of a run."""
    return ControlSignature(run.operation, run.family, active_controls(run.params), process_values(run.params))
