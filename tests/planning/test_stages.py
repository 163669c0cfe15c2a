"""Stages are planned one after the other."""

from hypothesis import given
from hypothesis import strategies as st

from cosmos_ops.planning import PUBLISHED, Plan, one_by_one, plan
from cosmos_ops.planning.stages import in_stages, joined_baselines, joined_plans
from tests.planning.samples import a_signature, a_slot, a_workload
from tests.planning.strategies import NOW_S, options, queues, slots, some


def by_stage(queue, on, after, how=None):
    values = {} if how is None else {"options": how}
    return in_stages(queue, after, NOW_S, lambda runs, now_s: plan(runs, on, PUBLISHED, now_s=now_s, **values))


@some
@given(queues, slots, options, st.data())
def test_a_stage_begins_when_the_one_before_is_done_and_every_run_is_planned_once(queue, on, how, data):
    after = {run.run_id: data.draw(st.integers(0, 2)) for run in queue}

    made = joined_plans(by_stage(queue, on, after, how))

    planned = [run_id for batch in made.batches for run_id in batch.run_ids]
    assert sorted([*planned, *made.waiting]) == sorted(run.run_id for run in queue)
    assert list(made.batches) == sorted(made.batches, key=lambda batch: (batch.start_s, batch.host, batch.index))
    ends = [max((batch.end_s for batch in made.batches if after[batch.run_ids[0]] == stage), default=NOW_S) for stage in range(3)]
    for batch in made.batches:
        (stage,) = {after[run_id] for run_id in batch.run_ids}
        assert batch.start_s >= max(ends[:stage], default=NOW_S)


@some
@given(queues, slots)
def test_one_stage_is_planned_as_if_there_were_none(queue, on):
    assert joined_plans(by_stage(queue, on, {})) == plan(queue, on, PUBLISHED, now_s=NOW_S)


def test_without_runs_there_is_an_empty_plan():
    assert joined_plans(by_stage([], [a_slot()], {})) == Plan(())


def test_what_a_plan_is_compared_with_is_done_in_stages_too():
    first, second = a_workload(a_signature("edge")), a_workload(a_signature("vis"))
    on = [a_slot(index=0), a_slot(index=1)]

    def rule(runs, now_s):
        return one_by_one(runs, on, PUBLISHED, now_s=now_s)

    alone = [rule([run], NOW_S) for run in (first, second)]
    joined = joined_baselines(in_stages([first, second], {second.run_id: 1}, NOW_S, rule))

    assert joined.name == "one container per run"
    assert joined.gpu_seconds == sum(one.gpu_seconds for one in alone)
    assert joined.end_s - NOW_S == sum(one.end_s - NOW_S for one in alone)
