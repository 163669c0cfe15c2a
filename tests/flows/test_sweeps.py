"""Sweeps: every combination, or values side by side; what does not fit is said before anything starts."""

import pytest

from cosmos_ops.errors import InputError
from cosmos_ops.operations.inference_preview import InferencePreview
from flows.sweeps import variants, varied


def test_a_sweep_gives_every_combination_and_zipped_lists_go_side_by_side():
    found = variants({"seed": [1, 2]}, {"guidance": [3.0, 5.0], "grain": [0, 1]})

    assert found == [
        {"seed": 1, "guidance": 3.0, "grain": 0},
        {"seed": 1, "guidance": 5.0, "grain": 1},
        {"seed": 2, "guidance": 3.0, "grain": 0},
        {"seed": 2, "guidance": 5.0, "grain": 1},
    ]


def test_without_a_sweep_there_is_one_variant_that_changes_nothing():
    assert variants({}, {}) == [{}]
    assert varied(InferencePreview(seed=7), {}) == InferencePreview(seed=7)


def test_a_variant_changes_only_what_it_names():
    assert varied(InferencePreview(seed=7, grain=2), {"seed": 9}) == InferencePreview(seed=9, grain=2)


@pytest.mark.parametrize(
    ("sweep", "zipped", "problem"),
    [
        ({"seed": []}, {}, "sweep.seed: the list is empty"),
        ({}, {"seed": [1, 2], "grain": [1]}, "seed with 2, grain with 1"),
        ({"seed": [1]}, {"seed": [1]}, "seed: it is in `sweep` and in `zipped`"),
        ({name: list(range(100)) for name in ("seed", "guidance", "grain")}, {}, "at most 10,000"),
    ],
)
def test_what_does_not_fit_together_is_refused(sweep, zipped, problem):
    with pytest.raises(InputError, match=problem):
        variants(sweep, zipped)


@pytest.mark.parametrize(
    ("variant", "problem"), [({"sed": 1}, "unknown parameter 'sed'; did you mean 'seed'"), ({"seed": -1}, "seed: .*, not -1")]
)
def test_a_variant_is_validated_as_any_parameters(variant, problem):
    with pytest.raises(InputError, match=problem):
        varied(InferencePreview(), variant)
