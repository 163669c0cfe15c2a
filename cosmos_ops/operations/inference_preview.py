"""Video from a text and controls by classical processing on the CPU: a rehearsal of inference, no neural model."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from cosmos_ops.job import Job, JobPaths, Sample
from cosmos_ops.operations import preview_process
from cosmos_ops.operations.operation import Operation
from cosmos_ops.params import Params, PerProcess, PerRun, active_controls
from cosmos_ops.runs import VIDEO
from cosmos_ops.sizes import Needs
from cosmos_ops.videos import VideoInfo

SIDE_MIN_PX = 16
"""Smaller pictures leave nothing of a control."""

Strength = Literal["very_low", "low", "medium", "high", "very_high"]


class InferencePreview(Params):
    """Parameters of preview inference."""

    vis_weight: Annotated[float, PerRun("controls.vis.weight", control="vis")] = Field(0.5, ge=0, le=1)
    """Weight of the blurred colour of the input, from 0 (left out) to 1."""
    edge_weight: Annotated[float, PerRun("controls.edge.weight", control="edge")] = Field(0.5, ge=0, le=1)
    """Weight of the contours, from 0 (left out) to 1."""
    depth_weight: Annotated[float, PerRun("controls.depth.weight", control="depth")] = Field(0.5, ge=0, le=1)
    """Weight of the distance from the camera, from 0 (left out) to 1."""
    seg_weight: Annotated[float, PerRun("controls.seg.weight", control="seg")] = Field(0.5, ge=0, le=1)
    """Weight of the regions of equal meaning, from 0 (left out) to 1."""
    seed: Annotated[int, PerRun("seed")] = Field(1, ge=0, le=2**31 - 1)
    """Seed of grain, weather and shades; the same seed gives the same video."""
    guidance: Annotated[float, PerRun("guidance")] = Field(5.0, ge=0, le=10)
    """How strongly the text sets the look, from 0 (not at all) to 10."""
    grain: Annotated[float, PerRun("grain")] = Field(1.0, ge=0, le=4)
    """Film grain as a multiple of what the look of the text has; 0 gives none."""
    max_frames: Annotated[int, PerRun("max_frames")] = Field(0, ge=0, le=1_000_000)
    """Number of frames after which the video ends; 0 takes all."""
    smoothing_passes: Annotated[int, PerProcess("--smoothing-passes")] = Field(1, ge=0, le=4)
    """Edge-preserving smoothing passes per frame; more is slower and calmer."""
    blur_strength: Annotated[Strength, PerProcess("--blur-strength")] = Field("medium")
    """How much a computed vis control is blurred."""
    edge_threshold: Annotated[Strength, PerProcess("--edge-threshold")] = Field("medium")
    """How strong an edge must be to enter a computed edge control."""
    crf: Annotated[int, PerProcess("--crf")] = Field(20, ge=10, le=40)
    """Constant rate factor of the H.264 encoder; lower is better and larger."""

    @model_validator(mode="after")
    def _some_control_has_weight(self) -> Self:
        if not active_controls(self):
            raise ValueError("all control weights are 0; give at least one of vis, edge, depth and seg a weight above 0")
        return self


def _check(params: InferencePreview, videos: Mapping[str, VideoInfo]) -> list[str]:
    controls = active_controls(params)
    missing = [name for name in controls if name not in videos]
    if VIDEO not in videos and missing:
        return [f"there is neither a colour video nor a control video for {', '.join(missing)}; add one, or set the weight to 0"]
    reference = videos.get(VIDEO) or videos[controls[0]]
    if min(reference.width_px, reference.height_px) < SIDE_MIN_PX:
        size = f"{reference.width_px}x{reference.height_px}"
        return [f"{reference.path} is {size}; a video needs at least {SIDE_MIN_PX} pixels a side"]
    used = [videos[name] for name in controls if name in videos]
    return [problem for video in used for problem in _differences(video, reference)]


def _differences(video: VideoInfo, reference: VideoInfo) -> list[str]:
    problems = []
    if (video.width_px, video.height_px) != (reference.width_px, reference.height_px):
        problems.append(
            f"{video.path} is {video.width_px}x{video.height_px}, but {reference.path} is "
            f"{reference.width_px}x{reference.height_px}; control videos need the size of the input"
        )
    if video.frame_count != reference.frame_count:
        problems.append(
            f"{video.path} has {video.frame_count} frames, but {reference.path} has {reference.frame_count}; "
            "control videos need the length of the input"
        )
    return problems


def _build_job(job_id: str, samples: Sequence[Sample[InferencePreview]], paths: JobPaths) -> Job:
    return preview_process.build_job(job_id, "inference", samples, paths)


def _needs(params: InferencePreview, videos: Mapping[str, VideoInfo]) -> Needs:
    controls = active_controls(params)
    video = next(videos[role] for role in (VIDEO, *controls) if role in videos)
    frames = min(video.frame_count, params.max_frames or video.frame_count)
    return preview_process.needs(video, frames=frames, controls=len(controls))


INFERENCE_PREVIEW = Operation(
    name="inference",
    family=preview_process.FAMILY,
    params=InferencePreview,
    check=_check,
    needs_text=True,
    build_job=_build_job,
    reader=preview_process.reader,
    read_outputs=preview_process.read_outputs,
    needs=_needs,
)
