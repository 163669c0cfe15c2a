"""Few runs: every way to spread them is looked at, and the plan is next to the optimum, which another program finds."""

import random

import pytest

from cosmos_ops.planning import PUBLISHED, Goal, PlanOptions, plan
from cosmos_ops.planning.groups import Group
from cosmos_ops.planning.search import way_count
from tests.bench import exact
from tests.bench.plans import NEAR_GPU, NEAR_MAKESPAN, planned
from tests.planning.samples import SIZE, a_signature, a_slot, a_workload


@pytest.mark.parametrize("seed", range(40))
def test_small_queues_are_planned_as_well_as_can_be(seed):
    case = exact.random_case(random.Random(seed))

    gpu_s = planned(case, Goal.GPU_SECONDS).gpu_seconds
    end_s = planned(case, Goal.MAKESPAN).end_s or 0.0

    assert gpu_s <= NEAR_GPU * exact.fewest_gpu_seconds(case, gpu_s)
    assert exact.bound(case) - 1e-6 <= exact.shortest_makespan(case, end_s)
    assert end_s <= NEAR_MAKESPAN * exact.shortest_makespan(case, end_s)


def test_one_run_of_several_may_be_mixed_with_others():
    """Whole groups cannot be put together here: only one of the two with fewer controls does well to have more."""
    case = exact.random_case(random.Random(78))

    end_s = planned(case, Goal.MAKESPAN).end_s

    assert end_s <= 1.02 * exact.shortest_makespan(case, end_s)


@pytest.mark.parametrize(
    ("seconds", "lanes", "count"), [([5.0], 3, 3), ([5.0, 5.0], 3, 6), ([5.0, 4.0], 3, 9), ([1.0] * 4, 2, 5)]
)
def test_the_ways_are_counted(seconds, lanes, count):
    group = Group(None, tuple(range(lanes)), tuple(seconds), {"H100": seconds}, {"H100": sums(seconds)}, "H100", is_widened=False)

    assert way_count([group]) == count
    assert way_count([group, group]) == count**2


def sums(seconds):
    return [sum(seconds[:end]) for end in range(len(seconds) + 1)]


def test_twins_among_runs_and_slots_do_not_multiply_the_ways():
    """24 equal runs of one signature on 4 equal slots: even with every way looked at, one load on each is found at once."""
    queue = [a_workload(a_signature(), size=SIZE) for _ in range(24)]
    made = plan(queue, [a_slot(index=place) for place in range(4)], PUBLISHED, now_s=0.0, options=PlanOptions(goal=Goal.MAKESPAN))

    assert sorted(len(batch.run_ids) for batch in made.batches) == [6, 6, 6, 6]
