"""Coefficients from finished batches: right after some dozens, near the start values before, deaf to absurd ones."""

import random
import statistics
from dataclasses import replace

import pytest

from cosmos_ops.planning import PUBLISHED, Observation, SampleSize, SampleTime, fit
from cosmos_ops.planning.costs import ANY_GPU, Coefficients, CostModel, gpu_type_of

MODEL, GPU = "transfer25", "H100"
PRIOR = PUBLISHED.of(MODEL, GPU)
TRUTHS = {
    "twice as slow": replace(PRIOR, call_s=2 * PRIOR.call_s, chunk_s=2 * PRIOR.chunk_s, guard_s=2 * PRIOR.guard_s),
    "ten times as fast": replace(PRIOR, call_s=PRIOR.call_s / 10),
    "dear controls": replace(PRIOR, control_factor=4 * PRIOR.control_factor),
    "slow decoding": replace(PRIOR, chunk_s=20 * PRIOR.chunk_s, call_s=0.7 * PRIOR.call_s),
    "slow disk": replace(PRIOR, load_base_s=5 * PRIOR.load_base_s, load_per_part_s=3 * PRIOR.load_per_part_s),
    "as published": PRIOR,
}


def a_size(chance):
    return SampleSize(
        frames=chance.choice((93, 121, 300)),
        chunks=chance.randint(1, 4),
        steps=chance.choice((4, 20, 35, 50)),
        calls_per_step=2,
        controls=chance.randint(1, 4),
    )


def observed(truth, seed, *, noise=0.1, samples=1):
    chance = random.Random(seed)

    def about(seconds):
        return seconds * chance.uniform(1 - noise, 1 + noise)

    sizes = [a_size(chance) for _ in range(samples)]
    parts, is_warm = chance.choice((1, 4)), chance.random() < 0.5
    load_s = truth.load_s(parts, is_warm=is_warm) - truth.start_s
    return Observation(
        model=MODEL,
        gpu_type=GPU,
        parts=parts,
        samples=tuple(SampleTime(size, about(truth.sample_s(size))) for size in sizes),
        start_s=about(truth.start_s),
        load_s=about(load_s),
        is_warm=is_warm,
    )


def fitted(observations):
    return fit(observations, PUBLISHED).of(MODEL, GPU)


def sample_errors(found, truth):
    sizes = [a_size(random.Random(seed)) for seed in range(1000, 1100)]
    return [abs(found.sample_s(size) / truth.sample_s(size) - 1) for size in sizes]


def load_errors(found, truth):
    kinds = [(parts, is_warm) for parts in (1, 4) for is_warm in (False, True)]
    return [abs(found.load_s(p, is_warm=w) / truth.load_s(p, is_warm=w) - 1) for p, w in kinds]


@pytest.mark.parametrize("truth", TRUTHS.values(), ids=TRUTHS)
def test_after_30_runs_the_median_error_is_below_10_percent(truth):
    found = fitted([observed(truth, seed) for seed in range(30)])

    assert statistics.median(sample_errors(found, truth)) < 0.1
    assert statistics.median(load_errors(found, truth)) < 0.1


@pytest.mark.parametrize("truth", TRUTHS.values(), ids=TRUTHS)
def test_the_median_error_is_below_10_percent_also_where_samples_vary_a_lot(truth):
    found = fitted([observed(truth, seed, noise=0.3) for seed in range(30)])

    assert statistics.median(sample_errors(found, truth)) < 0.1


@pytest.mark.parametrize("factor", [1e-6, 0.01, 100, 1e9])
@pytest.mark.parametrize("count", [4, 10, 30])
def test_one_absurd_observation_changes_nothing(factor, count):
    truth = TRUTHS["twice as slow"]
    usual = [observed(truth, seed) for seed in range(count)]
    (sample,) = observed(truth, 99).samples
    absurd = replace(
        observed(truth, 99),
        samples=(replace(sample, seconds=sample.seconds * factor),),
        start_s=truth.start_s * factor,
        load_s=truth.load_base_s * factor,
    )

    without, found = fitted(usual), fitted([*usual, absurd])

    sizes = [a_size(random.Random(seed)) for seed in range(100)]
    assert [found.sample_s(size) for size in sizes] == pytest.approx([without.sample_s(size) for size in sizes], rel=0.02)
    for is_warm in (False, True):
        assert found.load_s(4, is_warm=is_warm) == pytest.approx(without.load_s(4, is_warm=is_warm), rel=0.1)


@pytest.mark.parametrize("seconds", [0.0, -5.0])
def test_times_that_cannot_be_are_left_out(seconds):
    nonsense = replace(
        observed(PRIOR, 1), samples=(SampleTime(a_size(random.Random(1)), seconds),), start_s=seconds, load_s=seconds
    )

    found = fitted([nonsense])

    assert (found.call_s, found.start_s, found.load_base_s) == (PRIOR.call_s, PRIOR.start_s, PRIOR.load_base_s)


def test_little_evidence_moves_the_start_values_a_little():
    truth = TRUTHS["twice as slow"]
    size = a_size(random.Random(5))
    moved = [fitted([observed(truth, seed, noise=0.01) for seed in range(count)]).sample_s(size) for count in (0, 1, 5, 30)]

    assert moved[0] == PRIOR.sample_s(size)
    assert moved == sorted(moved)
    assert moved[1] < 1.6 * PRIOR.sample_s(size)
    assert moved[3] == pytest.approx(truth.sample_s(size), rel=0.1)


