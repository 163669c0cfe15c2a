"""Rules that say which runs start where, and a simulation of queue and slots that carries them out, run by run."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from cosmos_ops.planning import CostModel, ModelFiles, PlanOptions, Slot, Workload, plan
from cosmos_ops.planning.baselines import predecessor_batches


@dataclass(frozen=True)
class Request:
    """A run and the settings by which the predecessor told runs apart: all but prompt and weights, so also the seed."""

    run: Workload
    settings: tuple[object, ...] = ()


@dataclass(frozen=True)
class Start:
    """A batch on a slot that is free."""

    place: int
    runs: tuple[Workload, ...]


class Rule(Protocol):
    def starts(self, waiting: Sequence[Request], slots: Sequence[Slot], now_s: float) -> list[Start]:
        """What starts now; slots say when they are free."""


@dataclass(frozen=True)
class Predecessor:
    """Equal settings and controls in the order of arrival, cut at a fixed size; first come, first served on the slots."""

    sizes: tuple[int, ...]
    """Runs of a batch with one, two, and more controls; the last one holds for all that follow."""

    def starts(self, waiting: Sequence[Request], slots: Sequence[Slot], now_s: float) -> list[Start]:
        settings = {request.run.run_id: request.settings for request in waiting}
        batches = predecessor_batches((request.run for request in waiting), lambda run: settings[run.run_id], self.sizes)
        free = [place for place, slot in enumerate(slots) if slot.free_at_s <= now_s]
        starts = []
        for batch in batches:
            place = next((place for place in free if batch[0].signature.family in slots[place].families), None)
            if place is not None:
                free.remove(place)
                starts.append(Start(place, tuple(batch)))
        return starts


@dataclass(frozen=True)
class Ours:
    """What the plan of this moment starts at once."""

    costs: CostModel
    options: PlanOptions = field(default_factory=PlanOptions)

    def starts(self, waiting: Sequence[Request], slots: Sequence[Slot], now_s: float) -> list[Start]:
        runs = {request.run.run_id: request.run for request in waiting}
        places = {(slot.host, slot.index): place for place, slot in enumerate(slots)}
        made = plan(runs.values(), slots, self.costs, now_s=now_s, options=self.options)
        return [
            Start(places[batch.host, batch.index], tuple(runs[run_id] for run_id in batch.run_ids))
            for batch in made.batches
            if batch.start_s <= now_s
        ]


@dataclass(frozen=True)
class Done:
    end_s: float
    gpu_seconds: float
    batch_count: int


def simulate(
    requests: Sequence[Request], slots: Sequence[Slot], costs: CostModel, rule: Rule, *, noise: float = 0.0, seed: int = 0
) -> Done:
    """Let runs arrive at `queued_at_s`, start what the rule says whenever a slot is free, and add up.

    With noise, samples take longer or shorter than the rule expects, evenly up to that share.
    """
    factors = noise_factors(requests, noise, seed)
    arriving = sorted(requests, key=lambda request: (request.run.queued_at_s, request.run.run_id))
    waiting: dict[str, Request] = {}
    lanes = list(slots)
    real_s = [slot.free_at_s for slot in slots]
    now_s, gpu_seconds, batches = 0.0, 0.0, 0
    while arriving or waiting:
        while arriving and arriving[0].run.queued_at_s <= now_s:
            request = arriving.pop(0)
            waiting[request.run.run_id] = request
        # A batch that runs over is expected to end any moment.
        seen = [
            replace(slot, free_at_s=0.0 if real <= now_s else max(slot.free_at_s, now_s + 1.0))
            for slot, real in zip(lanes, real_s, strict=True)
        ]
        for start in rule.starts(list(waiting.values()), seen, now_s) if waiting else ():
            expected_s, seconds = _seconds(start, lanes[start.place], costs, factors)
            files = _files(start.runs)
            slot = lanes[start.place]
            lanes[start.place] = replace(slot, free_at_s=now_s + expected_s, warm=slot.warm | {files})
            real_s[start.place] = now_s + seconds
            gpu_seconds += seconds * slot.gpu_count
            batches += 1
            for run in start.runs:
                del waiting[run.run_id]
        coming = [real for real in real_s if real > now_s] + [request.run.queued_at_s for request in arriving[:1]]
        if waiting or arriving:
            now_s = min(coming)
    return Done(max(real_s), gpu_seconds, batches)


def noise_factors(requests: Sequence[Request], noise: float, seed: int) -> dict[str, float]:
    chance = random.Random(seed)
    return {request.run.run_id: chance.uniform(1 - noise, 1 + noise) for request in requests}


def _files(runs: Sequence[Workload]) -> ModelFiles:
    return ModelFiles(runs[0].model_name, _controls(runs))


def _controls(runs: Sequence[Workload]) -> tuple[str, ...]:
    if len({run.signature.controls for run in runs}) == 1:
        return runs[0].signature.controls
    return runs[0].signature.with_controls(control for run in runs for control in run.signature.controls).controls


def _seconds(start: Start, slot: Slot, costs: CostModel, factors: dict[str, float]) -> tuple[float, float]:
    """What a batch is expected to take, and what it takes."""
    one = start.runs[0]
    of = costs.of(one.model_name, slot.gpu_type)
    controls = _controls(start.runs)
    is_mixed = any(run.signature.controls != controls for run in start.runs)
    parts = len(controls) if is_mixed or one.parts is None else one.parts
    load_s = of.load_s(parts, is_warm=_files(start.runs) in slot.warm)
    expected_s = seconds = load_s
    for run in start.runs:
        size = replace(run.size, controls=max(run.size.controls, len(controls))) if is_mixed else run.size
        sample_s = of.sample_s(size, gpu_count=run.gpu_count)
        expected_s += sample_s
        seconds += sample_s * factors[run.run_id]
    return expected_s, seconds
