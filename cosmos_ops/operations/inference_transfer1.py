"""Video from a text and controls by Cosmos-Transfer1, 7B."""

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated

from pydantic import Field, JsonValue

from cosmos_ops.job import ExpectedFile, Job, JobItem, JobPaths, Sample
from cosmos_ops.operations.operation import Operation, Preparation
from cosmos_ops.operations.transfer1_checks import control_problems, media_problems
from cosmos_ops.operations.transfer1_controls import (
    AV_CONTROLS,
    MADE_THERE,
    Transfer1Controls,
    computed_there,
    control_files,
    control_preparations,
    overrides,
    union_of,
)
from cosmos_ops.operations.transfer1_needs import CONTROL_GB, clips_size, memory_gb
from cosmos_ops.operations.transfer1_params import Transfer1Params, completed, process_problems, reference_of
from cosmos_ops.operations.transfer1_process import (
    CLIP_FRAMES,
    FAMILY,
    STALL_LIMIT_S,
    STALL_S_PER_STEP,
    Line,
    Process,
    Work,
    build_job,
    folder_of,
    marker_of,
    read_outputs,
)
from cosmos_ops.operations.transfer1_reader import reader
from cosmos_ops.operations.transfer1_regions import RegionalPrompt
from cosmos_ops.params import PerProcess, active_controls
from cosmos_ops.runs import VIDEO, Phase, Prompt
from cosmos_ops.sizes import Needs
from cosmos_ops.videos import VideoInfo


class InferenceTransfer1(Transfer1Params, Transfer1Controls):
    """Parameters of inference with Cosmos-Transfer1."""

    distilled: Annotated[bool, PerProcess("--use_distilled")] = Field(False)
    """Whether the distilled model makes the video in one step; for the edge control alone, and with an input video."""
    regional_prompts: Annotated[tuple[RegionalPrompt, ...], PerProcess()] = Field((), max_length=16)
    """Texts for parts of the picture; for wide videos of 121 frames and more, the same for all videos of a batch."""
    computed_seg_of: Annotated[str, PerProcess()] = Field("")
    """Filled in where the segmentation is computed: its colours depend on the runs before, so such a run has its own process."""


def _check(params: InferenceTransfer1, videos: Mapping[str, VideoInfo]) -> list[str]:
    return [
        *process_problems(params),
        *control_problems(
            params, videos, is_distilled=params.distilled, regions=params.regional_prompts, num_gpus=params.num_gpus
        ),
        *media_problems(params, videos, regions=params.regional_prompts),
    ]


def _reads(params: InferenceTransfer1) -> frozenset[str]:
    """Also masks, which are refused, because without them the video would be another one."""
    controls = active_controls(params)
    return frozenset({VIDEO, *controls, *(f"{control}_mask" for control in controls)})


def _complete(params: InferenceTransfer1, prompt: Prompt, videos: Mapping[str, VideoInfo]) -> InferenceTransfer1:
    controls = active_controls(params)
    full = completed(params, prompt, reference_of(videos, controls), has_video=VIDEO in videos)
    return full.model_copy(update={"computed_seg_of": prompt.id if "seg" in controls and "seg" not in videos else ""})


def _prepare(params: InferenceTransfer1, videos: Mapping[str, VideoInfo]) -> tuple[Preparation, ...]:
    return control_preparations(
        active_controls(params), videos, blur_strength=params.blur_strength, canny_threshold=params.canny_threshold
    )


def _build_job(job_id: str, samples: Sequence[Sample[InferenceTransfer1]], paths: JobPaths) -> Job:
    controls = union_of(active_controls(sample.run.params) for sample in samples)
    work = [_work(index, sample, controls, paths) for index, sample in enumerate(samples)]
    return build_job(job_id, "inference", _process(samples, controls), work, paths)