def test_the_error_shrinks_with_evidence_and_tells_how_much_there_is():
    truth = TRUTHS["twice as slow"]
    few, many = (fitted([observed(truth, seed) for seed in range(count)]) for count in (2, 40))

    assert PRIOR.error > few.error > many.error
    assert PRIOR.load_error > few.load_error > many.load_error
    assert 0.02 < many.error < 0.15
    assert (few.sample_count, many.sample_count) == (2, 40)


def test_what_was_not_observed_stays_as_it_was():
    found = fit([observed(TRUTHS["slow disk"], 1)], PUBLISHED)

    assert {key for key in found.known if found.known[key] != PUBLISHED.known[key]} == {(MODEL, GPU)}


def test_a_gpu_type_that_nobody_knew_is_learnt():
    truth = TRUTHS["ten times as fast"]
    observations = [replace(observed(truth, seed), gpu_type="L40S") for seed in range(30)]

    found = fit(observations, PUBLISHED).of(MODEL, "L40S")

    assert statistics.median(sample_errors(found, truth)) < 0.1


def test_the_order_of_observations_does_not_matter():
    observations = [observed(PRIOR, seed) for seed in range(12)]
    sizes = [a_size(random.Random(seed)) for seed in range(20)]

    first, second = fitted(observations), fitted(observations[::-1])

    assert [first.sample_s(size) for size in sizes] == pytest.approx([second.sample_s(size) for size in sizes])


@pytest.mark.parametrize(
    ("name", "gpu_type"),
    [
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA H100 NVL", "H100"),
        ("NVIDIA H200", "H200"),
        ("NVIDIA H20", "H20"),
        ("NVIDIA B200", "B200"),
        ("NVIDIA GB200", "B200"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "RTX PRO 6000"),
        ("NVIDIA A100-SXM4-80GB", ANY_GPU),
        ("", ANY_GPU),
    ],
)
def test_the_gpu_type_is_read_from_the_name_of_the_driver(name, gpu_type):
    assert gpu_type_of(name) == gpu_type


@pytest.mark.parametrize(
    ("model", "gpu_type", "size", "seconds"),
    [
        ("transfer25", "H100", SampleSize(121, 2, 35, 2, 1), 533.58),
        ("transfer25", "B200", SampleSize(121, 2, 35, 2, 1), 186.92),
        ("transfer25", "H20", SampleSize(121, 2, 35, 2, 1), 1370.39),
        ("cosmos3", "H100", SampleSize(189, 1, 35, 2, 0), 207.78),
        ("cosmos3", "B200", SampleSize(189, 1, 35, 2, 0), 114.85),
        ("cosmos3", "H100", SampleSize(189, 1, 35, 2, 0, pixels=832 * 480 / 921600), 59.83),
        ("cosmos3/super", "B200", SampleSize(189, 1, 35, 2, 0), 407.5),
    ],
)
def test_the_start_values_give_back_what_was_published(model, gpu_type, size, seconds):
    assert PUBLISHED.of(model, gpu_type).sample_s(size) == pytest.approx(seconds, rel=0.15)


def test_several_gpus_take_less_time_and_more_gpu_seconds():
    one, four = (PRIOR.sample_s(SampleSize(121, 2, 35, 2, 1), gpu_count=count) for count in (1, 4))

    assert one / 4 < four < one


def test_every_family_has_start_values_for_a_gpu_that_nobody_knows():
    known = PUBLISHED.of("transfer1", "GeForce 256")

    assert known == PUBLISHED.known["transfer1", ANY_GPU]
    assert CostModel({}).of("new", "H100") == CostModel({}).fallback


def test_a_batch_is_start_load_and_samples():
    known = Coefficients(
        start_s=10,
        load_base_s=100,
        load_per_part_s=20,
        warm_share=0.5,
        call_s=2,
        control_factor=0.1,
        chunk_s=3,
        frame_s=0.5,
        guard_s=4,
    )
    size = SampleSize(frames=100, chunks=2, steps=5, calls_per_step=2, controls=3)

    assert known.load_s(2, is_warm=False) == 150
    assert known.load_s(2, is_warm=True) == 80
    assert known.sample_s(size) == pytest.approx(2 * (5 * 2 * 2 * 1.3 + 3) + 100 * 0.5 + 4)


def test_two_observations_that_contradict_each_other_say_nothing():
    size = SampleSize(frames=93)
    seen = [Observation("preview", "CPU", 0, samples=(SampleTime(size, seconds),)) for seconds in (0.01, 100.0)]
    assert fit(seen, PUBLISHED).of("preview", "CPU").frame_s == PUBLISHED.of("preview", "CPU").frame_s


def test_a_model_begins_with_what_was_learnt_of_its_family():
    truth = TRUTHS["ten times as fast"]
    family = [observed(truth, seed) for seed in range(40)]
    own = [replace(observed(truth, seed), model=f"{MODEL}/distilled") for seed in (100, 101)]

    found = fit([*own, *family], PUBLISHED)

    alone = fit(own, PUBLISHED).of(f"{MODEL}/distilled", GPU)
    known = found.of(f"{MODEL}/distilled", GPU)
    assert statistics.median(sample_errors(known, truth)) < 0.1 < statistics.median(sample_errors(alone, truth))
    assert known.sample_count == 2
    assert found.of(MODEL, GPU) == fitted(family)
