"""Requests, samples and jobs of Cosmos 3 for its tests."""

import json
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any

from cosmos_ops.job import ContainerExit, ExpectedFile, Findings, InputFile, Job, JobPaths, NotCompleted, OutputFile, Sample
from cosmos_ops.operations.enhance_cosmos3 import ENHANCE_COSMOS3
from cosmos_ops.operations.inference_cosmos3 import INFERENCE_COSMOS3
from cosmos_ops.operations.operation import Operation
from cosmos_ops.runs import Prompt
from cosmos_ops.videos import VideoInfo
from tests.builders import a_run

PATHS = JobPaths(job=PurePosixPath("/cosmos/job"), inputs=PurePosixPath("/cosmos/inputs"))
ENDED = ContainerExit(0)


def info(name: str, frames: int = 121, width: int = 1280, height: int = 720, fps: Any = 24) -> VideoInfo:
    frames = 1 if name.endswith((".png", ".jpg", ".jpeg", ".webp", ".bmp")) else frames
    rate = Fraction(fps)
    return VideoInfo(Path("/videos") / name, width, height, frames, rate, float(frames / rate), has_audio=False)


def files(*names: str, **values: Any) -> dict[str, VideoInfo]:
    """Role to what is known of its file; a name without a suffix is an mp4."""
    return {name.split(".")[0]: info(name if "." in name else f"{name}.mp4", **values) for name in names}


def a_sample(
    operation: Operation[Any] = INFERENCE_COSMOS3,
    number: int = 1,
    videos: dict[str, VideoInfo] | None = None,
    text: str = "a street",
    **params: Any,
) -> Sample[Any]:
    """A sample as the flows make it: completed, with the files that its operation reads."""
    given = operation.params.read(params)
    used = {
        role: video for role, video in (files("video") if videos is None else videos).items() if role in operation.reads(given)
    }
    prompt = Prompt(text, params.get("negative_prompt", ""))
    run = a_run(operation.complete(given, prompt, used), id=f"rs_{number}", operation=operation.name, family="cosmos3")
    inputs = {role: InputFile(video.path, f"{role}{number}", 10) for role, video in used.items()}
    return Sample(run, prompt, inputs, used)


def an_enhancement(number: int = 1, **values: Any) -> Sample[Any]:
    return a_sample(ENHANCE_COSMOS3, number, **{"videos": {}, **values})


def a_job(*samples: Sample[Any]) -> Job:
    operation = ENHANCE_COSMOS3 if samples[0].run.operation == "enhance" else INFERENCE_COSMOS3
    return operation.build_job("jb_1", samples, PATHS)


def specs(job: Job) -> list[dict[str, Any]]:
    return [json.loads(line) for line in job.files[0].text.splitlines()]


def a_spec(**values: Any) -> dict[str, Any]:
    return specs(a_job(a_sample(**values)))[0]


def problems(*, videos: dict[str, VideoInfo] | None = None, **params: Any) -> list[str]:
    """What the check says to a request as the flows ask it: after its values are completed."""
    given = INFERENCE_COSMOS3.params.read(params)
    used = {
        role: video
        for role, video in (files("video") if videos is None else videos).items()
        if role in INFERENCE_COSMOS3.reads(given)
    }
    return INFERENCE_COSMOS3.check(INFERENCE_COSMOS3.complete(given, Prompt("a street"), used), used)


def a_marker(file: str = "vision.mp4", status: str = "success", **values: Any) -> str:
    outputs = [{"content": {}, "files": [f"/cosmos/job/out/any/{file}"]}]
    return json.dumps({"args": {"seed": 1}, "status": status, "message": None, "stack_trace": None, "outputs": outputs, **values})


def found(job: Job, *, log: tuple[str, ...] = (), started: tuple[str, ...] = (), **markers: str) -> Findings:
    """All files of the runs with a marker, and the first file of those that were only started."""
    items = {item.run_id: item for item in job.items}
    texts = {items[run_id].markers[0]: text for run_id, text in markers.items()}
    left = [file for run_id in markers for file in items[run_id].outputs]
    left += [file for run_id in started for file in items[run_id].outputs if file.role == "spec"]
    return Findings(texts, {file.path: output(file) for file in left}, log)


def output(file: ExpectedFile, size_bytes: int = 5) -> OutputFile:
    return OutputFile(file.path, "ab", size_bytes, file.name)


SERVER = {"method": "server", "endpoint_url": "https://models.example/v1"}


def kinds(outcomes):
    return [outcome.error.__class__ if isinstance(outcome, NotCompleted) else outcome.__class__ for outcome in outcomes.values()]


def enhanced(job, texts, *, reasoner=True):
    """What is left of runs that got these texts."""
    found = {}
    for item in job.items:
        if item.run_id in texts:
            found[item.markers[-1]] = texts[item.run_id]
            if reasoner:
                found[item.markers[0]] = a_marker("reasoner_text.txt")
    files_left = {file.path: output(file) for item in job.items if item.run_id in texts for file in item.outputs}
    return Findings(found, files_left)
