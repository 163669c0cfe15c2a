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


def explain(one: Run, other: Run) -> list[str]:
    """Names of what keeps two runs out of one batch; empty if they may share one."""
    return differences(control_signature(one), control_signature(other))


def differences(one: ControlSignature, other: ControlSignature) -> list[str]:
    """Names in which two signatures differ: `operation`, `family`, `controls`, and parameters of the process."""
    names = [name for name in ("operation", "family", "controls") if getattr(one, name) != getattr(other, name)]
    ours, theirs = dict(one.process), dict(other.process)
    # Also a parameter that one of them lacks differs, whatever its value.
    return names + [name for name in {**ours, **theirs} if (name in ours, ours.get(name)) != (name in theirs, theirs.get(name))]
