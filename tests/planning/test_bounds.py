"""The lower bound of a makespan: nothing is done before, and in simple cases it is what can be reached."""

import math
from dataclasses import replace

import pytest
from hypothesis import given

from cosmos_ops.planning import PUBLISHED, Goal, ModelFiles, PlanOptions, makespan_bound, one_by_one, plan
from tests.planning.samples import a_signature, a_slot, a_workload
from tests.planning.strategies import HOUR_S, NOW_S, options, queues, slots, some

COSTS = PUBLISHED.of("transfer25", "H100")
SAMPLE_S = COSTS.sample_s(a_workload().size)
COLD_S, WARM_S = COSTS.load_s(1, is_warm=False), COSTS.load_s(1, is_warm=True)


def bound(queue, on):
    return makespan_bound(queue, on, PUBLISHED, NOW_S)


@some
@given(queues, slots, options)
def test_no_plan_is_done_before(queue, on, how):
    for goal in (how.goal, Goal.MAKESPAN):
        made = plan(queue, on, PUBLISHED, now_s=NOW_S, options=replace(how, goal=goal))
        if made.batches:
            assert made.end_s - NOW_S >= bound(queue, on) - 1e-6
        else:
            assert bound(queue, on) == 0


@some
@given(queues, slots)
def test_neither_is_any_other_rule(queue, on):
    assert one_by_one(queue, on, PUBLISHED, now_s=NOW_S).end_s - NOW_S >= bound(queue, on) - 1e-6


@some
@given(queues, slots)
def test_the_order_of_the_input_does_not_matter(queue, on):
    assert math.isclose(bound(queue[::-1], on[::-1]), bound(queue, on), rel_tol=1e-12)


@pytest.mark.parametrize(
    ("queue", "on", "seconds"),
    [
        ([], [a_slot()], 0.0),
        ([a_workload()], [], 0.0),
        ([a_workload()], [a_slot(), a_slot("b")], COLD_S + SAMPLE_S),
        ([a_workload()] * 4, [a_slot(), a_slot("b")], COLD_S + 2 * SAMPLE_S),
        ([a_workload()] * 3, [a_slot(), a_slot("b")], COLD_S + 2 * SAMPLE_S),
        ([a_workload()] * 7, [a_slot(), a_slot("b"), a_slot("c")], COLD_S + 3 * SAMPLE_S),
        ([a_workload()] * 4, [a_slot(), a_slot("b", free_at_s=NOW_S + 9 * HOUR_S)], COLD_S + 4 * SAMPLE_S),
        ([a_workload()], [a_slot(warm=frozenset({ModelFiles("transfer25", ("edge",))}))], WARM_S + SAMPLE_S),
        ([a_workload(), a_workload(a_signature("vis"))], [a_slot()], 2 * COLD_S + 2 * SAMPLE_S),
        ([a_workload(), a_workload(a_signature(process=(("seed", 2),)))], [a_slot()], COLD_S + WARM_S + 2 * SAMPLE_S),
        ([a_workload(is_alone=True)] * 3, [a_slot()], COLD_S + 2 * WARM_S + 3 * SAMPLE_S),
        ([a_workload(host="b")] * 4, [a_slot(), a_slot("b")], COLD_S + 4 * SAMPLE_S),
    ],
)
def test_in_simple_cases_the_plan_reaches_it(queue, on, seconds):
    queue = [replace(run, run_id=f"rs_{place}") for place, run in enumerate(queue)]
    made = plan(queue, on, PUBLISHED, now_s=NOW_S, options=PlanOptions(goal=Goal.MAKESPAN, batch_seconds_max=100 * HOUR_S))

    assert math.isclose(bound(queue, on), seconds)
    assert math.isclose((made.end_s or NOW_S) - NOW_S, seconds)


def test_what_may_be_mixed_can_do_with_one_load():
    queue = [a_workload(a_signature(control, family="transfer1"), is_widenable=True) for control in ("edge", "vis")]
    costs = PUBLISHED.of("transfer1", "H100")

    assert math.isclose(bound(queue, [a_slot()]), costs.load_s(1, is_warm=False) + 2 * costs.sample_s(queue[0].size))


def test_many_runs_are_bounded_closely():
    queue = [a_workload(a_signature(process=(("num_steps", number % 5),))) for number in range(200)]
    on = [a_slot(index=number) for number in range(4)]

    made = plan(queue, on, PUBLISHED, now_s=NOW_S)

    assert bound(queue, on) <= made.end_s - NOW_S <= 1.05 * bound(queue, on)
