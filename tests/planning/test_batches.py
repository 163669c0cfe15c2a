"""Regrouping: every run once, nothing mixed, nothing too long, in the order of arrival."""

from hypothesis import given
from hypothesis import strategies as st

from cosmos_ops.operations.upscale_preview import UpscalePreview
from cosmos_ops.planning import control_signature, regroup
from cosmos_ops.planning.batches import BATCH_SIZE_MAX
from tests.builders import a_run, only

PARAMS = [only("edge"), only("edge", seed=9), only("edge", "depth"), only("vis", crf=30), only("vis", crf=31)]
choices = st.one_of(
    st.builds(lambda params: a_run(params), st.sampled_from(PARAMS)),
    st.builds(lambda factor: a_run(UpscalePreview(factor=factor), operation="upscale"), st.integers(2, 4)),
)
several = st.lists(choices, max_size=60)
sizes = st.integers(1, 10)


@given(several, sizes)
def test_every_run_is_in_exactly_one_batch(runs, size):
    found = [run.id for batch in regroup(runs, size_max=size) for run in batch.runs]

    assert sorted(found) == sorted(run.id for run in runs)


@given(several, sizes)
def test_no_batch_mixes_signatures_or_is_too_long_or_empty(runs, size):
    for batch in regroup(runs, size_max=size):
        assert {control_signature(run) for run in batch.runs} == {batch.signature}
        assert 1 <= len(batch.runs) <= size


@given(several, sizes)
def test_no_two_batches_could_be_one(runs, size):
    batches = regroup(runs, size_max=size)

    signatures = {control_signature(run) for run in runs}
    needed = sum(-(-sum(control_signature(run) == signature for run in runs) // size) for signature in signatures)
    assert len(batches) == needed


@given(several, sizes)
def test_the_first_to_arrive_goes_first(runs, size):
    order = {run.id: position for position, run in enumerate(runs)}
    batches = regroup(runs, size_max=size)

    for batch in batches:
        positions = [order[run.id] for run in batch.runs]
        assert positions == sorted(positions)
    firsts = [order[next(run.id for run in runs if control_signature(run) == batch.signature)] for batch in batches]
    assert firsts == sorted(firsts)


@given(several)
def test_the_same_runs_give_the_same_batches(runs):
    assert regroup(runs) == regroup(list(runs))


def test_the_usual_limit_holds():
    batches = regroup([a_run() for _ in range(BATCH_SIZE_MAX + 1)])

    assert [len(batch.runs) for batch in batches] == [BATCH_SIZE_MAX, 1]
