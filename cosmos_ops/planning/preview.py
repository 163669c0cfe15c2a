"""A plan as a record for programs, and as a table for people."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from cosmos_ops.params import Scalar
from cosmos_ops.planning.baselines import Baseline
from cosmos_ops.planning.bounds import makespan_bound
from cosmos_ops.planning.costs import CostModel
from cosmos_ops.planning.signature import ControlSignature
from cosmos_ops.planning.workloads import Plan, PlannedBatch, Slot, Workload

VALUE_LENGTH_MAX = 40
"""Of a parameter in the text of a signature."""

Description = Mapping[str, Any]


def described(
    plan: Plan,
    workloads: Iterable[Workload],
    slots: Iterable[Slot],
    costs: CostModel,
    baselines: Sequence[Baseline],
    now_s: float,
) -> dict[str, Any]:
    """A plan with all that it rests on, ready for JSON; its times are seconds from `now_s` on."""
    runs, known = {run.run_id: run for run in workloads}, list(slots)
    differing = _differing(batch.signature for batch in plan.batches)
    return {
        "batches": [
            _batch(batch, number, now_s, differing[batch.signature.operation, batch.signature.family])
            for number, batch in enumerate(plan.batches, start=1)
        ],
        "gpu_s": _rounded(plan.gpu_seconds),
        "baseline_gpu_s": {baseline.name: _rounded(baseline.gpu_seconds) for baseline in baselines},
        "makespan_s": _rounded(max(0.0, (plan.end_s or now_s) - now_s)),
        "baseline_makespan_s": {baseline.name: _rounded(baseline.end_s - now_s) for baseline in baselines},
        "makespan_bound_s": _rounded(makespan_bound(runs.values(), known, costs, now_s)),
        "waiting": dict(plan.waiting),
        "costs": _costs(plan, runs, known, costs),
    }


def rows(description: Description) -> list[dict[str, str]]:
    """The batches as a table, column by column."""
    return [
        {
            "batch": batch["id"],
            "slot": f"{batch['host']} {batch['slot']}",
            "starts": duration(batch["predicted_start_s"]),
            "load": duration(batch["load_s"]),
            "ends": duration(batch["predicted_end_s"]),
            "runs": str(len(batch["runs"])),
            "signature": " ".join([batch["kind"], *(_setting(*item) for item in batch["differs"].items())]),
        }
        for batch in description["batches"]
    ]


def lines(description: Description) -> list[str]:
    """A table of the batches, the sums, what that saves, and what has to wait."""
    table = rows(description)
    widths = {name: max(len(name), *(len(row[name]) for row in table)) for name in table[0]} if table else {}
    heads = [{name: name for name in widths}] if table else []
    shown = ["  ".join(row[name].ljust(width) for name, width in widths.items()).rstrip() for row in heads + table]
    return [*shown, *_sums(description), *_basis(description), *_reasons(description)]


def signature_text(signature: ControlSignature) -> str:
    """A signature in one line, long values cut off."""
    return " ".join([_kind(signature), *(_setting(*item) for item in signature.process)])


def duration(seconds: float) -> str:
    """Seconds as hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def _batch(batch: PlannedBatch, number: int, now_s: float, differing: Sequence[str]) -> dict[str, Any]:
    values = dict(batch.signature.process)
    return {
        "id": f"b{number}",
        "family": batch.signature.family,
        "signature": signature_text(batch.signature),
        "kind": _kind(batch.signature),
        "differs": {name: values[name] for name in differing if name in values},
        "host": batch.host,
        "slot": batch.index,
        "runs": list(batch.run_ids),
        "predicted_start_s": _rounded(batch.start_s - now_s),
        "predicted_end_s": _rounded(batch.end_s - now_s),
        "load_s": _rounded(batch.load_s),
        "gpu_s": _rounded((batch.end_s - batch.start_s) * batch.gpu_count),
    }


def _costs(plan: Plan, runs: Mapping[str, Workload], slots: Iterable[Slot], costs: CostModel) -> list[dict[str, Any]]:
    """The coefficients that the plan was made with, by model and GPU type."""
    types = {(slot.host, slot.index): slot.gpu_type for slot in slots}
    used = {(runs[batch.run_ids[0]].model_name, types[batch.host, batch.index]) for batch in plan.batches}
    return [{"model": model, "gpu_type": gpu_type, **asdict(costs.of(model, gpu_type))} for model, gpu_type in sorted(used)]


def _differing(signatures: Iterable[ControlSignature]) -> dict[tuple[str, str], list[str]]:
    """Operation and family to the parameters that tell their batches apart."""
    values: dict[tuple[str, str], dict[str, set[Scalar | None]]] = defaultdict(lambda: defaultdict(set))
    for signature in signatures:
        known = values[signature.operation, signature.family]
        for name, value in signature.process:
            known[name].add(value)
    return {kind: [name for name, found in settings.items() if len(found) > 1] for kind, settings in values.items()}


def _kind(signature: ControlSignature) -> str:
    controls = "+".join(signature.controls) or "any controls"
    return f"{signature.operation} {signature.family} {controls}"


def _setting(name: str, value: Scalar | None) -> str:
    text = value if isinstance(value, str) and value and " " not in value else json.dumps(value, ensure_ascii=False)
    return f"{name}={text}" if len(text) <= VALUE_LENGTH_MAX else f"{name}={text[:VALUE_LENGTH_MAX]}..."


def _sums(description: Description) -> list[str]:
    batches = description["batches"]
    if not batches:
        return [] if description["waiting"] else ["nothing to do"]
    run_count, gpu_s = sum(len(batch["runs"]) for batch in batches), description["gpu_s"]
    found = [
        f"{run_count} runs in {len(batches)} batches, done after {duration(description['makespan_s'])}; "
        f"no plan is done before {duration(description['makespan_bound_s'])}",
        f"{gpu_s:,.0f} GPU seconds",
    ]
    for name, other_s in description["baseline_gpu_s"].items():
        end = duration(description["baseline_makespan_s"][name])
        found.append(f"  saves {_percent(gpu_s, other_s)} of the {other_s:,.0f} GPU seconds of {name}, which is done after {end}")
    return found


def _percent(ours: float, theirs: float) -> str:
    return f"{1 - ours / theirs:.0%}" if theirs else "0%"


def _basis(description: Description) -> list[str]:
    return [
        f"expected of {known['model']} on {known['gpu_type']}: "
        + (
            f"{known['sample_count']} finished samples, usually right within {known['error']:.0%}"
            if known["sample_count"]
            else "published and assumed figures, no finished samples yet"
        )
        for known in description["costs"]
    ]


def _reasons(description: Description) -> list[str]:
    counts = Counter(description["waiting"].values())
    return [f"{count} {'run waits' if count == 1 else 'runs wait'}: {reason}" for reason, count in counts.items()]


def _rounded(seconds: float) -> float:
    return round(seconds, 3)
