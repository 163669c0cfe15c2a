"""Enlarging a video by Lanczos resampling and an unsharp mask."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from cosmos_ops.job import Job, JobPaths, Sample
from cosmos_ops.operations import preview_process
from cosmos_ops.operations.operation import Operation
from cosmos_ops.params import Params, PerProcess, PerRun
from cosmos_ops.runs import VIDEO
from cosmos_ops.sizes import Needs
from cosmos_ops.videos import VideoInfo

SIDE_MAX_PX = 8192
"""Longest side that the H.264 encoder is asked for (level 6.2 ends at 8192)."""
ENLARGED_PIXEL = 0.125
"""What a pixel of the result takes, compared with one of inference; measured."""


class UpscalePreview(Params):
    """Parameters of preview upscaling."""

    factor: Annotated[int, PerProcess("--factor")] = Field(4, ge=2, le=4)
    """How many times wider and higher the video becomes."""
    sharpness: Annotated[float, PerRun("sharpness")] = Field(0.3, ge=0, le=1)
    """Strength of the unsharp mask, from 0 (off) to 1."""
    crf: Annotated[int, PerProcess("--crf")] = Field(20, ge=10, le=40)
    """Constant rate factor of the H.264 encoder; lower is better and larger."""


def _check(params: UpscalePreview, videos: Mapping[str, VideoInfo]) -> list[str]:
    video = videos.get(VIDEO)
    if video is None:
        return ["there is no video to upscale"]
    if max(video.width_px, video.height_px) * params.factor > SIDE_MAX_PX:
        return [
            f"{video.path} is {video.width_px}x{video.height_px}; {params.factor} times that is beyond {SIDE_MAX_PX} pixels "
            "a side; choose a smaller factor"
        ]
    return []


def _build_job(job_id: str, samples: Sequence[Sample[UpscalePreview]], paths: JobPaths) -> Job:
    return preview_process.build_job(job_id, "upscale", samples, paths)


def _needs(params: UpscalePreview, videos: Mapping[str, VideoInfo]) -> Needs:
    video = videos[VIDEO]
    return preview_process.needs(video, frames=video.frame_count, work=params.factor**2 * ENLARGED_PIXEL)


UPSCALE_PREVIEW = Operation(
    name="upscale",
    family=preview_process.FAMILY,
    params=UpscalePreview,
    check=_check,
    needs_text=False,
    build_job=_build_job,
    reader=preview_process.reader,
    read_outputs=preview_process.read_outputs,
    needs=_needs,
)
