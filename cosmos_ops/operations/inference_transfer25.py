"""Video from a text, a video and controls by NVIDIA's cosmos-transfer2.5."""

from cosmos_ops.operations import transfer25_process
from cosmos_ops.operations.operation import Operation
from cosmos_ops.operations.transfer25_checks import check
from cosmos_ops.operations.transfer25_needs import needs
from cosmos_ops.operations.transfer25_params import InferenceTransfer25, complete, reads
from cosmos_ops.operations.transfer25_reader import Reader
from cosmos_ops.operations.transfer25_spec import prepare

__all__ = ["INFERENCE_TRANSFER25", "InferenceTransfer25"]

INFERENCE_TRANSFER25 = Operation(
    name="inference",
    family=transfer25_process.FAMILY,
    params=InferenceTransfer25,
    check=check,
    needs_text=True,
    build_job=transfer25_process.build_job,
    reader=Reader,
    read_outputs=transfer25_process.read_outputs,
    needs_whole_files=True,
    reads=reads,
    complete=complete,
    takes_pictures=True,
    prepare=prepare,
    needs=needs,
)
"""Inference with cosmos-transfer2.5."""
