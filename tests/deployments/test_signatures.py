"""`cosmos signature` names the parameters that keep runs apart."""

from cosmos_ops.operations.inference_cosmos3 import InferenceCosmos3
from cosmos_ops.operations.inference_transfer1 import InferenceTransfer1
from deployments.signatures import explained
from tests.builders import a_run


def a_transfer1_run(run_id, **params):
    return a_run(InferenceTransfer1(**params), id=run_id, family="transfer1")


def test_what_differs_is_named_with_both_values():
    lines = explained(
        [
            a_transfer1_run("rs_1", edge_weight=1, seed=1),
            a_transfer1_run("rs_2", edge_weight=0.3, seed=1),
            a_transfer1_run("rs_3", seg_weight=1, seed=2),
        ]
    )

    assert lines[0].startswith("rs_1: inference transfer1, edge; num_steps=35 guidance=5.0")
    assert lines[3:] == [
        "rs_1 and rs_2: may share a batch",
        "rs_1 and rs_3: apart, because of controls (edge and seg), seed (1 and 2)",
        "rs_2 and rs_3: apart, because of controls (edge and seg), seed (1 and 2)",
    ]


def test_cosmos3_shares_one_load_for_all_controls():
    runs = [a_run(InferenceCosmos3(**{f"{name}_weight": 1}), id=f"rs_{name}", family="cosmos3") for name in ("edge", "seg")]

    assert explained(runs)[-1] == "rs_edge and rs_seg: may share a batch"
    assert "any controls" in explained(runs)[0]
