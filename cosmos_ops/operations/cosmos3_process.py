"""How the operations of Cosmos 3 start its program, and what its files tell of each run."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath

from pydantic import BaseModel, ValidationError

from cosmos_ops.errors import OutputMissingError
from cosmos_ops.job import (
    Completed,
    ContainerExit,
    ContainerSpec,
    Event,
    Findings,
    Job,
    JobItem,
    JobPaths,
    NotCompleted,
    Outcome,
    SampleFailed,
    SampleStarted,
)
from cosmos_ops.operations.outcomes import outcomes
from cosmos_ops.operations.program_log import shortened

FAMILY = "cosmos3"
IMAGE = "cosmos-cosmos3"
WORKDIR = "/workspace"
HUB_ENVIRONMENT = "/opt/hf_cli"
"""Of the image: the environment with the Hugging Face command line, which the program starts even for files that are there."""
SPECS = PurePosixPath("specs.jsonl")
OUT = PurePosixPath("out")
STARTED = "sample_args.json"
MARKER = "sample_outputs.json"
STALL_LIMIT_S = 1800.0
LOADING_LIMIT_S = 3600.0
"""A cold Cosmos3-Super is 128 GB; NVIDIA reports 1200 s on one kind of machine."""


class _Output(BaseModel):
    files: list[PurePosixPath] = []


class _Marker(BaseModel):
    status: str
    message: str | None = None
    outputs: list[_Output] | None = None


def inference_container(
    run_ids: Sequence[str], paths: JobPaths, arguments: Sequence[str], *, num_gpus: int, modes: tuple[str, ...]
) -> ContainerSpec:
    """The process that does all samples of the specs file.

    Args:
        run_ids: The runs, from which the port follows that several GPUs meet at.
        paths: What the process sees.
        arguments: Flags of the process.
        num_gpus: GPUs that work on one sample together.
        modes: What files of the model it needs.
    """
    several = ["torchrun", f"--nproc_per_node={num_gpus}", f"--master_port={_port(run_ids)}"]
    argv = [
        *(several if num_gpus > 1 else ["python"]),
        "-m",
        "cosmos_framework.scripts.inference",
        "--parallelism-preset=latency",
        "--keep-going",
        "--skip-invalid-samples",
        "-i",
        str(paths.job / SPECS),
        "-o",
        str(paths.job / OUT),
        *arguments,
    ]
    return container(argv, paths, gpu_count=num_gpus, modes=modes)


def container(
    argv: Sequence[str], paths: JobPaths, *, gpu_count: int, modes: tuple[str, ...], has_network: bool = False
) -> ContainerSpec:
    """A process of the image; without a network it takes all model files from the folder of models."""
    env = {"PYTHONNOUSERSITE": "1"}
    if not has_network:
        env |= {
            "HF_HOME": str(paths.models / "hf"),
            "HF_HUB_OFFLINE": "1",
            "IMAGINAIRE_HF_CLI_ENVIRONMENT": HUB_ENVIRONMENT,
            "PYTORCH_ALLOC_CONF": "expandable_segments:True",
        }
    return ContainerSpec(
        image=IMAGE,
        argv=tuple(argv),
        env=env,
        gpu_count=gpu_count,
        workdir=WORKDIR,
        family=FAMILY,
        modes=modes,
        has_network=has_network,
    )


def checkpoint_mode(checkpoint: str) -> str:
    """The name under which the list of model files has a checkpoint."""
    return checkpoint.removeprefix("Cosmos3-").lower()


def judge(
    job: Job,
    ended: ContainerExit,
    events: Sequence[Event],
    found: Findings,
    *,
    is_complete: Callable[[JobItem, Mapping[str, str]], bool],
) -> dict[str, Outcome]:
    """The outcome of each run; the arguments are those of `outcomes`."""
    results = outcomes(job, ended, [*events, *_told_by_files(job, found)], found, is_complete=is_complete)
    return {item.run_id: _with_required(item, results[item.run_id]) for item in job.items}


def _told_by_files(job: Job, found: Findings) -> list[Event]:
    """The file that is written when a sample begins, and the marker of one that was left out before."""
    events: list[Event] = []
    for item in job.items:
        if item.folder / STARTED in found.files:
            events.append(SampleStarted(item.run_id))
        marker = _read(found.texts.get(item.folder / MARKER, ""))
        if marker is not None and marker.status != "success":
            events.append(SampleFailed(item.run_id, shortened(marker.message or "the program left it out and gave no reason")))
    return events


def succeeded(item: JobItem, texts: Mapping[str, str]) -> bool:
    """Whether the marker says that the sample is complete, and names what the run is to bring home."""
    marker = _read(texts[str(item.folder / MARKER)])
    if marker is None or marker.status != "success" or not marker.outputs:
        return False
    named = {path.name for path in marker.outputs[0].files}
    return all(file.path.name in named for file in item.outputs if file.role in ("video", "image", "prompt"))


def _read(text: str) -> _Marker | None:
    try:
        return _Marker.model_validate_json(text)
    except ValidationError:
        return None


def _with_required(item: JobItem, outcome: Outcome) -> Outcome:
    """A complete run, unless a file that it promised is empty."""
    if isinstance(outcome, Completed):
        for file in item.outputs:
            if not file.is_optional and file.role not in outcome.files:
                return NotCompleted(OutputMissingError(f"run {item.run_id}: its {file.path.name} is empty; run it again"))
    return outcome


def _port(run_ids: Sequence[str]) -> int:
    """A port of the job's own, so that two jobs on one machine do not meet."""
    return 20_000 + int(hashlib.sha256(" ".join(run_ids).encode()).hexdigest(), 16) % 9_500


def jsonl(objects: Sequence[Mapping[str, object]]) -> str:
    """One object a line, in ASCII."""
    return "".join(json.dumps(line) + "\n" for line in objects)
