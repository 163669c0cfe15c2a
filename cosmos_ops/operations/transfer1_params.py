"""Parameters that every operation of Cosmos-Transfer1 gives its process, and what of them follows from the inputs."""

from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

from pydantic import BeforeValidator, Field

from cosmos_ops.params import Params, PerProcess, Scalar
from cosmos_ops.runs import VIDEO, Prompt
from cosmos_ops.videos import VideoInfo

FPS_MAX = 240
SIGMA_OF_NOISE = 80.0
"""From here on the model starts from pure noise, and the input video plays no part."""
TEXT_LENGTH_MAX = 10_000
LATENT_FRAMES = 16
"""Frames of a clip in the latent space, which several GPUs share evenly."""

Strength = Literal["very_low", "low", "medium", "high", "very_high"]


def _clean(text: str) -> str:
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8").strip()


# Before the length counts.
Text = Annotated[str, BeforeValidator(lambda value: _clean(value) if isinstance(value, str) else value)]
"""A text without blanks around it and without what no command line and no file takes: NUL, and halves of surrogate pairs."""


class Transfer1Params(Params):
    """What one process of `transfer.py` takes once, for all samples of its batch."""

    num_steps: Annotated[int, PerProcess("--num_steps")] = Field(35, ge=1, le=200)
    """Sampling steps for each clip of 121 frames; the distilled model always takes one."""
    guidance: Annotated[float, PerProcess("--guidance")] = Field(5.0, ge=0, le=20)
    """Scale of classifier-free guidance: how strongly the text sets the look."""
    sigma_max: Annotated[float, PerProcess("--sigma_max")] = Field(70.0, ge=0.1, le=80)
    """Noise put over the input video before sampling; 80 ignores the video, and is taken where there is only a control video."""
    seed: Annotated[int, PerProcess("--seed")] = Field(1, ge=0, le=2**31 - 1)
    """Seed of the first clip of every video; each later clip adds 1."""
    fps: Annotated[int, PerProcess("--fps", omit=0)] = Field(0, ge=0, le=FPS_MAX)
    """Frames per second written into the output; 0 follows the input, rounded."""
    negative_prompt: Annotated[Text, PerProcess()] = Field("")
    """What the video must not show; empty follows the prompt, and without one there the model's own text is used."""
    num_gpus: Annotated[int, PerProcess("--num_gpus")] = Field(1, ge=1, le=8)
    """GPUs that share each clip: 1, 2, 4 or 8; every one of them holds the whole model."""
    offload_text_encoder_model: Annotated[bool, PerProcess("--offload_text_encoder_model")] = Field(True)
    """Whether the text encoder leaves the GPU after use, and is loaded again for each video."""
    offload_guardrail_models: Annotated[bool, PerProcess("--offload_guardrail_models")] = Field(True)
    """Whether the guardrail leaves the GPU after use, and is loaded again for each video."""
    offload_diffusion_transformer: Annotated[bool, PerProcess("--offload_diffusion_transformer")] = Field(False)
    """Whether the diffusion model leaves the GPU after use, and is loaded again for each video; slow, saves memory."""


T1 = TypeVar("T1", bound=Transfer1Params)


def completed(params: T1, prompt: Prompt, reference: VideoInfo | None, *, has_video: bool) -> T1:
    """The parameters with rate, negative prompt and noise of this prompt and its files filled in."""
    changes: dict[str, Scalar] = {}
    if not params.negative_prompt:
        changes["negative_prompt"] = _clean(prompt.negative_text)
    if reference is not None and not params.fps:
        changes["fps"] = min(max(round(reference.fps), 1), FPS_MAX)
    if reference is not None and not has_video:
        changes["sigma_max"] = SIGMA_OF_NOISE
    return params.model_copy(update=changes)


def process_problems(params: Transfer1Params) -> list[str]:
    """What the process would refuse, fail on or quietly do wrong."""
    problems = []
    if LATENT_FRAMES % params.num_gpus:
        problems.append(f"num_gpus: {params.num_gpus} GPUs cannot share a clip evenly; use 1, 2, 4 or 8")
    if len(params.negative_prompt) > TEXT_LENGTH_MAX:
        problems.append(
            f"negative_prompt: it has {len(params.negative_prompt):,} characters; at most {TEXT_LENGTH_MAX:,} are allowed"
        )
    return problems


def negative_arguments(params: Transfer1Params) -> list[str]:
    """The flag of the negative prompt; without one the process has its own."""
    text = params.negative_prompt
    if not text:
        return []
    # A value that begins like a flag would be taken for one; the text encoder ignores the blank.
    return ["--negative_prompt", f" {text}" if text.startswith("-") else text]


def reference_of(videos: Mapping[str, VideoInfo], controls: tuple[str, ...]) -> VideoInfo | None:
    """The video that length, rate and shape of the output follow: the input, else the first control that is there."""
    return next((videos[role] for role in (VIDEO, *controls) if role in videos), None)
