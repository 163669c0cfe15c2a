"""Parameters of inference with cosmos-transfer2.5, and what of them follows from the prompt and the input."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, model_validator
from typing_extensions import Self

from cosmos_ops.params import ControlParams, PerProcess, PerRun, active_controls
from cosmos_ops.runs import VIDEO, Prompt
from cosmos_ops.videos import VideoInfo

FRAMES_MAX = 5000
"""What the program reads of a video; the rest is dropped without a word."""
STEPS = 35
DISTILLED_STEPS = 4
TEXT_LENGTH_MAX = 10_000

Strength = Literal["very_low", "low", "medium", "high", "very_high"]


def _as_text(value: Any) -> Any:
    """YAML reads 720 as a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Resolution = Annotated[
    Literal["1080", "1024", "720", "512", "480", "480p", "720p", "720robocasa", "256"], BeforeValidator(_as_text)
]
Words = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000)]


class InferenceTransfer25(ControlParams):
    """Parameters of inference with cosmos-transfer2.5.

    The output has the whole frames per second of the input: 29.97 becomes 29, and plays that much slower.
    """

    edge_weight: Annotated[float, PerRun("edge.control_weight", control="edge")] = Field(1.0, ge=0, le=1)
    """Weight of the contours, from 0 (left out) to 1; weights are not normalised."""
    vis_weight: Annotated[float, PerRun("vis.control_weight", control="vis")] = Field(0.0, ge=0, le=1)
    """Weight of the blurred colour of the input, from 0 (left out) to 1."""
    depth_weight: Annotated[float, PerRun("depth.control_weight", control="depth")] = Field(0.0, ge=0, le=1)
    """Weight of the distance from the camera, from 0 (left out) to 1."""
    seg_weight: Annotated[float, PerRun("seg.control_weight", control="seg")] = Field(0.0, ge=0, le=1)
    """Weight of the regions of equal meaning, from 0 (left out) to 1."""
    seed: Annotated[int, PerRun("seed")] = Field(2025, ge=0, le=2**31 - 1)
    """Seed of the noise; the same seed gives the same video."""
    guidance: Annotated[int, PerRun("guidance")] = Field(3, ge=0, le=7)
    """How closely the video follows the text, from 0 to 7; without effect on the distilled model."""
    num_steps: Annotated[int, PerRun("num_steps", omit=0)] = Field(0, ge=0, le=1000)
    """Number of denoising steps; 0 takes 35, or 4 with the distilled model."""
    resolution: Annotated[Resolution, PerRun("resolution")] = Field("720")
    """Size class in which the model computes; the nearest of its five aspect ratios is taken."""
    keep_input_resolution: Annotated[bool, PerRun("keep_input_resolution")] = Field(True)
    """Whether the output is resized to the size of the input."""
    max_frames: Annotated[int, PerRun("max_frames", omit=0)] = Field(0, ge=0, le=FRAMES_MAX)
    """Number of frames after which the video ends; 0 takes all."""
    num_conditional_frames: Annotated[int, PerRun("num_conditional_frames")] = Field(1, ge=0, le=2)
    """Number of frames by which the chunks of 93 frames overlap, in videos that are longer."""
    negative_prompt: Annotated[str, PerRun("negative_prompt", omit="")] = Field("", max_length=TEXT_LENGTH_MAX)
    """What the video is not to show; empty takes that of the prompt, or else that of the model; the distilled one has none."""
    context_frame_index: Annotated[int, PerRun("context_frame_index", omit=0)] = Field(0, ge=0, le=1_000_000)
    """Index of the input's frame that sets the style, counted from 0; 0 takes none."""
    edge_threshold: Annotated[Strength, PerRun("edge.preset_edge_threshold", of="edge")] = Field("medium")
    """How strong an edge must be to enter a computed edge control."""
    blur_strength: Annotated[Strength, PerRun("vis.preset_blur_strength", of="vis")] = Field("medium")
    """How much a computed vis control is blurred."""
    seg_control_prompt: Annotated[Words, PerRun("seg.control_prompt", of="seg", omit="")] = Field("")
    """Objects that a computed seg control shows; empty takes the first 128 words of the prompt."""
    edge_mask_prompt: Annotated[Words, PerRun("edge.mask_prompt", of="edge", omit="")] = Field("")
    """Objects to which the edge control is limited; empty: the whole picture."""
    vis_mask_prompt: Annotated[Words, PerRun("vis.mask_prompt", of="vis", omit="")] = Field("")
    """Objects to which the vis control is limited; empty: the whole picture."""
    depth_mask_prompt: Annotated[Words, PerRun("depth.mask_prompt", of="depth", omit="")] = Field("")
    """Objects to which the depth control is limited; empty: the whole picture."""
    seg_mask_prompt: Annotated[Words, PerRun("seg.mask_prompt", of="seg", omit="")] = Field("")
    """Objects to which the seg control is limited; empty: the whole picture."""
    guided_generation_step_threshold: Annotated[int, PerRun("guided_generation_step_threshold")] = Field(25, ge=0, le=1000)
    """Last step, counted from 0, in which the white parts of the guided mask are held to the input."""
    show_control_condition: Annotated[bool, PerRun("show_control_condition")] = Field(False)
    """Whether the controls are shown beside the output, in the same video."""
    show_input: Annotated[bool, PerRun("show_input")] = Field(False)
    """Whether the input is shown beside the output, in the same video."""
    distilled: Annotated[bool, PerProcess()] = Field(False)
    """Whether the distilled model computes, in 4 steps; for the edge control alone and at most 93 frames."""
    guardrails: Annotated[bool, PerProcess()] = Field(True)
    """Whether the guardrail checks text and video, and blurs faces."""
    offload_guardrail_models: Annotated[bool, PerProcess("--offload-guardrail-models")] = Field(False)
    """Whether the models of the guardrail wait in the memory of the CPU, which saves some of the GPU."""
    compile_tokenizer: Annotated[Literal["none", "moderate", "aggressive"], PerProcess()] = Field("none")
    """How much of the video encoder is compiled; pays off from 30 videos in a batch, and aggressive needs more GPU memory."""
    num_gpus: Annotated[int, PerProcess()] = Field(1, ge=1, le=8)
    """Number of GPUs that work on one video: 1, 2, 4 or 8."""

    @model_validator(mode="after")
    def _some_control_has_weight(self) -> Self:
        if not active_controls(self):
            raise ValueError(
                "edge_weight: all control weights are 0; give at least one of edge, vis, depth and seg a weight above 0"
            )
        return self


def complete(params: InferenceTransfer25, prompt: Prompt, _videos: Mapping[str, VideoInfo]) -> InferenceTransfer25:
    """The parameters with the negative prompt and the number of steps that really count."""
    # Never an empty negative prompt in the spec: the program would take that of the sample before.
    negative = params.negative_prompt.strip() or prompt.negative_text.strip()
    steps = params.num_steps or (DISTILLED_STEPS if params.distilled else STEPS)
    return params.model_copy(update={"negative_prompt": negative, "num_steps": steps})


def reads(params: InferenceTransfer25) -> frozenset[str]:
    """The roles of the files that it may read."""
    controls = active_controls(params)
    return frozenset({VIDEO, *controls, *(f"{name}_mask" for name in controls), "style_image", "guided_mask"})
