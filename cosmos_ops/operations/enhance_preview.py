"""Prompt enhancement by rules: the text of a prompt gains sentences on light, weather, camera and materials."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field

from cosmos_ops.job import Job, JobPaths, Sample
from cosmos_ops.operations import preview_process
from cosmos_ops.operations.operation import Operation, no_files
from cosmos_ops.params import Params, PerProcess, PerRun
from cosmos_ops.videos import VideoInfo


class EnhancePreview(Params):
    """Parameters of rule-based prompt enhancement."""

    style: Annotated[Literal["plain", "cinematic", "documentary"], PerProcess("--style")] = Field("cinematic")
    """Manner of the added sentences."""
    seed: Annotated[int, PerRun("seed")] = Field(1, ge=0, le=2**31 - 1)
    """Chooses among the phrases that fit; the same seed gives the same text."""


def _check(_params: EnhancePreview, _videos: Mapping[str, VideoInfo]) -> list[str]:
    return []


def _build_job(job_id: str, samples: Sequence[Sample[EnhancePreview]], paths: JobPaths) -> Job:
    return preview_process.build_job(job_id, "enhance", samples, paths)


ENHANCE_PREVIEW = Operation(
    name="enhance",
    family=preview_process.FAMILY,
    params=EnhancePreview,
    check=_check,
    needs_text=True,
    build_job=_build_job,
    reader=preview_process.reader,
    read_outputs=preview_process.read_outputs,
    reads=no_files,
)
