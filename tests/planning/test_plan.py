"""The plan: every run once, nothing forbidden, nobody starves, and the same plan whatever the order of the input."""

import math
import random
from collections import defaultdict
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_ops.planning import PUBLISHED, Goal, Mixing, ModelFiles, PlanOptions, SampleSize, plan
from tests.planning.samples import DECLARED, a_signature, a_slot, a_workload
from tests.planning.strategies import HOUR_S, NOW_S, options, queues, slots, some


def planned(queue, on, how=None):
    return plan(queue, on, PUBLISHED, now_s=NOW_S, options=how or PlanOptions())


def lanes(made):
    """Batches of each slot by their start."""
    found = defaultdict(list)
    for batch in made.batches:
        found[batch.host, batch.index].append(batch)
    return found


def ends(made):
    """Slot and expected end of each run."""
    return {
        run_id: (batch.host, batch.index, end_s)
        for batch in made.batches
        for run_id, end_s in zip(batch.run_ids, batch.ends_s, strict=True)
    }


def can_take(slot, run):
    family = run.signature.family
    is_there = run.host in ("", slot.host) and family in slot.families
    has_files = not any((family, mode) in slot.lacking for mode in run.modes)
    return is_there and has_files and slot.gpu_count >= run.gpu_count and slot.memory_gb >= run.memory_gb


@some
@given(queues, slots, options)
def test_every_run_is_in_exactly_one_batch_or_waits_for_a_reason(queue, on, how):
    made = planned(queue, on, how)

    found = [run_id for batch in made.batches for run_id in batch.run_ids] + list(made.waiting)
    assert sorted(found) == sorted(run.run_id for run in queue)
    impossible = {run.run_id for run in queue if not any(can_take(slot, run) for slot in on)}
    assert set(made.waiting) == impossible
    assert all(made.waiting.values())


@some
@given(queues, slots, options)
def test_no_batch_mixes_what_may_not_be_mixed(queue, on, how):
    runs = {run.run_id: run for run in queue}
    for batch in planned(queue, on, how).batches:
        members = [runs[run_id] for run_id in batch.run_ids]
        assert len({run.gpu_count for run in members}) == 1
        assert {replace(run.signature, controls=()) for run in members} == {replace(batch.signature, controls=())}
        assert len(members) == 1 or not any(run.is_alone for run in members)
        for run in members:
            if run.signature != batch.signature:
                assert run.is_widenable
                assert how.mixing is not Mixing.STRICT
                assert set(run.signature.controls) < set(batch.signature.controls)
        controls = {control for run in members for control in run.signature.controls}
        # A process is given its controls in the order in which the family declares them.
        declared = DECLARED.get(batch.signature.family, batch.signature.controls)
        assert batch.signature.controls == tuple(control for control in declared if control in controls)


@some
@given(queues, slots, options)
def test_slots_take_what_they_can_and_one_batch_at_a_time(queue, on, how):
    runs = {run.run_id: run for run in queue}
    known = {(slot.host, slot.index): slot for slot in on}
    for place, batches in lanes(planned(queue, on, how)).items():
        free_s = max(NOW_S, known[place].free_at_s)
        for batch in batches:
            for run in (runs[run_id] for run_id in batch.run_ids):
                assert can_take(known[place], run)
                more = len(batch.signature.controls) - len(run.signature.controls)
                assert run.memory_gb + more * run.memory_per_part_gb <= known[place].memory_gb
            assert batch.start_s >= free_s
            assert sorted(batch.ends_s) == list(batch.ends_s)
            assert batch.ends_s[0] > batch.start_s + batch.load_s
            free_s = batch.end_s


@some
@given(queues, slots, options)
def test_the_limits_of_a_batch_hold(queue, on, how):
    for batch in planned(queue, on, how).batches:
        assert 1 <= len(batch.run_ids) <= how.batch_runs_max
        # A run that takes longer goes alone.
        assert len(batch.run_ids) == 1 or batch.end_s - batch.start_s <= how.batch_seconds_max + 0.001


