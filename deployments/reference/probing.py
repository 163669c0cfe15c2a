"""What operations do, found by asking them about imaginary inputs: where controls come from, which lengths, which jobs."""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any

from cosmos_ops.job import InputFile, Job, JobPaths, Sample
from cosmos_ops.operations.operation import Operation
from cosmos_ops.params import Params, PerRun, active_controls, parameters
from cosmos_ops.runs import VIDEO, Prompt, Run
from cosmos_ops.videos import VideoInfo

FRAMES, WIDTH_PX, HEIGHT_PX, FPS = 121, 1280, 720, Fraction(30_000, 1001)
FRAMES_BEYOND = 1_000_000
"""Whoever takes so many has no limit."""
GPUS_MAX = 8
PATHS = JobPaths(job=PurePosixPath("/cosmos/job"), inputs=PurePosixPath("/cosmos/inputs"))
PROMPT = Prompt("a street in the rain")

Videos = Mapping[str, VideoInfo]


def videos(*roles: str, frames: int = FRAMES) -> dict[str, VideoInfo]:
    """Imaginary videos by role."""
    return {
        role: VideoInfo(Path(f"{role}.mp4"), WIDTH_PX, HEIGHT_PX, frames, FPS, float(frames / FPS), has_audio=False)
        for role in roles
    }


def controls(operation: Operation[Any]) -> tuple[str, ...]:
    """All controls that the operation knows."""
    return tuple(_weights(operation))


def with_control(operation: Operation[Any], control: str) -> Params:
    """The parameters of a run with one control."""
    given: Params = operation.params.read({weight: float(name == control) for name, weight in _weights(operation).items()})
    return given


def source_of(operation: Operation[Any], control: str) -> str:
    """Where a control comes from."""
    params = with_control(operation, control)
    if problems(operation, params, videos(VIDEO)):
        return "file"
    made_here = any(step.role == control for step in operation.prepare(params, videos(VIDEO)))
    return "file, or made on this machine" if made_here else "file, or computed on the host"


def needs_video(operation: Operation[Any]) -> bool:
    """Whether the input video must be there although the only control has a file."""
    control = controls(operation)[0]
    return bool(problems(operation, with_control(operation, control), videos(control)))


def other_files(operation: Operation[Any]) -> tuple[str, ...]:
    """The roles that the operation reads beside the input video and the controls."""
    asked = [with_control(operation, control) for control in controls(operation)] or [operation.params()]
    roles = {role for params in asked for role in operation.reads(params)}
    return tuple(sorted(roles - {VIDEO, *controls(operation)}))


def frame_limits(operation: Operation[Any]) -> tuple[int, int | None]:
    """The fewest and the most frames of an input video; none if nothing limits them."""
    fewest = next(frames for frames in range(1, FRAMES + 1) if _takes(operation, frames))
    if _takes(operation, FRAMES_BEYOND):
        return fewest, None
    good, bad = FRAMES, FRAMES_BEYOND
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if _takes(operation, middle) else (good, middle)
    return fewest, good


def gpu_counts(operation: Operation[Any]) -> tuple[int, ...]:
    """The numbers of GPUs that one process may use."""
    if "num_gpus" not in operation.params.model_fields:
        return (job(operation).container.gpu_count,)
    found = videos(VIDEO, *_default_controls(operation))
    return tuple(
        count
        for count in range(1, GPUS_MAX + 1)
        if not problems(operation, operation.params().model_copy(update={"num_gpus": count}), found)
    )


def output_rate(operation: Operation[Any]) -> str:
    """Frames per second of the output for an input of 29.97, where a parameter says so."""
    filled = operation.complete(operation.params(), PROMPT, videos(VIDEO))
    return f"{filled.fps}, or `fps`" if "fps" in operation.params.model_fields else ""


def problems(operation: Operation[Any], params: Params, found: Videos) -> list[str]:
    """What is wrong with a request once all that follows from it is filled in."""
    return operation.check(operation.complete(params, PROMPT, found), found)


def job(operation: Operation[Any]) -> Job:
    """The job of one run with the default parameters."""
    found = videos(VIDEO, *_default_controls(operation))
    params = operation.complete(operation.params(), PROMPT, found)
    run = Run(PROMPT.id, operation.name, operation.family, params, request_key="page", id="rs_page")
    inputs = {role: InputFile(info.path, "0" * 64, 1) for role, info in found.items()}
    return operation.build_job("jb_page", [Sample(run, PROMPT, inputs, found)], PATHS)


def _weights(operation: Operation[Any]) -> dict[str, str]:
    """Control to the parameter that is its weight."""
    return {
        item.placement.control: item.name
        for item in parameters(operation.params)
        if isinstance(item.placement, PerRun) and item.placement.control
    }


def _default_controls(operation: Operation[Any]) -> tuple[str, ...]:
    return active_controls(operation.params())


def _takes(operation: Operation[Any], frames: int) -> bool:
    return not problems(operation, operation.params(), videos(VIDEO, *_default_controls(operation), frames=frames))
