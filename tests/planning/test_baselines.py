"""The rules that plans are compared with: a container for each run, and the predecessor's batches."""

import math

import pytest
from hypothesis import given

from cosmos_ops.planning import PUBLISHED, Goal, ModelFiles, PlanOptions, SampleSize, one_by_one, plan, predecessor
from cosmos_ops.planning.baselines import by_arrival, predecessor_batches
from tests.planning.samples import a_signature, a_slot, a_workload
from tests.planning.strategies import NOW_S, queues, slots, some

COSTS = PUBLISHED.of("transfer25", "H100")
SAMPLE_S = COSTS.sample_s(a_workload().size)
COLD_S, WARM_S = COSTS.load_s(1, is_warm=False), COSTS.load_s(1, is_warm=True)


def lengths(batches):
    return [len(batch) for batch in batches]


def test_a_container_for_each_run_loads_for_each_run():
    made = one_by_one([a_workload() for _ in range(3)], [a_slot()], PUBLISHED, now_s=NOW_S)

    assert math.isclose(made.gpu_seconds, COLD_S + 2 * WARM_S + 3 * SAMPLE_S)
    assert math.isclose(made.end_s, NOW_S + made.gpu_seconds)


def test_the_first_to_come_gets_the_slot_that_is_free_first():
    on = [a_slot(index=0, free_at_s=NOW_S + 10), a_slot(index=1, warm=frozenset({ModelFiles("transfer25", ("edge",))}))]

    made = one_by_one([a_workload() for _ in range(2)], on, PUBLISHED, now_s=NOW_S)

    assert math.isclose(made.end_s, NOW_S + 10 + COLD_S + SAMPLE_S)
    assert math.isclose(made.gpu_seconds, COLD_S + WARM_S + 2 * SAMPLE_S)


def test_a_slot_of_several_gpus_counts_all_of_them():
    one, four = (one_by_one([a_workload()], [a_slot(gpu_count=n)], PUBLISHED, now_s=NOW_S) for n in (1, 4))

    assert math.isclose(four.gpu_seconds, 4 * one.gpu_seconds)


@pytest.mark.parametrize(
    ("controls", "sizes", "found"),
    [
        (("edge",), (8, 4, 2), [8, 8, 1]),
        (("edge", "vis"), (8, 4, 2), [4, 4, 4, 4, 1]),
        (("edge", "vis", "depth", "seg"), (8, 4, 2), [2] * 8 + [1]),
        (("edge",), (4,), [4, 4, 4, 4, 1]),
    ],
)
def test_the_predecessor_cut_by_the_number_of_controls(controls, sizes, found):
    queue = [a_workload(a_signature(*controls)) for _ in range(17)]

    assert lengths(predecessor_batches(queue, lambda run: run.signature, sizes)) == found


def test_the_predecessor_put_only_equal_settings_together():
    queue = [a_workload(queued_at_s=-number) for number in range(6)]
    seeds = {run.run_id: number % 2 for number, run in enumerate(queue)}

    batches = predecessor_batches(by_arrival(queue), lambda run: seeds[run.run_id])
    together = predecessor(queue, [a_slot()], PUBLISHED, now_s=NOW_S, settings_of=lambda run: run.signature)
    apart = predecessor(queue, [a_slot()], PUBLISHED, now_s=NOW_S, settings_of=lambda run: seeds[run.run_id])

    assert lengths(batches) == [3, 3]
    assert batches[0] == [queue[5], queue[3], queue[1]]
    assert math.isclose(apart.gpu_seconds - together.gpu_seconds, WARM_S)


def test_what_cannot_run_in_one_place_is_not_one_batch():
    queue = [a_workload(host=host) for host in "abab"]

    made = predecessor(queue, [a_slot("a"), a_slot("b")], PUBLISHED, now_s=NOW_S, settings_of=lambda run: run.signature)

    assert math.isclose(made.gpu_seconds, 2 * COLD_S + 4 * SAMPLE_S)
    assert math.isclose(made.end_s, NOW_S + COLD_S + 2 * SAMPLE_S)


@some
@given(queues, slots)
def test_what_no_slot_can_take_is_left_out_as_in_the_plan(queue, on):
    waiting = plan(queue, on, PUBLISHED, now_s=NOW_S).waiting
    placed = [run for run in queue if run.run_id not in waiting]

    for rule in (one_by_one, lambda *rest, **values: predecessor(*rest, settings_of=lambda run: run.host, **values)):
        made = rule(queue, on, PUBLISHED, now_s=NOW_S)
        assert made == rule(placed, on, PUBLISHED, now_s=NOW_S)
        assert (made.gpu_seconds > 0) is bool(placed)


def test_a_plan_takes_fewer_gpu_seconds_than_either():
    queue = [a_workload(size=SampleSize(93, 1, 4, 1, 1)) for _ in range(40)]
    on = [a_slot(index=n) for n in range(2)]
    made = plan(queue, on, PUBLISHED, now_s=NOW_S, options=PlanOptions(goal=Goal.GPU_SECONDS)).gpu_seconds

    theirs = predecessor(queue, on, PUBLISHED, now_s=NOW_S, settings_of=lambda run: run.signature).gpu_seconds

    assert made < theirs < one_by_one(queue, on, PUBLISHED, now_s=NOW_S).gpu_seconds