@some
@given(queues, slots, options, st.randoms(use_true_random=False))
def test_the_order_of_the_input_changes_nothing(queue, on, how, chance):
    made = planned(queue, on, how)
    shuffled_queue, shuffled_slots = chance.sample(queue, len(queue)), chance.sample(on, len(on))

    assert planned(queue, on, how) == made
    assert planned(shuffled_queue, shuffled_slots, how) == made


@some
@given(queues, slots, options)
def test_runs_are_not_delayed_by_runs_of_lower_levels(queue, on, how):
    everything = ends(planned(queue, on, how))
    for level in {how.level(run, NOW_S) for run in queue}:
        upper = ends(planned([run for run in queue if how.level(run, NOW_S) >= level], on, how))
        assert {run_id: everything[run_id] for run_id in upper} == upper


@given(st.integers(-3, 3), st.integers(-3, 3), st.floats(0, 30 * HOUR_S), st.floats(0, 90 * HOUR_S), st.floats(60.0, 9 * HOUR_S))
def test_a_run_is_overtaken_only_by_what_comes_soon_after_it(priority, other, later_s, looked_at_s, aging_s):
    how = PlanOptions(aging_s=aging_s)
    waiting = a_workload(priority=priority, queued_at_s=0.0)
    newcomer = a_workload(priority=other, queued_at_s=later_s)
    now_s = later_s + looked_at_s

    if later_s >= (other - priority + 1) * aging_s * 1.000001:
        assert how.level(waiting, now_s) > how.level(newcomer, now_s)


def test_what_has_waited_for_long_goes_before_all_of_its_priority():
    old = [a_workload(a_signature("vis"), queued_at_s=NOW_S - 7 * HOUR_S) for _ in range(2)]
    new = [a_workload(a_signature("edge"), queued_at_s=NOW_S - 60) for _ in range(20)]

    made = planned([*new, *old], [a_slot()])

    assert [batch.signature.controls for batch in made.batches] == [("vis",), ("edge",)]


def test_nobody_starves_while_better_work_keeps_coming():
    left_s = NOW_S
    slot = a_slot()
    old = a_workload(a_signature("vis"), priority=0, queued_at_s=NOW_S)
    how = PlanOptions(aging_s=HOUR_S)
    bound_s = NOW_S + 3 * HOUR_S + how.batch_seconds_max
    while left_s < bound_s:
        urgent = [a_workload(a_signature("edge"), priority=2, queued_at_s=left_s) for _ in range(30)]
        first = plan([old, *urgent], [slot], PUBLISHED, now_s=left_s, options=how).batches[0]
        if old.run_id in first.run_ids:
            break
        left_s = first.end_s
    assert left_s < bound_s


def test_a_batch_takes_the_shortest_first():
    queue = [a_workload(size=SampleSize(93, chunks, 35, 2, 1)) for chunks in (3, 1, 2)]

    (batch,) = planned(queue, [a_slot()]).batches

    assert batch.run_ids == tuple(queue[place].run_id for place in (1, 2, 0))


def test_runs_of_a_lower_level_join_the_last_batch_of_a_slot_without_a_load():
    urgent = [a_workload(priority=1) for _ in range(2)]
    rest = [a_workload() for _ in range(3)]

    (batch,) = planned([*rest, *urgent], [a_slot()]).batches

    assert batch.run_ids == tuple(run.run_id for run in [*urgent, *rest])


@pytest.mark.parametrize(("goal", "batch_count"), [(Goal.GPU_SECONDS, 1), (Goal.BALANCED, 4), (Goal.MAKESPAN, 4)])
def test_one_signature_is_split_where_that_is_worth_the_loads(goal, batch_count):
    made = planned([a_workload() for _ in range(16)], [a_slot(index=n) for n in range(4)], PlanOptions(goal=goal))

    assert len(made.batches) == batch_count


