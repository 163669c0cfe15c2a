"""What is learnt from the times of jobs, and the times that new jobs are given."""

import random
import statistics
from dataclasses import asdict, replace
from datetime import timedelta
from itertools import count

import pytest

from cosmos_ops.cost_keeping import (
    WARM_FOR,
    expected_end,
    gpu_type_on,
    is_warm_on,
    known_costs,
    learn,
    observations,
    timing_of,
    warm_files,
)
from cosmos_ops.planning import PUBLISHED, ModelFiles, SampleSize, fit
from cosmos_ops.planning.costs import ANY_GPU, CPU
from cosmos_ops.remote.host import GPU
from cosmos_ops.remote.local import LocalHost
from cosmos_ops.sizes import Needs
from cosmos_ops.store import JobRecord
from cosmos_ops.timing import JobTiming, SampleTiming

from .store import builders
from .store.builders import START

NEEDS = Needs(SampleSize(121, 2, 35, 2, controls=1), is_widenable=True)
WORLDS = {
    "transfer1": ("transfer1", "H100", {"call_s": 0.6, "load_base_s": 2.0, "load_per_part_s": 1.8, "guard_s": 2.0}),
    "transfer25": ("transfer25", "H200", {"call_s": 1.4, "load_base_s": 3.0}),
    "cosmos3": ("cosmos3", "B200", {"call_s": 0.8, "control_factor": 1.2, "chunk_s": 1.5}),
    "cosmos3/super": ("cosmos3/super", "H100", {"call_s": 1.2, "warm_share": 1.5}),
    "preview": ("preview", CPU, {"frame_s": 2.5, "start_s": 3.0}),
    "quick starts": ("transfer25", "H100", {"start_s": 0.1, "load_base_s": 2.0, "warm_share": 0.2}),
}
"""Model, GPU type, and by how much the true coefficients differ from the start values."""
numbers = count()


def after(seconds):
    return START + timedelta(seconds=seconds)


def truth_of(model, gpu_type, factors):
    prior = PUBLISHED.of(model, gpu_type)
    return replace(prior, **{name: getattr(prior, name) * factor for name, factor in factors.items()})


def a_size(model, chance):
    if model == "preview":
        return SampleSize(frames=chance.randint(20, 400))
    return SampleSize(
        frames=chance.choice((93, 121, 300)),
        chunks=chance.randint(1, 4),
        steps=chance.choice((10, 20, 35, 50)),
        calls_per_step=2,
        controls=chance.randint(0 if model.startswith("cosmos3") else 1, 4),
    )


def a_timing(model="transfer25", gpu_type="H100", *, load_s=135.0, samples=((NEEDS.size, 500.0),), **values):
    """The times of a job that started at `START` and went through without a pause."""
    moment, timed = load_s, []
    for size, seconds in samples:
        timed.append(SampleTiming(f"rs_{next(numbers)}", size, 500.0, after(moment), after(moment + seconds)))
        moment += seconds
    usual = {"controls": ("edge",), "parts": 1, "predicted_load_s": 135.0, "started_at": START, "ended_at": after(moment)}
    return JobTiming(model, gpu_type=gpu_type, samples=tuple(timed), **{**usual, **values})


def a_record(timing, host="a"):
    return JobRecord(builders.a_job("rs_1"), host, "owner", lease_until=START, created_at=START, ended_at=START, timing=timing)


def history(world, *, job_count=30, seed=1, noise=0.2):
    """Jobs of one model as they would go if the true coefficients were those of a world."""
    model, gpu_type, _ = world
    truth, chance, jobs = truth_of(*world), random.Random(seed), []
    for _ in range(job_count):
        parts, is_warm = chance.choice((1, 4)), chance.random() < 0.5
        sizes = [a_size(model, chance) for _ in range(chance.randint(1, 3))]
        timed = [(size, truth.sample_s(size) * chance.uniform(1 - noise, 1 + noise)) for size in sizes]
        load_s = truth.load_s(parts, is_warm=is_warm) * chance.uniform(1 - noise, 1 + noise)
        jobs.append(a_record(a_timing(model, gpu_type, parts=parts, is_warm=is_warm, load_s=load_s, samples=timed)))
    return jobs


def learnt(world, jobs):
    return fit(observations(jobs), PUBLISHED).of(*world[:2])


def errors_of(found, world):
    """How far predictions of new jobs are off: of samples and of loads."""
    model, truth = world[0], truth_of(*world)
    sizes = [a_size(model, random.Random(seed)) for seed in range(1000, 1100)]
    kinds = [(parts, is_warm) for parts in (1, 4) for is_warm in (False, True)]
    return (
        [abs(found.sample_s(size) / truth.sample_s(size) - 1) for size in sizes],
        [abs(found.load_s(parts, is_warm=warm) / truth.load_s(parts, is_warm=warm) - 1) for parts, warm in kinds],
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)
def test_after_30_jobs_the_median_error_of_a_prediction_is_below_10_percent(world, seed):
    samples, loads = errors_of(learnt(world, history(world, seed=seed)), world)

    assert statistics.median(samples) < 0.1
    assert statistics.median(loads) < 0.1


