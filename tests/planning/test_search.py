"""Few runs: every way to spread them is looked at, and the plan is next to the optimum, which another program finds."""

import random

import pytest

from cosmos_ops.planning import PUBLISHED, Goal, PlanOptions, plan
from cosmos_ops.planning.groups import Group
from cosmos_ops.planning.search import EFFORT_MAX, effort
from cosmos_ops.sizes import SampleSize
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
    ("seconds", "controls", "lanes", "ways"),
    [
        ([5.0], "e", 3, 3),
        ([5.0, 5.0], "ee", 3, 6),
        ([5.0, 5.0], "ev", 3, 9),
        ([5.0, 4.0], "ee", 3, 9),
        ([1.0] * 4, "eeee", 2, 5),
    ],
)
def test_the_ways_are_counted(seconds, controls, lanes, ways):
    runs = tuple(a_workload(a_signature({"e": "edge", "v": "vis"}[name])) for name in controls)
    group = Group(None, tuple(range(lanes)), runs, {"H100": seconds}, {"H100": sums(seconds)}, "H100", is_widened=False)

    assert effort([group]) == ways * len(runs) ** 2
    assert effort([group, group]) == ways**2 * (2 * len(runs)) ** 2


def sums(seconds):
    return [sum(seconds[:end]) for end in range(len(seconds) + 1)]


def test_twins_among_runs_and_slots_do_not_multiply_the_ways():
    """24 equal runs of one signature on 4 equal slots: even with every way looked at, one load on each is found at once."""
    queue = [a_workload(a_signature(), size=SIZE) for _ in range(24)]
    made = plan(queue, [a_slot(index=place) for place in range(4)], PUBLISHED, now_s=0.0, options=PlanOptions(goal=Goal.MAKESPAN))

    assert sorted(len(batch.run_ids) for batch in made.batches) == [6, 6, 6, 6]


def test_among_equally_early_ends_the_fewest_gpu_seconds_count():
    """One long run and four short ones on three slots: two batches do what three would."""
    long, short = SampleSize(93, 10, 35, 2, 1), SampleSize(93, 1, 4, 2, 1)
    queue = [a_workload(a_signature(), size=long), *(a_workload(a_signature("vis"), size=short) for _ in range(4))]
    made = plan(queue, [a_slot(index=place) for place in range(3)], PUBLISHED, now_s=0.0, options=PlanOptions(goal=Goal.MAKESPAN))

    assert sorted(len(batch.run_ids) for batch in made.batches) == [1, 4]


def test_a_long_queue_is_not_searched_in_every_way():
    """So few kinds have few ways, but each takes long to look at."""
    kinds = [a_signature("edge"), a_signature("vis")]
    queue = [a_workload(kinds[number % 2]) for number in range(120)]
    groups = [
        Group(None, (0, 1), tuple(queue[kind::2]), {"H100": [1.0] * 60}, {"H100": sums([1.0] * 60)}, "H100", False)
        for kind in (0, 1)
    ]

    assert effort(groups) > EFFORT_MAX