def test_a_split_that_saves_less_than_its_load_costs_is_not_made():
    queue = [a_workload(size=SampleSize(93, 1, 4, 1, 1)) for _ in range(3)]
    on = [a_slot(index=n) for n in range(2)]

    assert len(planned(queue, on).batches) == 1
    assert len(planned(queue, on, PlanOptions(goal=Goal.MAKESPAN)).batches) == 2


def test_a_slot_that_is_busy_for_long_gets_nothing_that_another_one_does_sooner():
    on = [a_slot("a", free_at_s=NOW_S + 50 * HOUR_S), a_slot("b")]

    assert {batch.host for batch in planned([a_workload() for _ in range(8)], on).batches} == {"b"}


def test_a_batch_goes_where_its_files_are_warm():
    warm = frozenset({ModelFiles("transfer25", ("edge",))})
    on = [a_slot("a"), a_slot("b", warm=warm)]

    (batch,) = planned([a_workload()], on).batches

    assert (batch.host, batch.load_s) == ("b", PUBLISHED.of("transfer25", "H100").load_s(1, is_warm=True))


def test_the_second_batch_of_the_same_files_on_a_slot_is_warm():
    queue = [a_workload(a_signature(process=(("seed", seed),))) for seed in (1, 2)]

    cold, warm = planned(queue, [a_slot()], PlanOptions(goal=Goal.GPU_SECONDS)).batches

    assert warm.load_s < cold.load_s


def mixable(*, steps):
    size = SampleSize(121, 1, steps, 2, 1)
    return [a_workload(a_signature(control, family="transfer1"), size=size, is_widenable=True) for control in ("edge", "vis")]


@pytest.mark.parametrize(
    ("mixing", "goal", "steps", "slot_count", "batch_count"),
    [
        (Mixing.STRICT, Goal.MAKESPAN, 4, 1, 2),
        (Mixing.MIXED, Goal.MAKESPAN, 4, 1, 1),
        (Mixing.AUTOMATIC, Goal.MAKESPAN, 4, 1, 1),
        (Mixing.MIXED, Goal.MAKESPAN, 100, 1, 2),
        (Mixing.AUTOMATIC, Goal.GPU_SECONDS, 4, 2, 1),
        (Mixing.AUTOMATIC, Goal.MAKESPAN, 4, 2, 2),
    ],
)
def test_controls_are_mixed_where_that_pays(mixing, goal, steps, slot_count, batch_count):
    on = [a_slot(index=n) for n in range(slot_count)]

    made = planned(mixable(steps=steps), on, PlanOptions(goal=goal, mixing=mixing))

    assert len(made.batches) == batch_count
    widest = max(len(batch.signature.controls) for batch in made.batches)
    assert widest == (2 if batch_count == 1 else 1)


def test_a_run_that_must_not_be_widened_is_not():
    queue = [replace(run, is_widenable=False) for run in mixable(steps=4)]

    assert len(planned(queue, [a_slot()], PlanOptions(mixing=Mixing.MIXED)).batches) == 2


def test_controls_are_not_mixed_where_the_memory_is_too_small_for_both():
    queue = [replace(run, memory_gb=60.0, memory_per_part_gb=10.0) for run in mixable(steps=4)]

    small, large = (planned(queue, [a_slot(memory_gb=memory_gb)]).batches for memory_gb in (69.0, 70.0))

    assert [batch.signature.controls for batch in small] == [("edge",), ("vis",)]
    assert [batch.signature.controls for batch in large] == [("vis", "edge")]


def test_controls_are_mixed_only_where_one_host_has_the_files_of_both():
    queue = [replace(run, modes=run.signature.controls) for run in mixable(steps=4)]
    lacking = frozenset({("transfer1", "vis")})

    apart = planned(queue, [a_slot("a", lacking=lacking), a_slot("b", lacking=frozenset({("transfer1", "edge")}))]).batches
    mixed = planned(queue, [a_slot("a", lacking=lacking), a_slot("b")], PlanOptions(goal=Goal.GPU_SECONDS)).batches

    assert {batch.host: batch.signature.controls for batch in apart} == {"a": ("edge",), "b": ("vis",)}
    assert [(batch.host, batch.signature.controls) for batch in mixed] == [("b", ("vis", "edge"))]


