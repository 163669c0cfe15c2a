"""The parameters of Cosmos 3 inference; what depends on the inputs is filled in by `cosmos3_shape`."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from cosmos_ops.params import ControlParams, PerProcess, PerRun, parameters

Mode = Literal["auto", "text2image", "text2video", "image2image", "image2video", "video2video"]
BaseCheckpoint = Literal["Cosmos3-Nano", "Cosmos3-Super", "Cosmos3-Edge"]
Checkpoint = Literal[
    BaseCheckpoint,
    "Cosmos3-Super-Text2Image",
    "Cosmos3-Super-Image2Video",
    "Cosmos3-Super-Text2Image-4Step",
    "Cosmos3-Super-Image2Video-4Step",
]
Resolution = Literal["auto", "256", "480", "720", "768"]
AspectRatio = Literal["auto", "16,9", "4,3", "1,1", "3,4", "9,16"]
EdgeThreshold = Literal["very_low", "low", "medium", "high", "very_high"]
BlurStrength = Literal["none", "very_low", "low", "medium", "high", "very_high"]
Interval = tuple[Annotated[float, Field(ge=0, le=1000)], Annotated[float, Field(ge=0, le=1000)]]

FRAMES_MAX = 5000
FPS_MAX = 1000

TRANSFER_ONLY = (
    "control_guidance",
    "control_guidance_interval",
    "max_frames",
    "num_video_frames_per_chunk",
    "num_conditional_frames",
    "num_first_chunk_conditional_frames",
    "show_control_condition",
    "show_input",
    "share_vision_temporal_positions",
    "emphasize_control_in_prompt",
)
"""Parameters, and keys of the spec, that the program takes with controls only; one of them without a control fails a batch."""


class InferenceCosmos3(ControlParams):
    """Parameters of Cosmos 3 inference: a video or image from controls, or from a text, an image or a video alone."""

    shares_controls: ClassVar[bool] = True

    mode: Annotated[Mode, PerRun("model_mode", omit="auto")] = Field("auto")
    """What is made from what; auto follows from inputs and controls. Whoever names a mode and no weight gets no controls."""
    edge_weight: Annotated[float, PerRun("edge.weight", control="edge")] = Field(1.0, ge=0, le=100)
    """Weight of the contours as a share of all weights; 0 leaves them out. Without an edge file they come from the video."""
    vis_weight: Annotated[float, PerRun("blur.weight", control="vis")] = Field(0.0, ge=0, le=100)
    """Weight of the blurred colour (blur) as a share of all weights; 0 leaves it out. Without a file it comes from the video."""
    depth_weight: Annotated[float, PerRun("depth.weight", control="depth")] = Field(0.0, ge=0, le=100)
    """Weight of the distance from the camera as a share of all weights; 0 leaves it out. It needs a depth file."""
    seg_weight: Annotated[float, PerRun("seg.weight", control="seg")] = Field(0.0, ge=0, le=100)
    """Weight of the regions of equal meaning as a share of all weights; 0 leaves them out. It needs a seg file."""
    wsm_weight: Annotated[float, PerRun("wsm.weight", control="wsm")] = Field(0.0, ge=0, le=100)
    """Weight of the world scenario map as a share of all weights; 0 leaves it out. It needs a wsm file."""
    edge_threshold: Annotated[EdgeThreshold, PerRun("edge.preset_edge_threshold", of="edge")] = Field("medium")
    """How strong a contour must be to enter edges that are computed from the video."""
    blur_strength: Annotated[BlurStrength, PerRun("blur.preset_blur_strength", of="vis")] = Field("medium")
    """How much a blurred colour is blurred that is computed from the video."""

    seed: Annotated[int, PerRun("seed")] = Field(1, ge=0, le=2**31 - 1)
    """Seed of the noise; each further chunk of a video takes the next one."""
    resolution: Annotated[Resolution, PerRun("resolution", omit="auto")] = Field("auto")
    """Class of the output's size, about its height in pixels; auto is 480 for Cosmos3-Edge and 720 for the others."""
    aspect_ratio: Annotated[AspectRatio, PerRun("aspect_ratio", omit="auto")] = Field("auto")
    """Width to height of the output; auto is the nearest to the input, 16,9 for a video and 1,1 for an image from text."""
    fps: Annotated[int, PerRun("fps", omit=0)] = Field(0, ge=0, le=FPS_MAX)
    """Frames per second of the output, whole (29.97 becomes 30), best 10 to 30; 0 follows the input, or is 24."""
    num_frames: Annotated[int, PerRun("num_frames", omit=0)] = Field(0, ge=0, le=FRAMES_MAX)
    """Frames made without controls, rounded up to 4k+1, best 24 to 200; 0 is 189 (Cosmos3-Edge 121). Controls set it."""
    max_frames: Annotated[int, PerRun("max_frames", omit=0)] = Field(0, ge=0, le=FRAMES_MAX)
    """Number of frames of the controls after which the video ends; 0 takes all."""
    num_steps: Annotated[int, PerRun("num_steps", omit=0)] = Field(0, ge=0, le=500)
    """Number of denoising steps per chunk; 0 is 35, for an image from text 50, and 4 for the checkpoints of 4 steps."""
    guidance: Annotated[float | None, PerRun("guidance")] = Field(None, ge=0, le=7)
    """How strongly the text sets the look, from 0 to 7; empty takes what the model was tuned with. At 1 nothing is negative."""
    control_guidance: Annotated[float | None, PerRun("control_guidance")] = Field(None, ge=0, le=10)
    """How strongly controls are followed, from 0 to 10; 1 is off and faster; empty takes what the control was tuned with."""
    guidance_interval: Annotated[Interval | None, PerRun("guidance_interval")] = Field(None)
    """Lowest and highest timestep (0 to 1000) at which guidance works; empty is all."""
    control_guidance_interval: Annotated[Interval | None, PerRun("control_guidance_interval")] = Field(None)
    """Lowest and highest timestep (0 to 1000) at which control guidance works; empty is all."""
    shift: Annotated[float | None, PerRun("shift")] = Field(None, gt=0, le=100)
    """Shift of the noise schedule towards noise, of the sampler unipc; empty takes the value of the mode."""
    sigma_max: Annotated[float | None, PerRun("sigma_max")] = Field(None, gt=0, le=10_000)
    """Highest noise level, of the sampler edm; empty is 80."""
    normalize_cfg: Annotated[bool, PerRun("normalize_cfg", omit=False)] = Field(False)
    """Whether the result of guidance is normalised."""
    negative_prompt: Annotated[str, PerRun("negative_prompt", omit="")] = Field("")
    """What the output is not to show; empty takes the negative text of the prompt, or else the model's own."""
    negative_metadata_mode: Annotated[Literal["none", "same", "inverse"], PerRun("negative_metadata_mode", omit="none")] = Field(
        "none"
    )
    """Which sentences on size and duration the negative prompt gets; none counts as same while they are kept."""
    negative_prompt_keep_metadata: Annotated[bool, PerRun("negative_prompt_keep_metadata", omit=True)] = Field(True)
    """Whether the negative prompt keeps the sentences on size and duration."""
    prompt_upsampling: Annotated[bool, PerRun("prompt_upsampling", omit=False)] = Field(False)
    """Whether the model rewrites the prompt first; not with controls, for a video from a video, or for an edited image."""
    prompt_upsampler_seed: Annotated[int | None, PerRun("prompt_upsampler_seed")] = Field(None, ge=0, le=2**31 - 1)
    """Seed of the rewritten prompt; empty is 3407."""
    prompt_upsampler_temperature: Annotated[float | None, PerRun("prompt_upsampler_temperature")] = Field(None, ge=0, le=2)
    """How freely words of the rewritten prompt are chosen, from 0 to 2; empty is 0.7."""
    prompt_upsampler_top_p: Annotated[float | None, PerRun("prompt_upsampler_top_p")] = Field(None, gt=0, le=1)
    """Share of the likeliest words that the rewritten prompt is chosen from; empty is 0.8."""
    prompt_upsampler_top_k: Annotated[int | None, PerRun("prompt_upsampler_top_k")] = Field(None, ge=1, le=1000)
    """Number of the likeliest words that the rewritten prompt is chosen from; empty is 20."""
    prompt_upsampler_repetition_penalty: Annotated[float | None, PerRun("prompt_upsampler_repetition_penalty")] = Field(
        None, gt=0, le=10
    )
    """Factor against repeated words of the rewritten prompt; 1 is off, empty is 1."""
    prompt_upsampler_presence_penalty: Annotated[float | None, PerRun("prompt_upsampler_presence_penalty")] = Field(
        None, ge=-10, le=10
    )
    """What is subtracted from words that the rewritten prompt has used; 0 is off, empty is 1.5."""
    prompt_upsampler_max_tokens: Annotated[int | None, PerRun("prompt_upsampler_max_tokens")] = Field(None, ge=1, le=32_768)
    """Longest rewritten prompt, in tokens; empty is 20000."""

    num_video_frames_per_chunk: Annotated[int, PerRun("num_video_frames_per_chunk", omit=0)] = Field(0, ge=0, le=FRAMES_MAX)
    """Number of frames made at once with controls, rounded up to 4k+1; 0 makes as few frames in as few chunks as it can."""
    num_conditional_frames: Annotated[int, PerRun("num_conditional_frames", omit=1)] = Field(1, ge=0, le=60)
    """Number of frames that a chunk takes over from the one before, best 1, 5 or 9 (4k+1); in between they fit less well."""
    num_first_chunk_conditional_frames: Annotated[int, PerRun("num_first_chunk_conditional_frames", omit=0)] = Field(
        0, ge=0, le=FRAMES_MAX
    )
    """Number of frames of the input video that the output begins with, best 4k+1."""
    share_vision_temporal_positions: Annotated[bool, PerRun("share_vision_temporal_positions", omit=True)] = Field(True)
    """Whether control and output count time alike, as the released checkpoints were trained."""
    emphasize_control_in_prompt: Annotated[bool, PerRun("emphasize_control_in_prompt", omit=True)] = Field(True)
    """Whether a sentence that asks to follow the controls is added to the prompt."""
    show_control_condition: Annotated[bool, PerRun("show_control_condition", omit=False)] = Field(False)
    """Whether the controls are shown left of the output, in the same video."""
    show_input: Annotated[bool, PerRun("show_input", omit=False)] = Field(False)
    """Whether the input video is shown left of the output, in the same video."""
    condition_frame_indexes_vision: Annotated[
        tuple[Annotated[int, Field(ge=0)], ...] | None, PerRun("condition_frame_indexes_vision")
    ] = Field(None, min_length=1)
    """Latent frames (4 frames each, the first has 1) that an input image or video fixes; empty is 0, for a video 0 and 1."""
    condition_video_keep: Annotated[Literal["first", "last"], PerRun("condition_video_keep", omit="first")] = Field("first")
    """Which end of an input video the output continues from."""
    enable_sound: Annotated[bool, PerRun("enable_sound", omit=False)] = Field(False)
    """Whether sound is made with a video; not with controls, and not by Cosmos3-Edge."""
    video_save_quality: Annotated[int, PerRun("video_save_quality", omit=10)] = Field(10, ge=0, le=10)
    """Quality of the saved video, from 0 to 10."""
    image_save_quality: Annotated[int, PerRun("image_save_quality", omit=95)] = Field(95, ge=0, le=100)
    """Quality of the saved image, from 0 to 100."""

    checkpoint: Annotated[Checkpoint, PerProcess("--checkpoint-path")] = Field("Cosmos3-Nano")
    """Model: Edge (8 GB of weights), Nano (32 GB), Super (128 GB), or Super for one mode alone, also in 4 steps."""
    num_gpus: Annotated[int, PerProcess()] = Field(1, ge=1, le=8)
    """Number of GPUs that work on one video together: 1, 2, 4 or 8."""
    dp_shard_size: Annotated[int, PerProcess("--dp-shard-size", omit=0)] = Field(0, ge=0, le=8)
    """Number of GPUs that the weights are spread over; 0 is all of them, 1 is faster if one GPU holds the model."""
    guardrails: Annotated[bool, PerProcess("--guardrails", off="--no-guardrails")] = Field(False)
    """Whether text and video are screened by NVIDIA's guardrail models (gated); the program never screens with controls."""
    offload_guardrail_models: Annotated[bool, PerProcess("--offload-guardrail-models")] = Field(False)
    """Whether the guardrail models stay in the memory of the CPU."""
    diffusion_cache: Annotated[bool, PerProcess("--diffusion-cache", off="--no-diffusion-cache")] = Field(True)
    """Whether steps that change little are skipped, which is faster and slightly worse."""
    diffusion_cache_thresh: Annotated[float | None, PerProcess("--diffusion-cache-thresh")] = Field(None, ge=0, le=10)
    """Change below which the cache skips a step; larger is faster and worse; empty is 0.35."""
    diffusion_cache_residual_order: Annotated[int | None, PerProcess("--diffusion-cache-residual-order")] = Field(
        None, ge=0, le=2
    )
    """Order by which the cache extrapolates a skipped step, from 0 to 2; empty is 1."""
    sampler: Annotated[Literal["unipc", "edm"], PerProcess("--sampler")] = Field("unipc")
    """Method of denoising."""
    use_torch_compile: Annotated[bool, PerProcess("--use-torch-compile", off="--no-use-torch-compile")] = Field(True)
    """Whether the model is compiled, which costs minutes for the first video of each size and saves time for all."""
    compile_dynamic: Annotated[bool, PerProcess("--compile-dynamic", off="--no-compile-dynamic", omit=True)] = Field(True)
    """Whether one compiled model fits all sizes; without it a video is faster, and each new size is compiled again."""
    compiled_region: Annotated[Literal["all", "language"], PerProcess("--compiled-region", omit="all")] = Field("all")
    """What of the model is compiled."""
    use_cuda_graphs: Annotated[bool, PerProcess("--use-cuda-graphs")] = Field(False)
    """Whether steps are recorded as CUDA graphs; works on one GPU only."""
    quantization_method: Annotated[Literal["none", "mxfp8", "nvfp4"], PerProcess("--quantization-method", omit="none")] = Field(
        "none"
    )
    """Number format that the weights are reduced to; Blackwell GPUs and unspread weights only."""

    @model_validator(mode="before")
    @classmethod
    def _mode_alone_has_no_controls(cls, data: Any) -> Any:
        weights = [item.name for item in parameters(cls) if isinstance(item.placement, PerRun) and item.placement.control]
        if isinstance(data, Mapping) and data.get("mode", "auto") != "auto" and not any(name in data for name in weights):
            return {**dict.fromkeys(weights, 0.0), **data}
        return data
