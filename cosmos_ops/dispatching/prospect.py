"""What a dispatch would do now, without doing it: the plan for some runs on the slots that there are, or on others."""

import json
import math
import re
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from cosmos_ops.cost_keeping import known_costs
from cosmos_ops.dispatching.assignments import Lanes
from cosmos_ops.dispatching.bench import Bench
from cosmos_ops.dispatching.crew import Crew, Member, ModelMode, Offer, left_out_of
from cosmos_ops.dispatching.opening import RECENT_JOBS
from cosmos_ops.dispatching.slots import SlotView
from cosmos_ops.errors import InputError
from cosmos_ops.operations import FAMILIES
from cosmos_ops.params import PerRun, parameters
from cosmos_ops.planning import CostModel, Plan, PlanOptions, Slot, Workload, plan
from cosmos_ops.planning.baselines import Baseline, one_by_one, predecessor
from cosmos_ops.planning.costs import GPU_TYPES
from cosmos_ops.planning.preview import described
from cosmos_ops.planning.stages import in_stages, joined_baselines, joined_plans
from cosmos_ops.planning.workloads_of_runs import workload_of
from cosmos_ops.runs import Run
from cosmos_ops.store import Store

LOOK_LIMIT_S = 20.0
DEFAULT_GPU = "H100"
SLOTS = re.compile(r"(?P<host>[^=]+)=(?P<count>\d{1,5})(:(?P<gpu>[^x]+)(x(?P<gpus>[1-8]))?)?")
SLOTS_MAX = 10_000


@dataclass(frozen=True)
class Prospect:
    """A plan and all that it rests on."""

    plan: Plan
    workloads: Sequence[Workload]
    slots: Sequence[Slot]
    costs: CostModel
    settings: Mapping[str, Hashable]
    """Run to all of its parameters but the weights: by these the predecessor told runs apart."""
    now_s: float
    after: Mapping[str, int] = field(default_factory=dict)
    """Run to the number of stages that come before it, where it waits for some."""

    @cached_property
    def workload_of(self) -> Mapping[str, Workload]:
        """Run to what the planner knew of it."""
        return {one.run_id: one for one in self.workloads}

    @cached_property
    def description(self) -> dict[str, Any]:
        """The plan as a record, beside what other rules would make of the same runs."""
        rest = (self.slots, self.costs)
        rules: Sequence[Callable[[Sequence[Workload], float], Baseline]] = (
            lambda runs, now_s: one_by_one(runs, *rest, now_s=now_s),
            lambda runs, now_s: predecessor(runs, *rest, now_s=now_s, settings_of=lambda run: self.settings[run.run_id]),
        )
        baselines = [joined_baselines(in_stages(self.workloads, self.after, self.now_s, rule)) for rule in rules]
        return described(self.plan, self.workloads, *rest, baselines, self.now_s)


def settings_of(run: Run[Any]) -> int:
    """Equal for runs whose parameters are equal but for the weights; holds within this process."""
    values = run.params.model_dump(mode="json")
    weights = [one.name for one in parameters(run.params) if isinstance(one.placement, PerRun) and one.placement.control]
    return hash(json.dumps({name: value for name, value in values.items() if name not in weights}, sort_keys=True))


def prospect(
    store: Store,
    runs: Iterable[Run[Any]],
    slots: Sequence[Slot],
    *,
    options: PlanOptions,
    now_s: float,
    left_out: Sequence[str] = (),
    after: Mapping[str, int] | None = None,
) -> Prospect:
    """Plan runs on slots with the costs that are known.

    Args:
        store: Knows the costs.
        runs: What is planned.
        slots: Where.
        options: How.
        now_s: Unix seconds from which on slots are used.
        left_out: Hosts that are left out, each with the reason, which is said of runs that have to wait.
        after: Run to the number of stages that come before it, each of which has to be done first.
    """
    known = {run.id: run for run in runs}
    workloads, costs = [workload_of(run) for run in known.values()], known_costs(store)
    stages = in_stages(
        workloads, after or {}, now_s, lambda some, start_s: plan(some, slots, costs, now_s=start_s, options=options)
    )
    made = joined_plans(stages)
    made = replace(made, waiting={run_id: "; ".join([*left_out, why]) for run_id, why in made.waiting.items()})
    settings = {run_id: settings_of(run) for run_id, run in known.items()}
    return Prospect(made, workloads, slots, costs, settings, now_s, after or {})


def slots_now(store: Store, offers: Callable[[], Iterable[Offer]], models: frozenset[ModelMode]) -> tuple[list[Slot], list[str]]:
    """The slots of all hosts that answer, busy ones with their expected end; and why other hosts are left out."""
    members = looked_at(offers, models)
    return SlotView(store, Lanes(), Bench(), store.recent_jobs(limit=RECENT_JOBS)).slots(members), left_out_of(members)


def looked_at(offers: Callable[[], Iterable[Offer]], models: frozenset[ModelMode]) -> dict[str, Member]:
    """Look at all hosts once; one that does not answer in time counts as away."""
    changed = threading.Condition()

    def wake() -> None:
        with changed:
            changed.notify_all()

    crew = Crew(offers, wake)
    crew.want(models)
    crew.start()
    until = time.monotonic() + LOOK_LIMIT_S
    with changed:
        while time.monotonic() < until and not all(member.was_seen for member in crew.members().values()):
            changed.wait(0.2)
    found = crew.members()
    crew.close()
    return found


def imagined_slots(wanted: Sequence[str], now_s: float) -> list[Slot]:
    """The slots of machines that are not there, each written as HOST=N, HOST=N:GPU, or HOST=N:GPUxK with K GPUs in each.

    Raises:
        InputError: One is not of that form, or names a host again.
    """
    slots: list[Slot] = []
    for text in wanted:
        found = SLOTS.fullmatch(text)
        if found is None or not 1 <= int(found["count"]) <= SLOTS_MAX or (found["gpu"] or DEFAULT_GPU) not in GPU_TYPES:
            raise InputError(
                f"the slots {text!r} are not HOST=N, HOST=N:GPU or HOST=N:GPUxK, such as rack=4, rack=4:H200 or rack=2:H100x4; "
                f"GPUs: {', '.join(GPU_TYPES)}"
            )
        host = found["host"]
        if any(slot.host == host for slot in slots):
            raise InputError(f"--slots names the host {host} twice; give each host once")
        like = Slot(host, 0, found["gpu"] or DEFAULT_GPU, frozenset(FAMILIES), memory_gb=math.inf, free_at_s=now_s)
        like = replace(like, gpu_count=int(found["gpus"] or 1))
        slots += [replace(like, index=index) for index in range(int(found["count"]))]
    return slots
