"""Runs, samples and jobs of cosmos-transfer2.5 for its tests."""

import json
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any

from cosmos_ops.job import InputFile, Job, JobPaths, Sample
from cosmos_ops.operations.inference_transfer25 import INFERENCE_TRANSFER25, InferenceTransfer25
from cosmos_ops.runs import Prompt
from cosmos_ops.videos import VideoInfo
from tests.builders import a_run

PATHS = JobPaths(job=PurePosixPath("/cosmos/job"), inputs=PurePosixPath("/cosmos/inputs"))


def params_of(**values: Any) -> InferenceTransfer25:
    return InferenceTransfer25.read(values)


def info(name: str = "video.mp4", frames: int = 93, size: tuple[int, int] = (1280, 704), fps: Any = 24) -> VideoInfo:
    return VideoInfo(Path("/videos") / name, *size, frames, Fraction(fps), frames / float(Fraction(fps)), False)


def a_sample(
    params: InferenceTransfer25 | None = None,
    *,
    number: int = 1,
    text: str = "a street",
    negative: str = "",
    frames: int = 93,
    **files: str,
) -> Sample[InferenceTransfer25]:
    """A sample with an input video, and with files of other roles by their names."""
    run = a_run(params or params_of(), id=f"rs_{number}", family="transfer25")
    names = {"video": "video.mp4", **files}
    inputs = {role: InputFile(Path("/videos") / name, f"{role}{number}", 10) for role, name in names.items()}
    videos = {role: info(name, frames) for role, name in names.items()}
    return Sample(run, Prompt(text, negative), inputs, videos)


def a_job(*samples: Sample[InferenceTransfer25]) -> Job:
    return INFERENCE_TRANSFER25.build_job("jb_1", samples or (a_sample(),), PATHS)


def lines_of(job: Job) -> list[dict[str, Any]]:
    """The samples as the program reads them: what is between line feeds and all else that it takes for line ends."""
    (text,) = [file.text for file in job.files if file.path.name == "batch.jsonl"]
    return [json.loads(line) for line in text.splitlines()]


def line_of(sample: Sample[InferenceTransfer25]) -> dict[str, Any]:
    (line,) = lines_of(a_job(sample))
    return line
