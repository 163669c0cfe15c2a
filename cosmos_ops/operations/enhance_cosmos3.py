"""Prompt enhancement by Cosmos 3: its reasoner rewrites the text on a GPU, or a server does; the input may count too."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from cosmos_ops.job import (
    ContainerExit,
    Event,
    ExpectedFile,
    Findings,
    Job,
    JobItem,
    JobPaths,
    Outcome,
    Sample,
    SampleFailed,
    TextFile,
)
from cosmos_ops.operations import cosmos3_process as process
from cosmos_ops.operations import cosmos3_server as server
from cosmos_ops.operations.cosmos3_checks import check_image
from cosmos_ops.operations.cosmos3_enhance_params import OF_REASONER, OF_SERVER, EnhanceCosmos3
from cosmos_ops.operations.cosmos3_needs import enhance_modes, enhance_needs
from cosmos_ops.operations.cosmos3_reader import Reader, spec_lines
from cosmos_ops.operations.cosmos3_setup_checks import changed, check_gpus
from cosmos_ops.operations.cosmos3_shape import IMAGE, is_image, nearest_aspect_ratio
from cosmos_ops.operations.operation import Operation, Preparation
from cosmos_ops.params import process_arguments
from cosmos_ops.runs import VIDEO, Phase, Prompt
from cosmos_ops.videos import VideoInfo

TEXT = "reasoner_text.txt"
LENGTH_MAX = 10_000
"""Longest text of a prompt, in characters."""

_INSTRUCTION = (
    "Rewrite the description below as one paragraph of at most 250 words for a model that makes videos. Keep every fact of it. "
    "Add what a camera would see: subjects, place, light, weather, time of day, materials, colours, movement, and the camera. "
    "Name no sound and no feeling. Answer with the new description alone, without a heading and without quotation marks."
)
_INSTRUCTION_WITH_INPUT = (
    " The attached picture shows the scene as it is: keep its layout and its movement, "
    "and where the description asks for another look, follow the description."
)


def _reads(params: EnhanceCosmos3) -> frozenset[str]:
    return frozenset({VIDEO, IMAGE}) if params.shows_input else frozenset()


def _shown(params: EnhanceCosmos3, roles: Mapping[str, object]) -> str | None:
    """The role of the file that the reasoner sees."""
    return next((role for role in (VIDEO, IMAGE) if role in roles), None) if params.shows_input else None


def _complete(params: EnhanceCosmos3, _prompt: Prompt, videos: Mapping[str, VideoInfo]) -> EnhanceCosmos3:
    if params.method == "reasoner":
        return params.model_copy(update={"max_tokens": params.max_tokens or 1024})
    info = videos.get(IMAGE) or videos.get(VIDEO)
    moving = None if info is None or is_image(info) else info
    filled: dict[str, Any] = {
        "max_tokens": params.max_tokens or 8192,
        "fps": params.fps or (min(120, max(1, round(moving.fps))) if moving else 24),
        "duration_s": params.duration_s or (min(600, max(1, round(moving.duration_s))) if moving else 5),
    }
    if params.task == "auto":
        filled["task"] = "image2video" if IMAGE in videos else "text2video"
    if params.aspect_ratio == "auto":
        filled["aspect_ratio"] = nearest_aspect_ratio(info) if info else "16,9"
    return params.model_copy(update=filled)


def _check(params: EnhanceCosmos3, videos: Mapping[str, VideoInfo]) -> list[str]:
    if params.method == "server":
        return [*_of_the_other(params, OF_REASONER, "reasoner"), *_server_problems(params, videos)]
    return [*check_gpus(params.num_gpus), *_of_the_other(params, OF_SERVER, "server"), *_reasoner_problems(params, videos)]


def _of_the_other(params: EnhanceCosmos3, names: tuple[str, ...], method: str) -> Iterator[str]:
    for name in changed(params, names):
        yield f"{name}: only the method {method} takes it; choose that, or leave this at its default"


def _server_problems(params: EnhanceCosmos3, videos: Mapping[str, VideoInfo]) -> Iterator[str]:
    if params.endpoint_url:
        yield from _url_problems(params.endpoint_url)
    if params.model.startswith("-"):
        yield "model: no name of a model begins with a hyphen; correct it"
    if params.task == "image2video" and IMAGE not in videos:
        yield "task: image2video needs an input image; add one, or choose text2video"
    if params.task == "image2video" and IMAGE in videos:
        yield from check_image(videos[IMAGE])


def _url_problems(url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
        is_valid = parts.scheme in ("http", "https") and bool(parts.hostname) and url.split() == [url]
    except ValueError:
        is_valid = False
    if not is_valid:
        yield "endpoint_url: it is no address of a server; write it as https://host/v1"
    elif parts.username or parts.password or parts.query:
        yield (
            "endpoint_url: it holds a login or a key, which would be stored; take it out, and give the token as "
            "PROMPT_UPSAMPLER_API_TOKEN in the environment of the host"
        )


def _reasoner_problems(params: EnhanceCosmos3, videos: Mapping[str, VideoInfo]) -> Iterator[str]:
    if not params.temperature:
        for name in ("top_p", "top_k"):
            if getattr(params, name) is not None:
                yield f"{name}: without a temperature the reasoner takes the likeliest word; give one, or leave this empty"
    if shown := _shown(params, videos):
        yield from check_image(videos[shown])


def _prepare(params: EnhanceCosmos3, videos: Mapping[str, VideoInfo]) -> tuple[Preparation, ...]:
    shown = _shown(params, videos) if params.method == "reasoner" else None
    if shown is None or is_image(videos[shown]) or videos[shown].path.suffix.lower() == ".mp4":
        return ()
    return (Preparation(shown, shown, "mp4"),)


def _build_job(job_id: str, samples: Sequence[Sample[EnhanceCosmos3]], paths: JobPaths) -> Job:
    if samples[0].run.params.method == "server":
        return server.build_job(job_id, samples, paths)
    params = samples[0].run.params
    shown = [sample.inputs[role] for sample in samples if (role := _shown(sample.run.params, sample.inputs))]
    return Job(
        id=job_id,
        operation="enhance",
        family=process.FAMILY,
        container=process.inference_container(
            [sample.run.id for sample in samples],
            paths,
            [*process_arguments(params), "--no-diffusion-cache"],
            num_gpus=params.num_gpus,
            modes=enhance_modes(params),
        ),
        inputs=tuple({file.host_path: file for file in shown}.values()),
        files=(TextFile(process.SPECS, process.jsonl([_spec(sample, paths) for sample in samples])),),
        items=tuple(_item(sample.run.id) for sample in samples),
        stall_limit_s=process.STALL_LIMIT_S,
        stall_limits_s={Phase.LOADING.value: process.LOADING_LIMIT_S},
    )


def _spec(sample: Sample[EnhanceCosmos3], paths: JobPaths) -> dict[str, Any]:
    params, shown = sample.run.params, _shown(sample.run.params, sample.inputs)
    instruction = params.instruction or _INSTRUCTION + (_INSTRUCTION_WITH_INPUT if shown else "")
    spec: dict[str, Any] = {
        "name": sample.run.id,
        "model_mode": "reasoner",
        "prompt": f"{instruction}\n\n{sample.prompt.text}",
        "seed": params.seed,
        "max_new_tokens": params.max_tokens or 1024,
        "do_sample": bool(params.temperature),
        "temperature": params.temperature or None,
        "top_p": params.top_p,
        "top_k": params.top_k,
        "repetition_penalty": params.repetition_penalty,
        "presence_penalty": params.presence_penalty,
        "video_fps": params.video_fps if shown == VIDEO else None,
        "vision_path": str(paths.input(sample.inputs[shown])) if shown else None,
    }
    return {key: value for key, value in spec.items() if value is not None}


def _item(run_id: str) -> JobItem:
    folder = process.OUT / run_id
    text = ExpectedFile("prompt", folder / TEXT, "prompt.txt")
    record = ExpectedFile("spec", folder / process.STARTED, "spec.json")
    return JobItem(run_id, folder, markers=(folder / process.MARKER, folder / TEXT), outputs=(text, record))


def _reader(job: Job) -> Callable[[str], list[Event]]:
    if job.files[0].path == server.REQUESTS:
        return server.reader(job)
    return Reader(job, {}, order=[str(spec["name"]) for spec in spec_lines(job.files[0].text)])


def _read_outputs(job: Job, ended: ContainerExit, events: Sequence[Event], found: Findings) -> dict[str, Outcome]:
    poor = {item.run_id: problem for item in job.items if (problem := _text_problem(found.texts.get(item.markers[-1], "-")))}
    told = [*events, *(SampleFailed(run_id, problem) for run_id, problem in poor.items())]

    def is_complete(item: JobItem, texts: Mapping[str, str]) -> bool:
        return item.run_id not in poor and (len(texts) == 1 or process.succeeded(item, texts))

    return process.judge(job, ended, told, found, is_complete=is_complete)


def _text_problem(text: str) -> str:
    """Why an enhanced text is of no use."""
    length = len(text.strip())
    if length > LENGTH_MAX:
        return f"the enhanced text has {length:,} characters; at most {LENGTH_MAX:,} can be used; set max_tokens lower"
    return "" if length else "the enhanced text is empty; run it again with another seed or instruction"


ENHANCE_COSMOS3 = Operation(
    name="enhance",
    family=process.FAMILY,
    params=EnhanceCosmos3,
    check=_check,
    needs_text=True,
    build_job=_build_job,
    reader=_reader,
    read_outputs=_read_outputs,
    needs_whole_files=True,
    reads=_reads,
    complete=_complete,
    prepare=_prepare,
    takes_pictures=True,
    needs=enhance_needs,
)
