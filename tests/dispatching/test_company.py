"""What waits for company, for whom, and for how long."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from cosmos_ops.dispatching.assignments import Assignment, Lanes
from cosmos_ops.dispatching.company import Company
from cosmos_ops.dispatching.prospect import Prospect
from cosmos_ops.names import new_id
from cosmos_ops.planning import CostModel, ModelFiles, PlanOptions, Slot, plan
from cosmos_ops.planning.costs import Coefficients
from cosmos_ops.planning.workloads_of_runs import workload_of
from cosmos_ops.runs import NextStage, Prompt, Queueing, RunStatus
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
        follower = SimpleNamespace(times=SimpleNamespace(timing=timing))
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
        made = plan(runs, slots, COSTS, now_s=0.0, options=self.options)
        found = self.company.begin_on(places, Prospect(made, runs, slots, COSTS, {}, 0.0))
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
    assert world.company.is_awaited

    world.store.finish(parent.id, RunStatus.COMPLETED)
    heir = world.waits()
    assert world.begun() == {HERE: {run.id, heir.id}}
    assert not world.company.is_awaited


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
        assert not soon.company.is_awaited
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
