"""The contract of the preview program (`docs/preview.md`), shared by its three operations: samples in, lines and markers out."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

from pydantic import BaseModel, ValidationError

from cosmos_ops.errors import (
    CosmosError,
    DiskFullError,
    OutOfMemoryError,
    OutputMissingError,
    ProcessFailedError,
    ProcessKilledError,
    ProcessOverdueError,
    ProcessStalledError,
    RunCancelledError,
    SampleBlockedError,
    SampleFailedError,
)
from cosmos_ops.job import (
    Completed,
    ContainerExit,
    ContainerSpec,
    Event,
    Findings,
    InputFile,
    Job,
    JobItem,
    JobPaths,
    NotCompleted,
    NotRun,
    Outcome,
    OutputFile,
    ProcessFailure,
    Sample,
    SampleEnded,
    SampleProgress,
    SampleStarted,
    TextFile,
)
from cosmos_ops.params import process_arguments, spec_values
from cosmos_ops.runs import P
from cosmos_ops.sizes import USUAL_PIXELS, Needs, SampleSize
from cosmos_ops.videos import VideoInfo

FAMILY = "preview"
IMAGE = "cosmos-preview"
STALL_LIMIT_S = 120.0
SAMPLES = PurePosixPath("samples.jsonl")
OUT = PurePosixPath("out")
MARKER = "done.json"

_STARTED = re.compile(r"INFO \[\d+/\d+\] Sample (\S+) started")
_ENDED = re.compile(r"\w+ \[\d+/\d+\] Sample (\S+) (?:saved|blocked|failed|skipped)")
_PROGRESS = re.compile(r"Sampling (\S+):\s+\d+%\|.*\| (\d+)/(\d+)")
_FAILURE = re.compile(r"ERROR (?!\[\d+/\d+\] Sample )(.*)")
_DISK_FULL = re.compile(r"DiskFullError|No space left on device")


class _MarkedFile(BaseModel):
    path: PurePosixPath
    sha256: str
    size_bytes: int


class _Marker(BaseModel):
    status: str
    reason: str = ""
    files: dict[str, _MarkedFile] = {}


def build_job(job_id: str, operation: str, samples: Sequence[Sample[P]], paths: JobPaths) -> Job:
    """The job of one batch of preview samples, whose control signatures are equal."""
    lines = [json.dumps(_sample_object(sample, paths), sort_keys=True) for sample in samples]
    argv = ["python", "-m", "cosmos_ops.preview", operation]
    argv += ["--samples", str(paths.job / SAMPLES), "--out", str(paths.job / OUT)]
    inputs = {file.host_path: file for sample in samples for file in sample.inputs.values()}
    return Job(
        id=job_id,
        operation=operation,
        family=FAMILY,
        container=ContainerSpec(image=IMAGE, argv=(*argv, *process_arguments(samples[0].run.params)), env={}, gpu_count=0),
        inputs=tuple(inputs.values()),
        files=(TextFile(SAMPLES, "\n".join(lines) + "\n"),),
        items=tuple(_item(sample.run.id) for sample in samples),
        stall_limit_s=STALL_LIMIT_S,
    )


def needs(video: VideoInfo, *, frames: int, controls: int = 0, work: float = 1.0) -> Needs:
    """What a run needs that makes so many frames from a video; it loads nothing.

    Args:
        video: The video.
        frames: Of the result.
        controls: That it computes with.
        work: What a pixel of the video takes, compared with inference.
    """
    pixels = video.width_px * video.height_px * work / USUAL_PIXELS
    return Needs(SampleSize(frames=frames, controls=controls, pixels=pixels), parts=0)


def reader(_job: Job) -> Callable[[str], list[Event]]:
    """Every line stands for itself."""
    return read_progress


def read_progress(line: str) -> list[Event]:
    """What one line tells."""
    if found := _PROGRESS.search(line):
        return [SampleProgress(found[1], int(found[2]), int(found[3]))]
    if found := _STARTED.match(line):
        return [SampleStarted(found[1])]
    if found := _ENDED.match(line):
        return [SampleEnded(found[1])]
    if found := _FAILURE.match(line):
        return [ProcessFailure(found[1])]
    return []


def read_outputs(
    job: Job,
    ended: ContainerExit,
    events: Sequence[Event],
    found: Findings,
) -> dict[str, Outcome]:
    """The outcome of each run, by its marker first and by exit and events where there is none."""
    started = {event.run_id for event in events if isinstance(event, SampleStarted)}
    finished = {event.run_id for event in events if isinstance(event, SampleEnded)}
    broken = _process_error(ended, events)
    outcomes: dict[str, Outcome] = {}
    for item in job.items:
        (marker,) = item.markers
        if marker in found.texts:
            outcomes[item.run_id] = _marked(item, found.texts[marker])
        elif item.run_id in started and item.run_id not in finished:
            outcomes[item.run_id] = NotCompleted(broken)
        elif started and not ended.is_cancelled and item.run_id not in started:
            outcomes[item.run_id] = NotRun()
        else:
            outcomes[item.run_id] = NotCompleted(broken)
    return outcomes


def _sample_object(sample: Sample[P], paths: JobPaths) -> dict[str, object]:
    spec: dict[str, object] = {**spec_values(sample.run.params), "name": sample.run.id}
    if sample.run.operation != "upscale":
        spec |= {"prompt": sample.prompt.text, "negative_prompt": sample.prompt.negative_text}
    controls = spec.get("controls")
    for role, file in sample.inputs.items():
        if isinstance(controls, dict) and role in controls:
            controls[role] = {**controls[role], "input": _seen(file, paths)}
        else:
            spec[role] = _seen(file, paths)
    return spec


def _seen(file: InputFile, paths: JobPaths) -> str:
    return str(paths.input(file))


def _item(run_id: str) -> JobItem:
    return JobItem(run_id=run_id, folder=OUT / run_id, markers=(OUT / run_id / MARKER,))


def _marked(item: JobItem, text: str) -> Outcome:
    try:
        marker = _Marker.model_validate_json(text)
    except ValidationError:
        return NotCompleted(OutputMissingError(f"run {item.run_id}: its completion marker {item.markers[0]} cannot be read"))
    if marker.status == "completed":
        files = {role: OutputFile(file.path, file.sha256, file.size_bytes) for role, file in marker.files.items()}
        return Completed(files)
    if marker.status == "blocked":
        return NotCompleted(SampleBlockedError(f"the guardrail refused it: {marker.reason}"))
    return NotCompleted(SampleFailedError(marker.reason or "the program gave no reason"))


def _process_error(ended: ContainerExit, events: Sequence[Event]) -> CosmosError:
    if ended.is_cancelled:
        return RunCancelledError("cancelled before it was complete")
    if ended.is_stalled:
        return ProcessStalledError("the process printed nothing for too long and was stopped")
    failure = next((event.text for event in events if isinstance(event, ProcessFailure)), "")
    if _DISK_FULL.search(failure):
        return DiskFullError(f"{failure}; make room, then run it again")
    if ended.oom_killed:
        return OutOfMemoryError("the kernel killed it, out of memory; use a smaller or shorter video, or allow more memory")
    if ended.is_overdue:
        return ProcessOverdueError("it ran longer than its host allows and was ended; use a shorter video, or raise the limit")
    if ended.code in (137, 143) and not failure:
        return ProcessKilledError(f"somebody outside killed the process (exit code {ended.code})")
    if ended.code == 0:
        return OutputMissingError("the process ended without this run's outputs; see its log")
    return ProcessFailedError(failure or f"the process ended with exit code {ended.code}; see its log")
