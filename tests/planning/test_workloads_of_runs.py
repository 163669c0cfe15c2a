"""Runs of the shared queue as workloads: what their family said, and what became of them so far."""

from datetime import datetime, timezone

import pytest

from cosmos_ops.operations.inference_transfer1 import InferenceTransfer1
from cosmos_ops.operations.inference_transfer25 import InferenceTransfer25
from cosmos_ops.planning import Workload, control_signature, workload_of
from cosmos_ops.runs import Queueing
from cosmos_ops.sizes import Needs, SampleSize
from tests.builders import a_run, only

SIZE = SampleSize(frames=121, chunks=2, steps=35, calls_per_step=2, controls=1, pixels=0.9)
NEEDS = Needs(
    size=SIZE,
    model="transfer25/distilled",
    parts=4,
    gpu_count=2,
    memory_gb=65.4,
    memory_per_part_gb=2.0,
    is_widenable=True,
    modes=("always", "edge"),
)


def test_a_workload_says_all_that_the_run_says():
    created = datetime(2026, 1, 2, tzinfo=timezone.utc)
    run = a_run(only("edge"), queueing=Queueing(NEEDS, host="rack"), priority=3, created_at=created)

    assert workload_of(run) == Workload(
        run_id=run.id,
        signature=control_signature(run),
        size=SIZE,
        model="transfer25/distilled",
        parts=4,
        gpu_count=2,
        memory_gb=65.4,
        memory_per_part_gb=2.0,
        host="rack",
        modes=("always", "edge"),
        priority=3,
        queued_at_s=created.timestamp(),
        is_widenable=True,
        is_alone=False,
    )


def test_auto_is_any_host():
    assert workload_of(a_run(queueing=Queueing(NEEDS))).host == ""


@pytest.mark.parametrize(("breaks", "is_alone"), [(0, False), (1, True), (2, True)])
def test_a_run_that_broke_its_process_is_alone_from_then_on(breaks, is_alone):
    assert workload_of(a_run(queueing=Queueing(NEEDS), breaks=breaks)).is_alone is is_alone


@pytest.mark.parametrize(
    ("params", "family", "controls"),
    [
        (InferenceTransfer1(edge_weight=0.5, vis_weight=0.2), "transfer1", ("vis", "edge")),
        (InferenceTransfer25(edge_weight=0.5, vis_weight=0.2), "transfer25", ("edge", "vis")),
    ],
)
def test_a_signature_keeps_its_controls_in_the_order_of_their_declaration(params, family, controls):
    signature = control_signature(a_run(params, family=family))

    assert signature.controls == controls
    assert signature.with_controls(("seg", "depth", *reversed(controls))).controls == (*controls, "depth", "seg")
    assert signature.with_controls(()) != signature