@pytest.mark.parametrize("factor", [0.0, 1e-3, 1000.0])
@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)
def test_one_absurd_job_changes_nothing(world, factor):
    model, gpu_type, _ = world
    truth, jobs, size = truth_of(*world), history(world), a_size(world[0], random.Random(7))
    absurd = a_timing(
        model,
        gpu_type,
        load_s=truth.load_s(1, is_warm=False) * factor,
        samples=[(size, truth.sample_s(size) * factor)],
    )

    without, found = learnt(world, jobs), learnt(world, [*jobs, a_record(absurd)])

    sizes = [a_size(model, random.Random(seed)) for seed in range(100)]
    assert [found.sample_s(one) for one in sizes] == pytest.approx([without.sample_s(one) for one in sizes], rel=0.02)
    for is_warm in (False, True):
        assert found.load_s(4, is_warm=is_warm) == pytest.approx(without.load_s(4, is_warm=is_warm), rel=0.02)


@pytest.mark.parametrize("values", [{"is_observed": False}, {"ended_at": None}])
def test_a_job_that_was_not_followed_to_its_end_says_nothing(values):
    assert observations([a_record(a_timing(**values)), a_record(None)]) == []


def test_of_a_job_that_broke_off_only_what_was_complete_counts():
    whole = a_timing(samples=[(NEEDS.size, 500.0), (NEEDS.size, 600.0)])
    broken = replace(whole, samples=(whole.samples[0], replace(whole.samples[1], ended_at=None)))
    never = replace(whole, samples=tuple(replace(one, started_at=None, ended_at=None) for one in whole.samples))

    found = observations([a_record(broken), a_record(never)])

    assert [[sample.seconds for sample in one.samples] for one in found] == [[500.0], []]
    assert [one.load_s for one in found] == [135.0 - PUBLISHED.of("transfer25", "H100").start_s, None]


def test_what_is_learnt_is_kept_in_the_place_of_the_start_values(tmp_path):
    with builders.open_store(f"sqlite:///{tmp_path}/cosmos.db") as store:
        assert known_costs(store) == PUBLISHED
        for job in history(WORLDS["transfer25"], job_count=12):
            (run,) = builders.queued_runs(store, 1)
            assert store.open_job(builders.a_job(run.id), host="a", owner="b", lease_s=9, timing=job.timing)

        learn(store)

        known = known_costs(store)
        assert {key for key in known.known if known.known[key] != PUBLISHED.known[key]} == {("transfer25", "H200")}
        assert known.of("transfer25", "H200") == learnt(WORLDS["transfer25"], store.recent_jobs(limit=12))
        assert known.of("transfer25", "H200").sample_count > 12


@pytest.mark.parametrize(
    "stored",
    [{}, {"start_s": "soon"}, {"start_s": -1.0}, {"start_s": None}, {**asdict(PUBLISHED.of("cosmos3", "H100")), "call_s": [1]}],
)
def test_stored_costs_that_cannot_be_are_left_out(tmp_path, stored):
    with builders.open_store(f"sqlite:///{tmp_path}/cosmos.db") as store:
        store.save_costs({("cosmos3", "H100"): stored, ("new", "B200"): {"start_s": 5.0}})

        known = known_costs(store)

        assert known.of("cosmos3", "H100") == PUBLISHED.of("cosmos3", "H100")
        assert known.of("new", "B200").start_s == 5.0


def test_a_new_job_is_given_what_it_is_expected_to_take():
    known = PUBLISHED.of("transfer25", "H100")
    needs = {
        "rs_2": Needs(SampleSize(93, 1, 35, 2, controls=1), parts=1),
        "rs_1": Needs(SampleSize(300, 4, 20, 2, controls=1), parts=1),
    }

    timing = timing_of("transfer25", needs, controls=("edge",), gpu_type="H100", costs=PUBLISHED, is_warm=True)

    assert [(sample.run_id, sample.size) for sample in timing.samples] == [(run_id, one.size) for run_id, one in needs.items()]
    assert timing.predicted_load_s == known.load_s(1, is_warm=True)
    assert timing.predicted_s == timing.predicted_load_s + sum(known.sample_s(one.size) for one in needs.values())
    assert (timing.model, timing.parts, timing.gpu_type, timing.is_warm) == ("transfer25", 1, "H100", True)


