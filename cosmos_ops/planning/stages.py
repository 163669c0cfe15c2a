"""Stages of which each works on what the one before has made: each is planned to begin when all of that is there."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from cosmos_ops.planning.baselines import Baseline
from cosmos_ops.planning.workloads import Plan, Workload


class Ends(Protocol):
    """A plan, or what it is compared with."""

    @property
    def end_s(self) -> float | None:
        """When its last batch is expected to end."""


E = TypeVar("E", bound=Ends)


def in_stages(
    runs: Iterable[Workload], after: Mapping[str, int], now_s: float, make: Callable[[Sequence[Workload], float], E]
) -> list[E]:
    """Plan the runs stage by stage.

    Args:
        runs: All of them.
        after: Run to the number of stages that come before it; a run that is not there is of the first stage.
        now_s: When the first stage begins.
        make: Plans the runs of one stage, from a moment on.

    Returns:
        What was made of each stage; one even if there are no runs.
    """
    stages: dict[int, list[Workload]] = defaultdict(list)
    for run in runs:
        stages[after.get(run.run_id, 0)].append(run)
    made: list[E] = []
    for number in sorted(stages) or [0]:
        made.append(make(stages[number], now_s))
        now_s = max(now_s, made[-1].end_s or now_s)
    return made


def joined_plans(plans: Iterable[Plan]) -> Plan:
    """All stages as one plan."""
    made = list(plans)
    batches = sorted((batch for plan in made for batch in plan.batches), key=lambda one: (one.start_s, one.host, one.index))
    return Plan(tuple(batches), {run_id: why for plan in made for run_id, why in plan.waiting.items()})


def joined_baselines(baselines: Iterable[Baseline]) -> Baseline:
    """All stages as one."""
    made = list(baselines)
    return Baseline(made[0].name, sum(one.gpu_seconds for one in made), max(one.end_s for one in made))
