"""How a filling of the slots is weighed against another one."""

from cosmos_ops.planning.workloads import Goal

DIGITS = 6
"""Sums of the same seconds in another order differ beyond."""

Score = tuple[float, float]
"""Less is better."""


def score(goal: Goal, *, seconds: float, load_gpu_seconds: float, gpu_seconds: float, width: int) -> Score:
    """The weight of a filling that is done after so many seconds, on slots of `width` GPUs in all."""
    if goal is Goal.MAKESPAN:
        return round(seconds, DIGITS), round(gpu_seconds, DIGITS)
    if goal is Goal.GPU_SECONDS:
        return round(gpu_seconds, DIGITS), round(seconds, DIGITS)
    return round(width * seconds + load_gpu_seconds, DIGITS), round(gpu_seconds, DIGITS)
