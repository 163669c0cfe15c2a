"""What the smoke job of each GPU family asks for: one step, the smallest video, and a model whose files are there."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import JsonValue

from cosmos_ops.operations.cosmos3_params import InferenceCosmos3
from cosmos_ops.operations.inference_cosmos3 import INFERENCE_COSMOS3
from cosmos_ops.operations.inference_transfer1 import INFERENCE_TRANSFER1, InferenceTransfer1
from cosmos_ops.operations.inference_transfer25 import INFERENCE_TRANSFER25
from cosmos_ops.operations.operation import Operation
from cosmos_ops.operations.transfer25_params import InferenceTransfer25
from cosmos_ops.params import Params
from cosmos_ops.smoke import SmokeRequest

FRAME_COUNT, WIDTH_PX, HEIGHT_PX = 5, 320, 176
TRANSFER1_CONTROLS = ("edge", "vis", "depth", "seg", "keypoint", "hdmap", "lidar")
TRANSFER25_CONTROLS = ("edge", "vis", "depth", "seg")
COSMOS3_CHECKPOINTS: Mapping[str, str] = {"nano": "Cosmos3-Nano", "edge": "Cosmos3-Edge", "super": "Cosmos3-Super"}
"""Mode to checkpoint, the one that most use first."""
LARGE = "super"
"""The mode whose model does not fit on most GPUs."""
GPU_COUNTS = (8, 4, 2, 1)


def smoke_request(family: str, modes: Sequence[str], *, gpu_count: int) -> SmokeRequest | None:
    """What is asked for on a host that has the model files of these modes; none if there is nothing for them.

    Args:
        family: A GPU family.
        modes: What runs there will do.
        gpu_count: GPUs of the largest slot.
    """
    return REQUESTS[family](modes, gpu_count)


def _transfer1(modes: Sequence[str], _gpu_count: int) -> SmokeRequest | None:
    if "distilled" in modes:
        return _request(INFERENCE_TRANSFER1, InferenceTransfer1.read({"distilled": True, "edge_weight": 1.0}), "edge")
    control = _first(TRANSFER1_CONTROLS, modes)
    if control is None:
        return None
    return _request(INFERENCE_TRANSFER1, InferenceTransfer1.read({"num_steps": 1, f"{control}_weight": 1.0}), control)


def _transfer25(modes: Sequence[str], _gpu_count: int) -> SmokeRequest | None:
    is_distilled = "distilled" in modes
    control = "edge" if is_distilled or "multi" in modes else _first(TRANSFER25_CONTROLS, modes)
    if control is None:
        return None
    values: dict[str, JsonValue] = {
        "resolution": "256",
        "guardrails": "guardrails" in modes,
        "distilled": is_distilled,
        f"{control}_weight": 1.0,
    }
    return _request(INFERENCE_TRANSFER25, InferenceTransfer25.read({"num_steps": 1, **values}), control)


def _cosmos3(modes: Sequence[str], gpu_count: int) -> SmokeRequest | None:
    mode = _first(tuple(COSMOS3_CHECKPOINTS), modes)
    if mode is None:
        return None
    gpus = next(count for count in GPU_COUNTS if count <= gpu_count) if mode == LARGE else 1
    values: dict[str, JsonValue] = {
        "checkpoint": COSMOS3_CHECKPOINTS[mode],
        "num_gpus": gpus,
        "resolution": "256",
        "edge_weight": 1.0,
    }
    return _request(INFERENCE_COSMOS3, InferenceCosmos3.read({"num_steps": 1, **values}), "edge")


REQUESTS: Mapping[str, Callable[[Sequence[str], int], SmokeRequest | None]] = {
    "transfer1": _transfer1,
    "transfer25": _transfer25,
    "cosmos3": _cosmos3,
}


def _request(operation: Operation[Any], params: Params, control: str) -> SmokeRequest:
    words = f"{FRAME_COUNT} frames in one step, control {control}"
    return SmokeRequest(operation, params, words, (control,), FRAME_COUNT, WIDTH_PX, HEIGHT_PX)


def _first(wanted: Sequence[str], modes: Sequence[str]) -> str | None:
    return next((name for name in wanted if name in modes), None)
