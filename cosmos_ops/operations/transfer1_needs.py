"""How much work a video is for Cosmos-Transfer1, and how much memory it takes."""

from cosmos_ops.operations.transfer1_checks import shape_of
from cosmos_ops.operations.transfer1_params import Transfer1Params
from cosmos_ops.operations.transfer1_process import clip_count
from cosmos_ops.sizes import USUAL_PIXELS, SampleSize
from cosmos_ops.videos import VideoInfo

PIXELS = {"16:9": 1280 * 704, "4:3": 960 * 704, "1:1": 960 * 960, "3:4": 704 * 960, "9:16": 704 * 1280}
"""Of what the model makes, by its shape."""

MODEL_GB = 62.0
"""With one control. Nothing is published: users run it on GPUs of 80 GB, and 60 GB were too little (issue 189 upstream)."""
DISTILLED_GB = 30.0
"""32 GB did, and 24 did not (issues 205 and 192 upstream)."""
CONTROL_GB = 2.0
"""Each further control: 3 of the 28 blocks of 7 billion weights, and what it holds of its video."""
TEXT_ENCODER_GB = 10.0
"""Half of the 11 billion weights of T5 are its encoder, two bytes each."""
GUARDRAIL_GB = 17.0
"""8 billion weights of Llama Guard, and the filters of videos."""
UPSAMPLER_GB = 28.0
"""12 billion weights of Pixtral, and room for 4096 tokens."""


def clips_size(frames: int, video: VideoInfo | None, *, steps: int, calls: int, controls: int, pieces: int = 0) -> SampleSize:
    """The size of a sample; a begun clip costs as much as a full one.

    Args:
        frames: Of the result.
        video: What its shape follows.
        steps: Of each clip.
        calls: Passes in a step.
        controls: That the model computes with.
        pieces: What is sampled one after the other, where it is not the clips.
    """
    shape = shape_of(video) if video else "16:9"
    return SampleSize(
        frames=frames,
        chunks=pieces or clip_count(frames),
        steps=steps,
        calls_per_step=calls,
        controls=controls,
        pixels=PIXELS[shape] / USUAL_PIXELS,
    )


def memory_gb(params: Transfer1Params, *, controls: int, is_distilled: bool = False) -> float:
    """Memory on each GPU, all of which hold the whole model."""
    needed = DISTILLED_GB if is_distilled else MODEL_GB + CONTROL_GB * (controls - 1)
    needed += 0.0 if params.offload_text_encoder_model else TEXT_ENCODER_GB
    return needed + (0.0 if params.offload_guardrail_models else GUARDRAIL_GB)
