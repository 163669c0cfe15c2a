"""Which runs share a container, where and when: pure functions over runs and slots, no clock and no I/O."""

from cosmos_ops.planning.baselines import Baseline, one_by_one, predecessor
from cosmos_ops.planning.batches import Batch, regroup
from cosmos_ops.planning.bounds import makespan_bound
from cosmos_ops.planning.costs import CostModel, gpu_type_of
from cosmos_ops.planning.fitting import Observation, SampleTime, fit
from cosmos_ops.planning.plan import plan
from cosmos_ops.planning.preview import described, lines, rows, signature_text
from cosmos_ops.planning.published import PUBLISHED
from cosmos_ops.planning.signature import ControlSignature, control_signature, differences, explain
from cosmos_ops.planning.workloads import (
    Goal,
    Mixing,
    ModelFiles,
    Plan,
    PlannedBatch,
    PlanOptions,
    Slot,
    Workload,
)
from cosmos_ops.planning.workloads_of_runs import workload_of
from cosmos_ops.sizes import SampleSize

__all__ = [
    "PUBLISHED",
    "Baseline",
    "Batch",
    "ControlSignature",
    "CostModel",
    "Goal",
    "Mixing",
    "ModelFiles",
    "Observation",
    "Plan",
    "PlanOptions",
    "PlannedBatch",
    "SampleSize",
    "SampleTime",
    "Slot",
    "Workload",
    "control_signature",
    "described",
    "differences",
    "explain",
    "fit",
    "gpu_type_of",
    "lines",
    "makespan_bound",
    "one_by_one",
    "plan",
    "predecessor",
    "regroup",
    "rows",
    "signature_text",
    "workload_of",
]
