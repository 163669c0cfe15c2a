"""Why two runs cannot share a batch, by the names of what differs."""

import pytest

from cosmos_ops.operations.upscale_preview import UpscalePreview
from cosmos_ops.planning import control_signature, differences, explain
from tests.builders import a_run, only
from tests.planning.samples import a_signature


@pytest.mark.parametrize(
    ("one", "other", "names"),
    [
        (a_run(only("edge")), a_run(only("edge")), []),
        (a_run(only("edge"), prompt_id="ps_2"), a_run(only("edge", seed=9)), []),
        (a_run(only("edge")), a_run(only("edge", "depth")), ["controls"]),
        (a_run(only("vis", crf=30)), a_run(only("vis", crf=31, smoothing_passes=3)), ["smoothing_passes", "crf"]),
        (a_run(only("edge"), family="other"), a_run(only("edge")), ["family"]),
    ],
)
def test_the_names_of_what_differs(one, other, names):
    assert explain(one, other) == names
    assert (control_signature(one) == control_signature(other)) is (not names)


def test_a_parameter_that_one_of_them_lacks_differs():
    upscale = a_run(UpscalePreview(factor=2), operation="upscale")

    assert {"operation", "factor"} <= set(explain(upscale, a_run(only("edge"))))
    assert differences(a_signature(process=(("seed", None),)), a_signature()) == ["seed"]
