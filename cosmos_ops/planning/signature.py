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
    """Empty where the model loads the same for all controls."""
    process: tuple[tuple[str, Scalar | None], ...]


def control_signature(run: Run) -> ControlSignature:
    """The control signature of a run."""
    controls = () if run.params.shares_controls else active_controls(run.params)
    return ControlSignature(run.operation, run.family, controls, process_values(run.params))