def test_a_run_in_a_process_with_more_controls_is_expected_to_take_longer():
    alone = timing_of("transfer1", {"rs_1": NEEDS}, controls=("edge",), gpu_type="H100", costs=PUBLISHED, is_warm=False)
    widened = timing_of("transfer1", {"rs_1": NEEDS}, controls=("edge", "seg"), gpu_type="H100", costs=PUBLISHED, is_warm=False)

    assert [one.samples[0].size.controls for one in (alone, widened)] == [1, 2]
    assert (alone.parts, widened.parts) == (1, 2)
    assert alone.samples[0].predicted_s < widened.samples[0].predicted_s
    assert alone.predicted_load_s < widened.predicted_load_s


def test_the_model_and_the_gpus_that_a_run_needs_count():
    needs = {"rs_1": replace(NEEDS, model="cosmos3/super", gpu_count=4, parts=0)}

    timing = timing_of("cosmos3", needs, controls=(), gpu_type="B200", costs=PUBLISHED, is_warm=False)

    known = PUBLISHED.of("cosmos3/super", "B200")
    assert timing.samples[0].predicted_s == known.sample_s(NEEDS.size, gpu_count=4)
    assert (timing.model, timing.gpu_count, timing.parts) == ("cosmos3/super", 4, 0)


@pytest.mark.parametrize(
    ("timing", "host", "is_warm"),
    [
        (a_timing(), "a", True),
        (a_timing(), "b", False),
        (a_timing("cosmos3"), "a", False),
        (a_timing(controls=("depth",)), "a", False),
        (a_timing(ended_at=None), "a", True),
        (a_timing(samples=()), "a", False),
        (a_timing(is_observed=False), "a", True),
        (None, "a", False),
    ],
)
def test_a_host_is_warm_once_a_job_with_the_same_files_came_to_its_first_sample(timing, host, is_warm):
    files = ModelFiles("transfer25", ("edge",))

    assert is_warm_on(host, files, [a_record(timing)], after(3600)) is is_warm


def test_a_host_is_cold_again_after_a_while():
    jobs, ended_at = [a_record(a_timing())], a_timing().ended_at

    assert warm_files("a", jobs, ended_at + WARM_FOR) == {ModelFiles("transfer25", ("edge",))}
    assert warm_files("a", jobs, ended_at + WARM_FOR + timedelta(seconds=1)) == set()


def test_the_gpu_type_of_a_host_is_that_of_its_gpus(tmp_path):
    class Server(LocalHost):
        def __init__(self, *names):
            self.runs_images, self.names = True, names

        def gpus(self):
            return [GPU(index, name, "570", 81559) for index, name in enumerate(self.names)]

    assert gpu_type_on(Server("NVIDIA H100 80GB HBM3", "NVIDIA H100 80GB HBM3")) == "H100"
    assert gpu_type_on(Server("NVIDIA H100 80GB HBM3", "NVIDIA H200")) == ANY_GPU
    assert gpu_type_on(Server()) == ANY_GPU
    assert gpu_type_on(LocalHost(tmp_path)) == CPU


def a_running_timing(*samples):
    """A job with an expected load of 100 s, whose samples are expected to take 50 s each."""
    moments = [tuple(None if seconds is None else after(seconds) for seconds in sample) for sample in samples]
    timed = [SampleTiming(f"rs_{number}", NEEDS.size, 50.0, *pair) for number, pair in enumerate(moments)]
    return replace(a_timing(predicted_load_s=100.0, ended_at=None), samples=tuple(timed))


@pytest.mark.parametrize(
    ("samples", "now", "end"),
    [
        pytest.param([(None, None), (None, None)], 10, 200, id="it loads"),
        pytest.param([(None, None), (None, None)], 130, 230, id="it loads for longer than expected"),
        pytest.param([(80, None), (None, None)], 90, 180, id="it was loaded sooner"),
        pytest.param([(100, 180), (180, None)], 190, 230, id="what took longer shifts the rest"),
        pytest.param([(100, None), (None, None)], 170, 220, id="what takes longer shifts the rest"),
        pytest.param([(100, None), (150, None)], 160, 200, id="one whose end nobody told is over once the next begins"),
        pytest.param([(100, 150), (150, 200)], 210, 210, id="it is about to end"),
    ],
)
def test_the_end_is_expected_by_what_was_done_so_far(samples, now, end):
    assert expected_end(a_running_timing(*samples), after(now)) == after(end)


def test_a_job_that_has_not_started_has_no_expected_end_and_one_that_ended_is_over():
    assert expected_end(a_timing(started_at=None, ended_at=None), START) is None
    assert expected_end(a_timing(predicted_load_s=None, ended_at=None), START) is None
    assert expected_end(a_timing(), after(10_000)) == after(10_000)
