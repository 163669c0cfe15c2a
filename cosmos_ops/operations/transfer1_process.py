"""The contract of `transfer.py` of Cosmos-Transfer1, shared by inference and upscale.

It always runs in batch mode: one base spec names the controls, each line of the batch one video. A line says everything for
itself, so that nothing leaks into it from the base or a neighbour. What is said once goes on the command line, where it wins.
"""

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from pydantic import JsonValue

from cosmos_ops.job import ContainerExit, ContainerSpec, Event, Findings, InputFile, Job, JobItem, JobPaths, Outcome, TextFile
from cosmos_ops.operations.outcomes import outcomes
from cosmos_ops.operations.transfer1_params import Transfer1Params, negative_arguments
from cosmos_ops.params import process_arguments
from cosmos_ops.runs import Phase

FAMILY = "transfer1"
IMAGE = "cosmos-transfer1"
WORKDIR = "/workspace"
SCRIPT = "cosmos_transfer1/diffusion/inference/transfer.py"
SPEC = PurePosixPath("spec.json")
BATCH = PurePosixPath("batch.jsonl")
PLAN = PurePosixPath("plan.json")
"""Ours: the run and the number of clips of each line of the batch."""
OUT = PurePosixPath("out")

CLIP_FRAMES = 121
"""Frames that the model makes at once; from the second clip on, the first of them is the last of the clip before."""
DEFAULT_PROMPT = (
    "The video captures a stunning, photorealistic scene with remarkable attention to detail, giving it a lifelike appearance "
    "that is almost indistinguishable from reality. It appears to be from a high-budget 4K movie, showcasing "
    "ultra-high-definition quality with impeccable resolution."
)
"""What the program takes where it is given no prompt."""

STALL_LIMIT_S = 3600.0
"""Files of 45 GB and more are read without a word, also again for a video where models are offloaded."""
STALL_S_PER_FRAME = 4.0
STALL_S_PER_STEP = 240.0
"""Two passes over a clip, several times what a slow GPU was seen to take."""


@dataclass(frozen=True)
class Line:
    """One line of the batch: one video that the process makes."""

    visual_input: InputFile | None
    prompt: str
    overrides: Mapping[str, Mapping[str, JsonValue]]
    """Control to all that the process shall know of it for this video."""
    frame_count: int


@dataclass(frozen=True)
class Work:
    """One run: its lines, and what else it brings."""

    run_id: str
    lines: Sequence[Line]
    item: JobItem
    files: Sequence[InputFile] = ()


@dataclass(frozen=True)
class Process:
    """What the process is told once."""

    params: Transfer1Params
    base: Mapping[str, JsonValue]
    modes: tuple[str, ...]
    flags: tuple[str, ...] = ()
    patches: int = 1
    """How many times a clip is sampled, one part of the picture after the other."""
    stall_limits_s: Mapping[str, float] = field(default_factory=dict)