def test_a_run_that_may_break_its_process_shares_it_with_nobody():
    suspects = [a_workload(is_alone=True) for _ in range(2)]
    urgent = a_workload(is_alone=True, priority=1)

    made = planned([*(a_workload() for _ in range(3)), *suspects, urgent], [a_slot()])

    assert sorted(len(batch.run_ids) for batch in made.batches) == [1, 1, 1, 3]
    assert made.batches[0].run_ids == (urgent.run_id,)


def test_a_run_goes_to_its_host_though_another_one_is_free():
    on = [a_slot("a"), a_slot("b", free_at_s=NOW_S + HOUR_S)]

    assert [batch.host for batch in planned([a_workload(host="b")], on).batches] == ["b"]


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (a_workload(a_signature(family="preview")), "no host has the image of preview; set one up with `cosmos host setup HOST`"),
        (a_workload(a_signature(family="preview"), host="b"), "b does not have the image of preview"),
        (a_workload(gpu_count=8), "8 GPUs"),
        (a_workload(memory_gb=141.0), "141 GB"),
        (a_workload(host="nowhere"), "no GPU slot of the host nowhere"),
        (a_workload(modes=("always", "mask"), host="a"), "the host a lacks model files of transfer25"),
        (a_workload(modes=("mask", "depth")), "`cosmos checkpoints download b --family transfer25 --mode mask`"),
        (a_workload(modes=("mask", "depth"), memory_gb=100.0), "download a --family transfer25 --mode mask --mode depth`"),
    ],
)
def test_a_run_that_no_slot_can_take_says_why(run, reason):
    mask, depth = ("transfer25", "mask"), ("transfer25", "depth")
    on = [a_slot("a", memory_gb=120.0, lacking=frozenset({mask, depth})), a_slot("b", lacking=frozenset({mask}))]

    made = planned([run], on)

    assert made.batches == ()
    assert reason in made.waiting[run.run_id]


def test_without_slots_every_run_waits():
    queue = [a_workload(), a_workload(host="a")]

    made = planned(queue, [])

    assert made.batches == ()
    assert list(made.waiting) == [run.run_id for run in queue]


def test_nothing_to_do_is_an_empty_plan():
    made = planned([], [a_slot()])

    assert (made.batches, made.end_s, made.gpu_seconds) == ((), None, 0)


def test_many_runs_are_spread_evenly():
    chance = random.Random(1)
    queue = [
        a_workload(a_signature(process=(("num_steps", n % 16),)), size=SampleSize(93, chance.randint(1, 3), 35, 2, 1))
        for n in range(2000)
    ]
    made = planned(queue, [a_slot(index=n) for n in range(8)])

    last_s = [batches[-1].end_s - NOW_S for batches in lanes(made).values()]
    samples_s = sum(PUBLISHED.of("transfer25", "H100").sample_s(run.size) for run in queue)
    assert math.isclose(min(last_s), max(last_s), rel_tol=0.02)
    assert max(last_s) <= 1.03 * samples_s / 8


def test_a_batch_that_finds_its_files_cold_in_the_end_is_no_longer_than_it_may_be():
    """The batch with the oldest run goes first, whichever was filled first."""
    sizes = [SampleSize(93, 1, 4, 2.0, 1), SampleSize(93, 4, 35, 2.0, 1), SampleSize(93, 4, 35, 2.0, 1)]
    queue = [
        a_workload(a_signature("edge", family="transfer1"), size=size, queued_at_s=NOW_S - 60.0, priority=1) for size in sizes
    ]
    how = PlanOptions(mixing=Mixing.STRICT, batch_seconds_max=900.0, batch_runs_max=3)

    for batch in plan(queue, [a_slot(gpu_type="B200")], PUBLISHED, now_s=NOW_S, options=how).batches:
        assert len(batch.run_ids) == 1 or batch.end_s - batch.start_s <= 900.0
