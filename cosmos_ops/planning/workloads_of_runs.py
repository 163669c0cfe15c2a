"""Runs of the shared queue as the planner sees them."""

from cosmos_ops.planning.signature import control_signature
from cosmos_ops.planning.workloads import Workload
from cosmos_ops.runs import Run

ANY_HOST = "auto"
"""What `Queueing.host` says where every host will do."""


def workload_of(run: Run) -> Workload:
    """A run of the shared queue, by what its family said that it needs."""
    assert run.queueing is not None
    needs, host = run.queueing.needs, run.queueing.host
    return Workload(
        run_id=run.id,
        signature=control_signature(run),
        size=needs.size,
        model=needs.model,
        parts=needs.parts,
        gpu_count=needs.gpu_count,
        memory_gb=needs.memory_gb,
        memory_per_part_gb=needs.memory_per_part_gb,
        host="" if host == ANY_HOST else host,
        modes=needs.modes,
        priority=run.priority,
        queued_at_s=run.created_at.timestamp(),
        is_widenable=needs.is_widenable,
        is_alone=run.breaks > 0,
    )
