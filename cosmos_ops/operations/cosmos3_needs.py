"""How much work a run is for Cosmos 3, and what it needs of a machine."""

from collections.abc import Mapping

from cosmos_ops.operations.cosmos3_enhance_params import EnhanceCosmos3
from cosmos_ops.operations.cosmos3_params import InferenceCosmos3
from cosmos_ops.operations.cosmos3_process import FAMILY, checkpoint_mode
from cosmos_ops.operations.cosmos3_shape import chunks_of, complete, rounded_up
from cosmos_ops.params import active_controls
from cosmos_ops.runs import Prompt
from cosmos_ops.sizes import USUAL_PIXELS, Needs, SampleSize
from cosmos_ops.videos import VideoInfo

PIXELS = {
    "256": 320 * 192 / USUAL_PIXELS,
    "480": 832 * 480 / USUAL_PIXELS,
    "720": 1.0,
    "768": 1360 * 768 / USUAL_PIXELS,
}
"""Of wide pictures; those of the other shapes have nearly as many."""
USUAL_FRAMES = 189
"""Of the videos whose times are published."""

WEIGHTS_GB = {"Edge": 8.0, "Nano": 34.0, "Super": 124.0}
WORKING_GB = 14.0
"""Shared by the GPUs; Nano takes up to 46 to 50 GB for 720p, 34 of them idle (vLLM-Omni)."""
QUANTIZED_SHARE = 0.65
"""Of the weights: Nano with 8 bits takes up to 36 GB."""
REASONER_WORKING_GB = 4.0
GUARDRAIL_GB = 2.0
"""0.6 billion weights for texts, and the filters of videos."""


def inference_needs(params: InferenceCosmos3, videos: Mapping[str, VideoInfo]) -> Needs:
    """What a run of inference needs."""
    spread_over = params.dp_shard_size or params.num_gpus
    weights = WEIGHTS_GB[_kind(params.checkpoint)] * (1.0 if params.quantization_method == "none" else QUANTIZED_SHARE)
    guardrail = GUARDRAIL_GB if params.guardrails and not params.offload_guardrail_models else 0.0
    return Needs(
        size=_size(complete(params, Prompt(""), videos)),
        model=_model(params.checkpoint),
        parts=0,
        gpu_count=params.num_gpus,
        memory_gb=weights / spread_over + WORKING_GB / params.num_gpus + guardrail,
        modes=inference_modes(params),
    )


def inference_modes(params: InferenceCosmos3) -> tuple[str, ...]:
    """What the process does with its model files."""
    return (checkpoint_mode(params.checkpoint), "vae", *["guardrails"] * params.guardrails)


def enhance_needs(params: EnhanceCosmos3, _videos: Mapping[str, VideoInfo]) -> Needs:
    """What a run of enhancement needs; for the time it does not matter what it looks at."""
    size = SampleSize(frames=1)
    if params.method == "server":
        return Needs(size, model=f"{FAMILY}/server", parts=0)
    return Needs(
        size,
        model=f"{_model(params.checkpoint) or FAMILY}/enhance",
        parts=0,
        gpu_count=params.num_gpus,
        memory_gb=WEIGHTS_GB[_kind(params.checkpoint)] / params.num_gpus + REASONER_WORKING_GB,
        modes=enhance_modes(params),
    )


def enhance_modes(params: EnhanceCosmos3) -> tuple[str, ...]:
    """What the process of the reasoner does with its model files."""
    return (checkpoint_mode(params.checkpoint), *["guardrails"] * params.guardrails)


def _kind(checkpoint: str) -> str:
    return checkpoint.split("-")[1]


def _model(checkpoint: str) -> str:
    """Whose coefficients count; the checkpoints of Super are alike but for their steps."""
    return {"Edge": f"{FAMILY}/edge", "Super": f"{FAMILY}/super"}.get(_kind(checkpoint), "")


def _size(params: InferenceCosmos3) -> SampleSize:
    """The size of a run whose values are all filled in."""
    controls, frames = active_controls(params), max(1, params.num_frames)
    chunks, chunk = 1, frames
    if controls and params.num_video_frames_per_chunk:
        overlap = params.num_conditional_frames
        chunks = chunks_of(frames, chunk=params.num_video_frames_per_chunk, overlap=overlap)
        chunk = 1 if frames == 1 else params.num_video_frames_per_chunk
    return SampleSize(
        frames=frames,
        chunks=chunks,
        steps=params.num_steps,
        calls_per_step=1 + (params.guidance != 1) + bool(controls and params.control_guidance != 1),
        controls=len(controls),
        pixels=PIXELS[params.resolution] * rounded_up(chunk) / USUAL_FRAMES,
    )