def clip_count(frame_count: int) -> int:
    """Clips of a video of so many frames."""
    return max(1, -(-(frame_count - 1) // (CLIP_FRAMES - 1)))


def folder_of(index: int) -> PurePosixPath:
    """Where the process writes what it makes of a line."""
    return OUT / f"video_{index}"


def marker_of(index: int) -> PurePosixPath:
    """The file that it writes last, with the prompt."""
    return folder_of(index) / "prompt.txt"


def build_job(job_id: str, operation: str, process: Process, work: Sequence[Work], paths: JobPaths) -> Job:
    """The job of one batch."""
    lines = [(run.run_id, line) for run in work for line in run.lines]
    texts = {
        SPEC: json.dumps(process.base, indent=2),
        BATCH: "".join(json.dumps(_line_object(line, paths)) + "\n" for _, line in lines),
        PLAN: json.dumps([{"run": run_id, "clips": clip_count(line.frame_count)} for run_id, line in lines]),
    }
    files = {file.host_path: file for run in work for file in run.files}
    return Job(
        id=job_id,
        operation=operation,
        family=FAMILY,
        container=container(process, [run.run_id for run in work], _dummy(work, paths), paths),
        inputs=tuple(files.values()),
        files=tuple(TextFile(path, text) for path, text in texts.items()),
        items=tuple(run.item for run in work),
        stall_limit_s=STALL_LIMIT_S,
        stall_limits_s=_stall_limits(process, max(line.frame_count for _, line in lines)),
    )


def container(process: Process, run_ids: Sequence[str], input_video: str, paths: JobPaths) -> ContainerSpec:
    """The process; the flag of a number has its value as an argument of its own, because only then it wins over the spec."""
    params = process.params
    argv = [*torchrun(run_ids, process_count=params.num_gpus), SCRIPT, "--checkpoint_dir", str(checkpoints(paths))]
    argv += ["--controlnet_specs", str(paths.job / SPEC), "--batch_input_path", str(paths.job / BATCH), "--batch_size", "1"]
    argv += ["--video_save_folder", str(paths.job / OUT), "--input_video_path", input_video]
    argv += [*process_arguments(params), *negative_arguments(params), *process.flags]
    return ContainerSpec(
        image=IMAGE,
        argv=tuple(argv),
        env=environment(paths),
        gpu_count=params.num_gpus,
        workdir=WORKDIR,
        family=FAMILY,
        modes=process.modes,
    )


def torchrun(run_ids: Sequence[str], *, process_count: int) -> list[str]:
    """The start of the command; two jobs on one host need two ports."""
    port = 20_000 + zlib.crc32(" ".join(run_ids).encode()) % 9_500
    return ["torchrun", f"--nproc_per_node={process_count}", "--nnodes=1", "--node_rank=0", f"--master_port={port}"]


def checkpoints(paths: JobPaths) -> PurePosixPath:
    """Where the weights lie that the program finds by folder; others lie in the cache of Hugging Face."""
    return paths.models / "transfer1"


def environment(paths: JobPaths) -> dict[str, str]:
    """Variables of every process of this family; it has no network."""
    return {
        "PYTHONPATH": WORKDIR,
        "PYTHONUNBUFFERED": "1",
        "HF_HOME": str(paths.models / "hf"),
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "LOGURU_LEVEL": "INFO",
    }


def read_outputs(job: Job, ended: ContainerExit, events: Sequence[Event], found: Findings) -> dict[str, Outcome]:
    """The outcome of each run: complete if all its markers repeat its prompt."""
    return outcomes(job, ended, events, found, is_complete=_is_complete)


def _is_complete(item: JobItem, texts: Mapping[str, str]) -> bool:
    return all(_words(text) == _words(item.text) for text in texts.values())


def _words(text: str) -> str:
    """A text without what a file may change about it: ends of lines, and blanks around it."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def _line_object(line: Line, paths: JobPaths) -> dict[str, JsonValue]:
    # An empty path is a video that is not there; null would break the programs that compute controls.
    video = str(paths.input(line.visual_input)) if line.visual_input else ""
    return {"visual_input": video, "prompt": line.prompt, "control_overrides": {k: dict(v) for k, v in line.overrides.items()}}


def _dummy(work: Sequence[Work], paths: JobPaths) -> str:
    """A path that is there: in batch mode the process only looks whether it was given one."""
    videos = [line.visual_input for run in work for line in run.lines if line.visual_input]
    files = [file for run in work for file in run.files]
    return str(paths.input((videos or files)[0]))


def _stall_limits(process: Process, frame_count: int) -> dict[str, float]:
    sampling = STALL_LIMIT_S + STALL_S_PER_STEP * (process.params.num_steps + 1) * process.patches
    by_length = STALL_LIMIT_S + STALL_S_PER_FRAME * frame_count
    return {
        Phase.LOADING.value: 2 * STALL_LIMIT_S,
        Phase.PREPROCESSING.value: by_length,
        Phase.SAMPLING.value: sampling,
        Phase.GUARDRAIL.value: by_length,
        **process.stall_limits_s,
    }
