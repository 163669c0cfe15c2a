"""Queues, slots and options at random, for property tests of plans."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from cosmos_ops.planning import Goal, Mixing, ModelFiles, PlanOptions, SampleSize
from tests.planning.samples import a_signature, a_slot, a_workload

NOW_S = 100_000.0
HOUR_S = 3600.0
some = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

signatures = st.sampled_from(
    [
        a_signature("edge"),
        a_signature("edge", "vis"),
        a_signature("edge", process=(("num_steps", 4),)),
        a_signature("edge", family="transfer1"),
        a_signature("vis", family="transfer1"),
        a_signature("depth", "edge", family="transfer1"),
        a_signature("vis", family="transfer1", process=(("seed", 2),)),
        a_signature("edge", family="cosmos3"),
    ]
)
sizes = st.builds(SampleSize, st.just(93), st.integers(1, 4), st.sampled_from((4, 35)), st.just(2.0), st.integers(1, 2))
DEMANDS = {
    "memory_gb": st.sampled_from((20.0, 20.0, 70.0)),
    "memory_per_part_gb": st.sampled_from((0.0, 3.0, 70.0)),
    "host": st.sampled_from(("", "", "", "a")),
    "modes": st.sampled_from(((), (), ("upscale",), ("upscale", "mask"))),
    "is_alone": st.sampled_from((False, False, True)),
}
"""What keeps a run from some slots, or from others."""
various = st.fixed_dictionaries(
    {
        "signature": signatures,
        "size": sizes,
        "queued_at_s": st.sampled_from((60.0, 60.0, 5 * HOUR_S, 7 * HOUR_S, 20 * HOUR_S)).map(lambda age_s: NOW_S - age_s),
        "priority": st.integers(-1, 1),
        "gpu_count": st.sampled_from((1, 1, 1, 4)),
        "is_widenable": st.booleans(),
        **DEMANDS,
    }
).map(lambda v: a_workload(**{**v, "is_widenable": v["is_widenable"] and v["signature"].family == "transfer1"}))
mixable = st.fixed_dictionaries(
    {
        "signature": st.sampled_from((("edge",), ("vis",), ("edge", "depth"), ("vis", "edge"))).map(
            lambda controls: a_signature(*controls, family="transfer1")
        ),
        "size": st.builds(SampleSize, st.just(93), st.just(1), st.sampled_from((1, 1, 4, 35)), st.just(1.0), st.just(1)),
        "is_widenable": st.sampled_from((True, True, True, False)),
    },
    optional=DEMANDS,
).map(lambda values: a_workload(queued_at_s=NOW_S, **values))
queues = st.one_of(st.lists(various, max_size=10), st.lists(mixable, min_size=3, max_size=10))
EVERYTHING = ("transfer1", "transfer25", "cosmos3")
warm_files = st.sampled_from((("transfer1", ("edge",)), ("transfer1", ("vis", "edge")), ("transfer25", ("edge",))))
slots = st.lists(
    st.fixed_dictionaries(
        {"host": st.sampled_from("aab"), "gpu_type": st.sampled_from(("H100", "B200", "H20"))},
        optional={
            "families": st.sampled_from((EVERYTHING, EVERYTHING, ("transfer25",), ("transfer1", "cosmos3"))),
            "memory_gb": st.sampled_from((24.0, 27.0, 75.0)),
            "gpu_count": st.just(4),
            "free_at_s": st.sampled_from((NOW_S + 500.0, NOW_S + 9000.0)),
            "warm": st.frozensets(warm_files.map(lambda files: ModelFiles(*files)), max_size=1),
            "lacking": st.frozensets(st.sampled_from((("transfer1", "upscale"), ("transfer25", "mask"))), max_size=2),
        },
    ),
    min_size=1,
    max_size=3,
).map(lambda rows: [a_slot(index=index, **row) for index, row in enumerate(rows)])
options = st.builds(
    PlanOptions,
    goal=st.sampled_from(Goal),
    mixing=st.sampled_from(Mixing),
    batch_seconds_max=st.sampled_from((900.0, 2 * HOUR_S)),
    batch_runs_max=st.sampled_from((3, 100)),
)