def _process(samples: Sequence[Sample[InferenceTransfer1]], controls: tuple[str, ...]) -> Process:
    params = samples[0].run.params
    # A control that no line says anything about does not exist; what each line says of it replaces this.
    base: dict[str, JsonValue] = {control: {"control_weight": 1.0} for control in controls}
    if params.regional_prompts:
        base["regional_prompts"] = [region.spec() for region in params.regional_prompts]
    flags = ("--is_av_sample",) if set(controls) & set(AV_CONTROLS) else ()
    quick = {Phase.SAMPLING.value: STALL_LIMIT_S + 2 * STALL_S_PER_STEP} if params.distilled else {}
    modes = _modes([(sample.run.params, sample.inputs) for sample in samples], controls)
    return Process(params=params, base=base, modes=modes, flags=flags, stall_limits_s=quick)


def _modes(runs: Sequence[tuple[InferenceTransfer1, Collection[str]]], controls: tuple[str, ...]) -> tuple[str, ...]:
    """What the process does for these runs, each with the roles of its files."""
    computed = {control for params, roles in runs for control in computed_there(active_controls(params), roles)}
    has_mask = any(_has_mask(params) for params, _ in runs)
    networks = ("distilled",) if runs[0][0].distilled else controls
    return ("always", *networks, *(f"auto-{control}" for control in MADE_THERE if control in computed), *["mask"] * has_mask)


def _has_mask(params: InferenceTransfer1) -> bool:
    """Whether a model looks for objects that a control or a text is limited to."""
    is_limited = "seg" in active_controls(params) and bool(params.seg_weight_prompt)
    return is_limited or any(region.mask_prompt for region in params.regional_prompts)


def _work(index: int, sample: Sample[InferenceTransfer1], controls: tuple[str, ...], paths: JobPaths) -> Work:
    """What becomes of a run in a process that has at least its controls."""
    own = active_controls(sample.run.params)
    inputs = {role: file for role, file in sample.inputs.items() if role in (VIDEO, *own)}
    folder = folder_of(index)
    video = ExpectedFile(role=VIDEO, path=folder / "output.mp4", name="video.mp4")
    item = JobItem(
        run_id=sample.run.id,
        folder=folder,
        markers=(marker_of(index),),
        outputs=(video, *control_files(computed_there(own, inputs), folder)),
        text=sample.prompt.text,
    )
    line = Line(
        visual_input=inputs.get(VIDEO),
        prompt=sample.prompt.text,
        overrides=overrides(sample.run.params, inputs, controls, paths),
        frame_count=_frame_count(own, sample.videos),
    )
    return Work(run_id=sample.run.id, lines=[line], item=item, files=list(inputs.values()))


def _frame_count(controls: tuple[str, ...], videos: Mapping[str, VideoInfo]) -> int:
    """The program cuts everything to the shortest file."""
    return min((videos[role].frame_count for role in (VIDEO, *controls) if role in videos), default=CLIP_FRAMES)


def _needs(params: InferenceTransfer1, videos: Mapping[str, VideoInfo]) -> Needs:
    controls = active_controls(params)
    # The distilled model makes one step, and knows no guidance.
    steps, calls = (1, 1) if params.distilled else (params.num_steps + 1, 2)
    return Needs(
        size=clips_size(
            _frame_count(controls, videos), reference_of(videos, controls), steps=steps, calls=calls, controls=len(controls)
        ),
        gpu_count=params.num_gpus,
        memory_gb=memory_gb(params, controls=len(controls), is_distilled=params.distilled),
        memory_per_part_gb=CONTROL_GB,
        is_widenable=_is_widenable(params),
        modes=_modes([(params, videos)], controls),
    )


def _is_widenable(params: InferenceTransfer1) -> bool:
    """Whether controls of weight 0 leave the result as it is.

    They add 0 to what the others add, if all weights are numbers: beside a mask the program takes a 0 for 1. Networks of
    several controls do not work on several GPUs as that of a single one does.
    """
    controls = active_controls(params)
    return not (
        params.distilled
        or params.computed_seg_of
        or params.regional_prompts
        or _has_mask(params)
        or params.num_gpus > 1
        or set(controls) & set(AV_CONTROLS)
    )


INFERENCE_TRANSFER1 = Operation(
    name="inference",
    family=FAMILY,
    params=InferenceTransfer1,
    check=_check,
    needs_text=True,
    build_job=_build_job,
    reader=reader,
    read_outputs=read_outputs,
    needs_whole_files=True,
    reads=_reads,
    complete=_complete,
    prepare=_prepare,
    needs=_needs,
)
