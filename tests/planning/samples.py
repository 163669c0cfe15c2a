"""Runs, slots and signatures as the planner sees them, for tests and the benchmark."""

from itertools import count

from cosmos_ops.planning import ControlSignature, SampleSize, Slot, Workload

numbers = count()
SIZE = SampleSize(frames=93, chunks=1, steps=35, calls_per_step=2, controls=1)
DECLARED = {"transfer1": ("vis", "edge", "depth", "seg", "keypoint")}
"""Controls in the order in which their family declares them."""
USUAL = ("edge", "vis", "depth", "seg")


def a_signature(*controls, family="transfer25", process=(), operation="inference"):
    bare = ControlSignature(operation, family, (), process, DECLARED.get(family, USUAL))
    return bare.with_controls(controls or ("edge",))


def a_workload(signature=None, **values):
    signature = signature or a_signature()
    values.setdefault("run_id", f"rs_{next(numbers):06}")
    values.setdefault("size", SIZE)
    return Workload(signature=signature, **values)


def a_slot(host="a", index=0, gpu_type="H100", families=("transfer25", "transfer1", "cosmos3"), **values):
    return Slot(host=host, index=index, gpu_type=gpu_type, families=frozenset(families), **values)
