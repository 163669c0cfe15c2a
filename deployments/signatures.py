"""`cosmos signature`: why runs can or cannot share a batch."""

from collections.abc import Sequence
from itertools import combinations

from cosmos_ops.planning.signature import ControlSignature, control_signature, differences
from cosmos_ops.runs import Run


def explained(runs: Sequence[Run]) -> list[str]:
    """The signature of each run, and for each pair whether it may share a batch, or in what it differs."""
    signatures = {run.id: control_signature(run) for run in runs}
    lines = [f"{run_id}: {_shown(signature)}" for run_id, signature in signatures.items()]
    for (one, first), (other, second) in combinations(signatures.items(), 2):
        names = differences(first, second)
        parts = [f"{name} ({_value(first, name)} and {_value(second, name)})" for name in names]
        lines.append(f"{one} and {other}: " + (f"apart, because of {', '.join(parts)}" if names else "may share a batch"))
    return lines


def _shown(signature: ControlSignature) -> str:
    process = " ".join(f"{name}={value}" for name, value in signature.process)
    return f"{signature.operation} {signature.family}, {_value(signature, 'controls')}; {process}"


def _value(signature: ControlSignature, name: str) -> str:
    if name == "controls":
        return "+".join(signature.controls) or "any controls"
    return str(getattr(signature, name, dict(signature.process).get(name, "nothing")))
