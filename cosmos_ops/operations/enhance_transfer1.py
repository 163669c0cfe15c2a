"""Prompt enhancement by the prompt upsampler of Cosmos-Transfer1, Pixtral 12B, which looks at a control video."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import Field

from cosmos_ops.job import (
    ContainerExit,
    ContainerSpec,
    Event,
    ExpectedFile,
    Findings,
    InputFile,
    Job,
    JobItem,
    JobPaths,
    Outcome,
    Sample,
    SampleEnded,
    SampleFailed,
    SampleStarted,
    TextFile,
)
from cosmos_ops.operations.operation import Operation, Preparation
from cosmos_ops.operations.outcomes import outcomes
from cosmos_ops.operations.scripts import upsample_prompts
from cosmos_ops.operations.transfer1_controls import MADE_HERE, control_preparations
from cosmos_ops.operations.transfer1_needs import UPSAMPLER_GB
from cosmos_ops.operations.transfer1_params import Strength
from cosmos_ops.operations.transfer1_process import FAMILY, IMAGE, OUT, WORKDIR, checkpoints, environment, torchrun
from cosmos_ops.operations.transfer1_reader import ANSI, BAR
from cosmos_ops.params import Params, PerProcess, PerRun, Prepared, process_arguments
from cosmos_ops.runs import VIDEO, Phase
from cosmos_ops.sizes import Needs, SampleSize
from cosmos_ops.videos import VideoInfo

SCRIPT = PurePosixPath("upsample_prompts.py")
REQUESTS = PurePosixPath("prompts.jsonl")
STALL_LIMIT_S = 1800.0
LOADING_LIMIT_S = 3600.0
MODEL = "transfer1/enhance"
MODES = ("enhance",)
FRAMES_SEEN = 2
"""Of a video, by the upsampler."""

_SAID = re.compile(BAR + re.escape(upsample_prompts.MARK) + r" (started|finished|failed) (\w+)(?:: (.*))?$")


class EnhanceTransfer1(Params):
    """Parameters of prompt enhancement with Cosmos-Transfer1."""

    control: Annotated[Literal["vis", "edge", "seg", "depth"], PerRun("control")] = Field("vis")
    """The control video that the text is to fit; vis and edge are made from the input video, seg and depth need a file."""
    blur_strength: Annotated[Strength, Prepared()] = Field("medium")
    """How much the vis control is blurred where no vis video is given."""
    canny_threshold: Annotated[Strength, Prepared()] = Field("medium")
    """How strong an edge must be to enter the edge control where no edge video is given."""
    offload_prompt_upsampler: Annotated[bool, PerProcess("--offload_prompt_upsampler")] = Field(False)
    """Whether the upsampler leaves the GPU after each prompt, and is loaded again for the next."""


def _check(params: EnhanceTransfer1, videos: Mapping[str, VideoInfo]) -> list[str]:
    control = params.control
    if control in videos or (control in MADE_HERE and VIDEO in videos):
        return []
    if control in MADE_HERE:
        return [f"control: there is no {control} video, and no input video to make it from; add one of them"]
    return [f"control: there is no {control} video; add {control}.mp4, or choose vis or edge"]


def _reads(params: EnhanceTransfer1) -> frozenset[str]:
    return frozenset({VIDEO, params.control})


def _prepare(params: EnhanceTransfer1, videos: Mapping[str, VideoInfo]) -> tuple[Preparation, ...]:
    steps = control_preparations(
        (params.control,), videos, blur_strength=params.blur_strength, canny_threshold=params.canny_threshold
    )
    return tuple(step for step in steps if step.role != VIDEO)


def _build_job(job_id: str, samples: Sequence[Sample[EnhanceTransfer1]], paths: JobPaths) -> Job:
    files = {sample.run.id: _video(sample) for sample in samples}
    requests = [_request(sample, files[sample.run.id], paths) for sample in samples]
    return Job(
        id=job_id,
        operation="enhance",
        family=FAMILY,
        container=_container(samples[0].run.params, list(files), paths),
        inputs=tuple({file.host_path: file for file in files.values()}.values()),
        files=(
            TextFile(SCRIPT, Path(upsample_prompts.__file__).read_text(encoding="utf-8")),
            TextFile(REQUESTS, "".join(json.dumps(request) + "\n" for request in requests)),
        ),
        items=tuple(_item(run_id) for run_id in files),
        stall_limit_s=STALL_LIMIT_S,
        stall_limits_s={Phase.LOADING.value: LOADING_LIMIT_S},
    )


def _request(sample: Sample[EnhanceTransfer1], file: InputFile, paths: JobPaths) -> dict[str, str]:
    return {"name": sample.run.id, "prompt": sample.prompt.text, "video": str(paths.input(file))}


def _container(params: EnhanceTransfer1, run_ids: Sequence[str], paths: JobPaths) -> ContainerSpec:
    argv = [*torchrun(run_ids, process_count=1), str(paths.job / SCRIPT), "--requests", str(paths.job / REQUESTS)]
    argv += ["--output_folder", str(paths.job / OUT), "--checkpoint_dir", str(checkpoints(paths))]
    # Without a network vLLM finds no address of its own.
    of_vllm = {"VLLM_HOST_IP": "127.0.0.1", "VLLM_WORKER_MULTIPROC_METHOD": "spawn", "VLLM_NO_USAGE_STATS": "1"}
    return ContainerSpec(
        image=IMAGE,
        argv=(*argv, *process_arguments(params)),
        env={**environment(paths), **of_vllm},
        gpu_count=1,
        workdir=WORKDIR,
        family=FAMILY,
        modes=MODES,
    )


def _video(sample: Sample[EnhanceTransfer1]) -> InputFile:
    """The control video; where it was not made, the video itself."""
    return sample.inputs.get(sample.run.params.control) or sample.inputs[VIDEO]


def _item(run_id: str) -> JobItem:
    marker = OUT / run_id / "prompt.txt"
    return JobItem(
        run_id=run_id,
        folder=OUT / run_id,
        markers=(marker,),
        outputs=(ExpectedFile(role="prompt", path=marker, name="prompt.txt"),),
    )


def _reader(job: Job) -> Callable[[str], list[Event]]:
    run_ids = frozenset(item.run_id for item in job.items)

    def read(line: str) -> list[Event]:
        """What one line tells; only the script's own lines tell something."""
        found = _SAID.match(ANSI.sub("", line).rstrip())
        if found is None or found[2] not in run_ids:
            return []
        if found[1] == "started":
            return [SampleStarted(found[2])]
        if found[1] == "failed":
            return [SampleFailed(found[2], found[3] or "the upsampler gave no reason"), SampleEnded(found[2])]
        return [SampleEnded(found[2])]

    return read


def _read_outputs(job: Job, ended: ContainerExit, events: Sequence[Event], found: Findings) -> dict[str, Outcome]:
    return outcomes(job, ended, events, found, is_complete=_is_complete)


def _is_complete(_item: JobItem, texts: Mapping[str, str]) -> bool:
    return all(text.strip() for text in texts.values())


def _needs(_params: EnhanceTransfer1, _videos: Mapping[str, VideoInfo]) -> Needs:
    """Its model is another one than that of the videos, and takes about as long for each prompt."""
    return Needs(SampleSize(frames=FRAMES_SEEN), model=MODEL, parts=0, memory_gb=UPSAMPLER_GB, modes=MODES)


ENHANCE_TRANSFER1 = Operation(
    name="enhance",
    family=FAMILY,
    params=EnhanceTransfer1,
    check=_check,
    needs_text=True,
    build_job=_build_job,
    reader=_reader,
    read_outputs=_read_outputs,
    needs_whole_files=True,
    reads=_reads,
    prepare=_prepare,
    needs=_needs,
)
