"""Video or image by Cosmos 3: transfer from controls in any combination, or from a text, an image or a video."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from cosmos_ops.job import ContainerExit, Event, ExpectedFile, Findings, Job, JobItem, JobPaths, Outcome, Sample, TextFile
from cosmos_ops.operations import cosmos3_process as process
from cosmos_ops.operations.cosmos3_checks import check
from cosmos_ops.operations.cosmos3_needs import PIXELS, USUAL_FRAMES, inference_modes, inference_needs
from cosmos_ops.operations.cosmos3_params import TRANSFER_ONLY, InferenceCosmos3
from cosmos_ops.operations.cosmos3_reader import Reader, spec_lines
from cosmos_ops.operations.cosmos3_shape import HINTS, IMAGE, chunks_of, complete, is_image, mode_of, vision_role
from cosmos_ops.operations.operation import Operation, Preparation
from cosmos_ops.params import active_controls, process_arguments, spec_values
from cosmos_ops.runs import VIDEO, Phase
from cosmos_ops.videos import VideoInfo

CONTROL_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm")
"""Videos that the program reads as a control."""
VISION_SUFFIXES = (".mp4",)

_STEP_S = 13.3
"""One pass of Cosmos3-Nano over 189 frames in 720p on one slow GPU (H20: 931 s for 35 steps of 2 passes)."""
_SIZES = {"Edge": 0.5, "Nano": 1.0, "Super": 4.0}
_COMPILE_S = 900.0
_PATIENCE = 10
"""A step may take so many times what it is expected to."""


def _reads(params: InferenceCosmos3) -> frozenset[str]:
    if controls := active_controls(params):
        return frozenset({VIDEO, IMAGE, *controls})
    if params.mode == "video2video":
        return frozenset({VIDEO})
    return frozenset() if params.mode in ("text2image", "text2video") else frozenset({VIDEO, IMAGE})


def _prepare(params: InferenceCosmos3, videos: Mapping[str, VideoInfo]) -> tuple[Preparation, ...]:
    return tuple(Preparation(role, role, "mp4") for role in _foreign(params, videos))


def _foreign(params: InferenceCosmos3, videos: Mapping[str, VideoInfo]) -> Iterator[str]:
    """The roles of videos whose kind the program refuses by their name, or that it may read otherwise than players do."""
    known: dict[str, tuple[str, ...]] = dict.fromkeys(active_controls(params), CONTROL_SUFFIXES)
    if vision := vision_role(params, mode_of(params, videos), videos):
        known[vision] = VISION_SUFFIXES
    for role, suffixes in known.items():
        video = videos.get(role)
        if video is not None and not is_image(video) and (not video.is_plain or video.path.suffix.lower() not in suffixes):
            yield role


def _build_job(job_id: str, samples: Sequence[Sample[InferenceCosmos3]], paths: JobPaths) -> Job:
    params = samples[0].run.params
    # Each new shape costs the model minutes of compilation.
    specs = sorted((_spec(sample, paths) for sample in samples), key=_shape)
    used = {str(path) for spec in specs for path in _paths(spec)}
    inputs = {file.host_path: file for sample in samples for file in sample.inputs.values() if str(paths.input(file)) in used}
    return Job(
        id=job_id,
        operation="inference",
        family=process.FAMILY,
        container=process.inference_container(
            [sample.run.id for sample in samples],
            paths,
            process_arguments(params),
            num_gpus=params.num_gpus,
            modes=inference_modes(params),
        ),
        inputs=tuple(inputs.values()),
        files=(TextFile(process.SPECS, process.jsonl(specs)),),
        items=tuple(_item(spec) for spec in specs),
        stall_limit_s=process.STALL_LIMIT_S,
        stall_limits_s={
            Phase.LOADING.value: process.LOADING_LIMIT_S,
            Phase.SAMPLING.value: max(_step_limit_s(spec, params.checkpoint) for spec in specs),
        },
    )


def _spec(sample: Sample[InferenceCosmos3], paths: JobPaths) -> dict[str, Any]:
    params = complete(sample.run.params, sample.prompt, sample.videos)
    controls = active_controls(params)
    spec: dict[str, Any] = {"name": sample.run.id, "prompt": sample.prompt.text, **spec_values(params)}
    if not controls:
        spec = {key: value for key, value in spec.items() if key not in TRANSFER_ONLY}
    for role in controls:
        if role in sample.inputs:
            spec[_hint(role)]["control_path"] = str(paths.input(sample.inputs[role]))
    if vision := vision_role(params, params.mode, sample.inputs):
        spec["vision_path"] = str(paths.input(sample.inputs[vision]))
    return spec


def _hint(role: str) -> str:
    return HINTS.get(role, role)


def _hints_of(spec: Mapping[str, Any]) -> list[str]:
    """The controls of a spec, by their role."""
    return [role for role in ("edge", "vis", "depth", "seg", "wsm") if _hint(role) in spec]


def _shape(spec: Mapping[str, Any]) -> tuple[str, str, int]:
    return spec["resolution"], spec["aspect_ratio"], spec.get("num_frames", 0)


def _paths(spec: Mapping[str, Any]) -> Iterator[str]:
    yield spec.get("vision_path", "")
    for role in _hints_of(spec):
        yield spec[_hint(role)].get("control_path", "")


def _item(spec: Mapping[str, Any]) -> JobItem:
    folder = process.OUT / spec["name"]
    is_still = spec.get("num_frames") == 1
    suffix = ".jpg" if is_still else ".mp4"
    result = (
        ExpectedFile("image", folder / "vision.jpg", "image.jpg")
        if is_still
        else ExpectedFile(VIDEO, folder / "vision.mp4", "video.mp4")
    )
    controls = [
        ExpectedFile(f"control_{role}", folder / f"control_{_hint(role)}{suffix}", f"control_{role}{suffix}", is_optional=True)
        for role in _hints_of(spec)
    ]
    record = ExpectedFile("spec", folder / process.STARTED, "spec.json")
    return JobItem(spec["name"], folder, markers=(folder / process.MARKER,), outputs=(result, *controls, record))


def _step_limit_s(spec: Mapping[str, Any], checkpoint: str) -> float:
    controls = len(_hints_of(spec))
    frames = spec.get("num_video_frames_per_chunk", spec.get("num_frames", 0)) if controls else spec.get("num_frames", 0)
    tokens = PIXELS[spec["resolution"]] * frames / USUAL_FRAMES * (1 + controls)
    passes = 1 + (spec["guidance"] != 1) + (spec.get("control_guidance", 1) != 1)
    return float(_COMPILE_S + _PATIENCE * _STEP_S * passes * _SIZES[checkpoint.split("-")[1]] * max(tokens, tokens**2))


def _chunks(spec: Mapping[str, Any]) -> int:
    if not _hints_of(spec) or "num_video_frames_per_chunk" not in spec:
        return 1
    return chunks_of(spec["num_frames"], chunk=spec["num_video_frames_per_chunk"], overlap=spec.get("num_conditional_frames", 1))


def _reader(job: Job) -> Callable[[str], list[Event]]:
    return Reader(job, {str(spec["name"]): _chunks(spec) for spec in spec_lines(job.files[0].text)})


def _read_outputs(job: Job, ended: ContainerExit, events: Sequence[Event], found: Findings) -> dict[str, Outcome]:
    return process.judge(job, ended, events, found, is_complete=process.succeeded)


INFERENCE_COSMOS3 = Operation(
    name="inference",
    family=process.FAMILY,
    params=InferenceCosmos3,
    check=check,
    needs_text=True,
    build_job=_build_job,
    reader=_reader,
    read_outputs=_read_outputs,
    needs_whole_files=True,
    reads=_reads,
    complete=complete,
    takes_pictures=True,
    prepare=_prepare,
    needs=inference_needs,
)
