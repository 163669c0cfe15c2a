"""The process of cosmos-transfer2.5 (`examples/inference.py`): a batch as a job, and what became of each run of it."""

import zlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePosixPath

from cosmos_ops.job import (
    ContainerExit,
    ContainerSpec,
    Event,
    ExpectedFile,
    Findings,
    Job,
    JobItem,
    JobPaths,
    Outcome,
    ProcessFailure,
    Sample,
    SampleBlocked,
    SamplePhase,
)
from cosmos_ops.operations.outcomes import outcomes
from cosmos_ops.operations.transfer25_limits import stall_limit_s, stall_limits_s
from cosmos_ops.operations.transfer25_params import InferenceTransfer25
from cosmos_ops.operations.transfer25_reader import VIDEO_REFUSED
from cosmos_ops.operations.transfer25_spec import BATCH, batch_file, computed_models, frames_of, has_mask, plan_file
from cosmos_ops.params import active_controls, process_arguments
from cosmos_ops.runs import VIDEO, Phase

FAMILY = "transfer25"
IMAGE = "cosmos-transfer25"
WORKDIR = "/workspace"
OUT = PurePosixPath("out")
PROGRAM = "examples/inference.py"
PORT_MIN, PORT_MAX = 20_000, 29_499


def build_job(job_id: str, samples: Sequence[Sample[InferenceTransfer25]], paths: JobPaths) -> Job:
    """The job of one batch, whose control signatures are equal: one set of controls, one set of flags."""
    params = samples[0].run.params
    return Job(
        id=job_id,
        operation="inference",
        family=FAMILY,
        container=ContainerSpec(
            image=IMAGE,
            argv=(*_starter(samples), "-i", str(paths.job / BATCH), "-o", str(paths.job / OUT), *_flags(params)),
            env=_environment(params, paths),
            gpu_count=params.num_gpus,
            workdir=WORKDIR,
            family=FAMILY,
            modes=modes_of([(sample.run.params, sample.inputs) for sample in samples]),
        ),
        inputs=tuple({file.host_path: file for sample in samples for file in sample.inputs.values()}.values()),
        files=(batch_file(samples, paths), plan_file(samples)),
        items=tuple(_item(sample) for sample in samples),
        stall_limit_s=stall_limit_s(samples),
        stall_limits_s=stall_limits_s(samples),
    )


def read_outputs(job: Job, ended: ContainerExit, events: Sequence[Event], found: Findings) -> dict[str, Outcome]:
    """The outcome of each run: complete is one whose prompt has been written, which is the last thing that happens."""
    blocked = _blocked_at_the_end(events) if ended.code == 0 and not ended.is_cancelled else []
    return outcomes(job, ended, [*events, *blocked], found, is_complete=_is_complete)


def _starter(samples: Sequence[Sample[InferenceTransfer25]]) -> tuple[str, ...]:
    count = samples[0].run.params.num_gpus
    if count == 1:
        return ("python", PROGRAM)
    runs = " ".join(sample.run.id for sample in samples)
    port = PORT_MIN + zlib.crc32(runs.encode()) % (PORT_MAX - PORT_MIN + 1)
    return ("torchrun", f"--nproc_per_node={count}", f"--master_port={port}", PROGRAM)


def _flags(params: InferenceTransfer25) -> list[str]:
    controls = active_controls(params)
    flags = process_arguments(params)
    if params.distilled:
        flags += ["--model", "edge/distilled"]
    elif len(controls) == 1:
        # The checkpoint of this flag is fetched in any case; without it, that of the edge control.
        flags += ["--model", controls[0]]
    if params.compile_tokenizer != "none":
        flags += ["--compile-tokenizer", params.compile_tokenizer.upper()]
    if not params.guardrails:
        flags.append("--disable-guardrails")
    elif params.num_gpus > 1:
        # Only one of the processes knows of a block. If it went on, they would work on different samples together.
        flags.append("--no-keep-going")
    return flags


def _environment(params: InferenceTransfer25, paths: JobPaths) -> dict[str, str]:
    env = {
        "HF_HOME": str(paths.models / "hf"),
        "HF_HUB_OFFLINE": "1",
        "UV_OFFLINE": "1",
        # Without it, the lines about chunks go to a file of their own.
        "COSMOS_VERBOSE": "1",
        "PYTHONUTF8": "1",
    }
    return env | ({"COSMOS_EXPERIMENTAL_CHECKPOINTS": "1"} if params.distilled else {})


def modes_of(runs: Sequence[tuple[InferenceTransfer25, Collection[str]]]) -> tuple[str, ...]:
    """What the process of these runs does with its model files; each run comes with the roles of its files."""
    params = runs[0][0]
    controls = active_controls(params)
    model = "distilled" if params.distilled else controls[0] if len(controls) == 1 else "multi"
    computed = {mode for one, roles in runs for mode in computed_models(one, roles)}
    return ("always", model, *(["guardrails"] if params.guardrails else []), *sorted(computed))


def _item(sample: Sample[InferenceTransfer25]) -> JobItem:
    run_id = sample.run.id
    is_picture = frames_of(sample) == 1
    suffix = ".jpg" if is_picture else ".mp4"
    role, name = ("image", "image.jpg") if is_picture else (VIDEO, "video.mp4")
    controls = active_controls(sample.run.params)
    beside = [f"control_{control}" for control in controls]
    beside += [f"mask_{control}" for control in controls if has_mask(sample, control)]
    beside += ["mask_guided_generation"] if "guided_mask" in sample.inputs else []
    return JobItem(
        run_id=run_id,
        folder=OUT,
        markers=(OUT / f"{run_id}.txt",),
        outputs=(
            ExpectedFile(role, OUT / f"{run_id}{suffix}", name),
            ExpectedFile("spec", OUT / f"{run_id}.json", "spec.json", is_optional=True),
            *(ExpectedFile(one, OUT / f"{run_id}_{one}{suffix}", one + suffix, is_optional=True) for one in beside),
        ),
        text=sample.prompt.text,
    )


def _is_complete(item: JobItem, texts: Mapping[str, str]) -> bool:
    return all(_lines(text) == _lines(item.text) for text in texts.values())


def _lines(text: str) -> str:
    """A text whose line ends are alike, because reading a file may change them."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _blocked_at_the_end(events: Sequence[Event]) -> list[Event]:
    """The block of a last video: the program goes to its end from there, without a word."""
    last = next((event for event in reversed(events) if not isinstance(event, ProcessFailure)), None)
    if not isinstance(last, SamplePhase) or last.phase is not Phase.GUARDRAIL:
        return []
    mine = {event.phase for event in events if isinstance(event, SamplePhase) and event.run_id == last.run_id}
    is_made = mine & {Phase.SAMPLING, Phase.DECODING, Phase.SAVING}
    return [SampleBlocked(last.run_id, VIDEO_REFUSED)] if is_made else []
