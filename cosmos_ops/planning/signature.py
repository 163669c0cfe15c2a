"""The control signature: what runs must have in common to share one model process."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from cosmos_ops.params import Params, PerRun, Scalar, active_controls, parameters, process_values
from cosmos_ops.runs import Run


@dataclass(frozen=True)
class ControlSignature:
    """Set of controls plus every parameter that the process takes once; follows from the parameters' declarations."""

    operation: str
    family: str
    controls: tuple[str, ...]
    """Empty where the model loads the same for all controls."""
    process: tuple[tuple[str, Scalar | None], ...]
    declared: tuple[str, ...] = field(default=(), compare=False, repr=False)
    """All controls of the operation, in the order in which a process is given them: the order can change a result."""

    def with_controls(self, controls: Iterable[str]) -> "ControlSignature":
        """The same with these controls, in the order of their declaration."""
        places = {control: place for place, control in enumerate(self.declared)}
        ordered = sorted(set(controls), key=lambda control: (places.get(control, len(places)), control))
        return replace(self, controls=tuple(ordered))


def control_signature(run: Run) -> ControlSignature:
    """The control signature of a run."""
    return signature_of(run.operation, run.family, run.params)


def signature_of(operation: str, family: str, params: Params) -> ControlSignature:
    """The control signature of every run of these parameters."""
    controls = () if params.shares_controls else active_controls(params)
    return ControlSignature(operation, family, controls, process_values(params), _declared_controls(params))


def _declared_controls(params: Params) -> tuple[str, ...]:
    places = [parameter.placement for parameter in parameters(params)]
    return tuple(place.control for place in places if isinstance(place, PerRun) and place.control)


def explain(one: Run, other: Run) -> list[str]:
    """Names of what keeps two runs out of one batch; empty if they may share one."""
    return differences(control_signature(one), control_signature(other))


def differences(one: ControlSignature, other: ControlSignature) -> list[str]:
    """Names in which two signatures differ: `operation`, `family`, `controls`, and parameters of the process."""
    names = [name for name in ("operation", "family", "controls") if getattr(one, name) != getattr(other, name)]
    ours, theirs = dict(one.process), dict(other.process)
    # Also a parameter that one of them lacks differs, whatever its value.
    return names + [name for name in {**ours, **theirs} if (name in ours, ours.get(name)) != (name in theirs, theirs.get(name))]
