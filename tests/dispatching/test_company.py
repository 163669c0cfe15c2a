"""What waits for company, for whom, and for how long."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from cosmos_ops.dispatching.assignments import Assignment, Lanes
from cosmos_ops.dispatching.company import Company, Heir, heirs_of
from cosmos_ops.dispatching.prospect import Prospect
from cosmos_ops.errors import StoreUnreachableError
from cosmos_ops.intake import completed
from cosmos_ops.names import new_id
from cosmos_ops.operations import find_operation
from cosmos_ops.planning import CostModel, ModelFiles, PlannedBatch, PlanOptions, Slot, plan
from cosmos_ops.planning.costs import Coefficients
from cosmos_ops.planning.signature import signature_of
from cosmos_ops.planning.workloads_of_runs import workload_of
from cosmos_ops.runs import VIDEO, NextStage, Prompt, Queueing, RunStatus
from cosmos_ops.sizes import Needs, SampleSize
from cosmos_ops.timekeeping import utc_now
from cosmos_ops.timing import JobTiming, SampleTiming
from tests.builders import a_run, only, opened_store

WARM_LOAD_S, SAMPLE_S = 40.0, 100.0
COSTS = CostModel({("preview", "H100"): Coefficients(start_s=0.0, load_base_s=100.0, warm_share=0.4, frame_s=SAMPLE_S)})
NEEDS = Needs(SampleSize(frames=1))
HERE = ("gpu-a", 0)
OTHER = ("gpu-a", 1)


@dataclass
class World:
    """A queue, lanes with jobs at work, and a clock that is set by hand."""

    store: object
    options: PlanOptions = field(default_factory=PlanOptions)
    now_s: float = 1000.0
    ready: list = field(default_factory=list)

    def __post_init__(self):
        self.lanes = Lanes()
        self.company = Company(self.store, self.lanes, self.options, clock=lambda: self.now_s)

    def run(self, *, then=(), host="auto", **values):
        prompt = self.store.add_prompt(Prompt("a street"))
        stages = tuple(NextStage("inference", "preview", params.model_dump(mode="json")) for params in then)
        queueing = Queueing(NEEDS, host=host, then=stages)
        return self.store.add_run(a_run(prompt_id=prompt.id, request_key=new_id("rq"), queueing=queueing, **values))

    def waits(self, params=None, **values):
        """A run that could be begun now."""
        self.ready.append(self.run(params=params or only("edge"), **values))
        return self.ready[-1]

    def at_work(self, *runs, place=OTHER, done_in_s=None):
        """A job whose samples are done after these seconds, as far as anybody knows."""
        samples = tuple(SampleTiming(run.id, NEEDS.size, done_in_s) for run in runs)
        started_at = None if done_in_s is None else utc_now()
        timing = JobTiming("preview", (), 0, samples, predicted_load_s=0.0, started_at=started_at)
        follower = SimpleNamespace(times=SimpleNamespace(timing=timing), lost_for_s=0.0)
        assignment = Assignment(place, tuple(run.id for run in runs), job=SimpleNamespace(id=new_id("jb")), follower=follower)
        self.lanes.add(assignment)
        return assignment

    def begun(self, *places, slot_count=1):
        """The runs of what each of these lanes begins."""
        places = places or (HERE,)
        self.company.look()
        slots = [
            Slot("gpu-a", index, "H100", frozenset({"preview"}), warm=frozenset({ModelFiles("preview", ("edge",))}))
            for index in range(slot_count)
        ]
        runs = [workload_of(run) for run in self.ready]
        now_s = utc_now().timestamp()
        made = plan(runs, slots, COSTS, now_s=now_s, options=self.options)
        found = self.company.begin_on(places, Prospect(made, runs, slots, COSTS, {}, now_s))
        return {place: set(batch.run_ids) for place, batch in found.items()}


@pytest.fixture
def world(store):
    return World(store)


@pytest.fixture
def store(home):
    with opened_store() as found:
        yield found


def test_a_slot_waits_for_runs_of_the_same_kind_that_are_about_to_come(world):
    run = world.waits()
    parent = world.run(then=[only("edge")])
    world.at_work(parent, done_in_s=20)

    assert world.begun() == {}
    assert world.company.waiting == {HERE}

    world.store.finish(parent.id, RunStatus.COMPLETED)
    heir = world.waits()
    assert world.begun() == {HERE: {run.id, heir.id}}
    assert not world.company.waiting


def test_what_is_being_brought_home_is_waited_for_whatever_was_expected_of_it(world):
    world.waits()
    at_work = world.at_work(world.run(then=[only("edge")]))
    assert set(world.begun()) == {HERE}

    at_work.is_computed = True
    assert world.begun() == {}


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.CANCELLED])
def test_a_run_that_ended_without_a_result_is_not_waited_for(world, status):
    run, parent = world.waits(), world.run(then=[only("edge")])
    world.at_work(parent, done_in_s=20)
    world.store.finish(parent.id, status)

    assert world.begun() == {HERE: {run.id}}


@pytest.mark.parametrize(
    ("values", "done_in_s"),
    [
        pytest.param({"then": [only("edge")]}, WARM_LOAD_S + 1, id="it comes later than a load takes"),
        pytest.param({"then": [only("edge")]}, None, id="nobody knows when it comes"),
        pytest.param({"then": [only("vis")]}, 20, id="it is of another kind"),
        pytest.param({"then": [only("edge")], "host": "gpu-b"}, 20, id="it goes to another host"),
        pytest.param({"then": [only("edge")], "priority": -1}, 20, id="it is less urgent"),
        pytest.param({}, 20, id="nothing follows"),
    ],
)
def test_a_slot_does_not_wait_for_what_does_not_help(world, values, done_in_s):
    run = world.waits()
    world.at_work(world.run(**values), done_in_s=done_in_s)

    assert world.begun() == {HERE: {run.id}}


def test_a_slot_waits_no_longer_than_a_load_takes(world):
    run = world.waits()
    world.at_work(world.run(then=[only("edge")]), done_in_s=20)
    assert world.begun() == {}

    world.now_s += WARM_LOAD_S - 21
    assert world.begun() == {}
    world.now_s += 2
    assert world.begun() == {HERE: {run.id}}


def test_a_slot_that_computes_has_time_until_it_is_free(store):
    soon, late = World(store), World(store)
    for world, done_in_s in ((soon, 130), (late, 150)):
        world.waits()
        world.at_work(world.run(then=[only("edge")]), place=OTHER, done_in_s=done_in_s)
        world.at_work(world.run(), place=HERE, done_in_s=100)

    for _ in range(3):
        assert soon.begun() == {}
        assert not soon.company.waiting
        soon.now_s += WARM_LOAD_S
    assert late.begun() == {HERE: {late.ready[0].id}}


def test_a_batch_that_can_take_no_more_does_not_wait(store):
    full = World(store, PlanOptions(batch_runs_max=2))
    runs = [full.waits(), full.waits()]
    full.at_work(full.run(then=[only("edge")]), done_in_s=20)
    assert full.begun() == {HERE: {run.id for run in runs}}

    long = World(store, PlanOptions(batch_seconds_max=120.0))
    run = long.waits()
    long.at_work(long.run(then=[only("edge")]), done_in_s=20)
    assert long.begun() == {HERE: {run.id}}

    suspicious = World(store)
    run = suspicious.waits()
    suspicious.ready[0] = replace(run, breaks=1)
    suspicious.at_work(suspicious.run(then=[only("edge")]), done_in_s=20)
    assert suspicious.begun() == {HERE: {run.id}}


def test_what_comes_can_join_a_batch_that_is_begun_later_anyway(store):
    world = World(store, PlanOptions(batch_seconds_max=250.0))
    runs = [world.waits() for _ in range(3)]
    world.at_work(world.run(then=[only("edge")]), done_in_s=20)

    begun = world.begun()

    assert len(begun[HERE]) == 2
    assert begun[HERE] < {run.id for run in runs}


def test_two_idle_slots_wait_together(world):
    runs = [world.waits(), world.waits()]
    parent = world.run(then=[only("edge")])
    world.at_work(parent, place=("gpu-b", 0), done_in_s=20)
    assert world.begun(HERE, OTHER, slot_count=2) == {}

    world.store.finish(parent.id, RunStatus.COMPLETED)
    assert set.union(*world.begun(HERE, OTHER, slot_count=2).values()) == {run.id for run in runs}


def test_a_slot_that_waits_does_something_else_that_is_as_urgent(world):
    world.waits()
    other = world.waits(only("vis"))
    world.at_work(world.run(then=[only("edge")]), done_in_s=20)
    assert world.begun() == {HERE: {other.id}}

    world.ready[1] = replace(other, priority=-1)
    assert world.begun() == {}


def test_overdue_runs_are_waited_for_within_the_bound(world):
    run = world.waits()
    at_work = world.at_work(world.run(then=[only("edge")]), done_in_s=20)
    timing = at_work.follower.times.timing
    at_work.follower.times.timing = replace(timing, started_at=timing.started_at - timedelta(seconds=500))

    assert world.begun() == {}
    world.now_s += WARM_LOAD_S + 1
    assert world.begun() == {HERE: {run.id}}


def test_a_batch_is_passed_by_one_other_at_most(world):
    """The run that would follow never comes, though it always seems about to."""
    old = world.waits()
    at_work = world.at_work(world.run(then=[only("edge")]), done_in_s=20)
    timing = at_work.follower.times.timing
    at_work.follower.times.timing = replace(timing, started_at=timing.started_at - timedelta(hours=5))
    other = world.waits(only("vis"))
    assert world.begun() == {HERE: {other.id}}
    world.ready.remove(other)

    world.now_s += 3600
    world.waits(only("vis"))
    assert world.begun() == {HERE: {old.id}}


def test_a_batch_is_not_passed_by_one_that_waits_for_less_long(world):
    old = world.waits(created_at=utc_now() - timedelta(hours=20))
    fresh = world.waits(only("vis"))
    world.at_work(world.run(then=[only("edge")], priority=9), done_in_s=20)

    assert world.begun() == {}
    world.now_s += WARM_LOAD_S
    assert world.begun() == {HERE: {old.id}}
    assert fresh.priority == old.priority


def test_what_is_on_a_host_that_is_away_is_not_waited_for(world):
    run = world.waits()
    at_work = world.at_work(world.run(then=[only("edge")]), done_in_s=20)
    at_work.is_computed = True
    at_work.follower.lost_for_s = 1.0

    assert world.begun() == {HERE: {run.id}}


def test_a_store_that_goes_while_it_is_looked_at_leaves_what_was_known(world, monkeypatch):
    world.waits()
    over = world.at_work(world.run(then=[only("edge")]), done_in_s=20)
    world.at_work(world.run(then=[only("edge")]), place=("gpu-b", 0), done_in_s=20)
    world.company.look()
    over.is_over = True
    world.lanes.collect()
    with monkeypatch.context() as patch:
        patch.setattr(type(world.store), "unfinished", answers_nobody)
        with pytest.raises(StoreUnreachableError):
            world.company.look()

    assert world.begun() == {}


def answers_nobody(store, run_ids):
    raise StoreUnreachableError("the run store does not answer")


@pytest.mark.parametrize(
    ("operation", "family", "values"),
    [
        ("inference", "preview", {}),
        ("upscale", "preview", {}),
        ("inference", "transfer1", {"edge_weight": 1.0}),
        ("upscale", "transfer1", {}),
        ("inference", "transfer25", {"edge_weight": 1.0}),
        ("inference", "cosmos3", {}),
    ],
)
def test_what_a_family_fills_in_keeps_nobody_apart(world, clip, operation, family, values):
    """The run that follows is known by what was asked for, those that wait by what was made of it."""
    found = find_operation(operation, family)
    asked = found.params.read(values)
    prompt = Prompt("a street", negative_text="people")
    filled = completed(found, asked, prompt, {VIDEO: clip})
    stage = NextStage(operation, family, asked.model_dump(mode="json"))
    parent = replace(a_run(), queueing=Queueing(NEEDS, then=(stage,)))

    (heir,) = heirs_of(parent)

    batch = PlannedBatch("gpu-a", 0, signature_of(operation, family, filled), ("rs_1",), 0.0, 0.0, (1.0,), 1)
    assert heir.may_join(batch)
    other = replace(batch.signature, controls=("another",))
    assert not heir.may_join(replace(batch, signature=other))


@pytest.mark.parametrize(("ours", "theirs", "may"), [(False, True, False), (True, True, True), (3, 4, False), (0, 4, True)])
def test_only_what_was_left_open_may_be_anything(world, ours, theirs, may):
    signature = replace(signature_of("inference", "preview", only("edge")), process=(("value", ours),))
    batch = PlannedBatch("gpu-a", 0, replace(signature, process=(("value", theirs),)), ("rs_1",), 0.0, 0.0, (1.0,), 1)

    assert Heir(signature, "auto", 0).may_join(batch) is may
