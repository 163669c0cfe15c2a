"""Enlarging a video to three times its width and height by the 4K upscaler of Cosmos-Transfer1.

The upscaler fails on more than 121 frames, so longer videos go as pieces that overlap, each a line of the batch.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from cosmos_ops.job import ExpectedFile, InputFile, Job, JobItem, JobPaths, Sample
from cosmos_ops.operations.operation import Operation, Preparation
from cosmos_ops.operations.transfer1_checks import length_problems
from cosmos_ops.operations.transfer1_controls import mp4_preparations
from cosmos_ops.operations.transfer1_needs import clips_size, memory_gb
from cosmos_ops.operations.transfer1_params import Transfer1Params, completed, process_problems
from cosmos_ops.operations.transfer1_process import (
    CLIP_FRAMES,
    DEFAULT_PROMPT,
    FAMILY,
    OUT,
    STALL_LIMIT_S,
    Line,
    Process,
    Work,
    build_job,
    folder_of,
    marker_of,
    read_outputs,
)
from cosmos_ops.operations.transfer1_reader import reader
from cosmos_ops.params import PerProcess, PerRun, spec_values
from cosmos_ops.pieces import Piece, pieces
from cosmos_ops.runs import VIDEO, Phase, Prompt
from cosmos_ops.sizes import Needs
from cosmos_ops.videos import VideoInfo

PATCHES = 9
"""Parts of the picture, each as large as the input, that are sampled one after the other."""
MODES = ("always", "upscale")


class UpscaleTransfer1(Transfer1Params):
    """Parameters of the 4K upscaler of Cosmos-Transfer1."""

    num_steps: Annotated[int, PerProcess("--num_steps")] = Field(10, ge=1, le=200)
    """Sampling steps for each of the nine parts of the picture."""
    control_weight: Annotated[float, PerRun("upscale.control_weight")] = Field(0.5, ge=0.01, le=1)
    """How closely the enlarged video keeps to the input, up to 1."""


def _check(params: UpscaleTransfer1, videos: Mapping[str, VideoInfo]) -> list[str]:
    video = videos.get(VIDEO)
    missing = [f"{VIDEO}: there is no video to upscale; add one"] if video is None else []
    return [*process_problems(params), *missing, *(length_problems(video) if video else [])]


def _reads(_params: UpscaleTransfer1) -> frozenset[str]:
    return frozenset({VIDEO})


def _complete(params: UpscaleTransfer1, prompt: Prompt, videos: Mapping[str, VideoInfo]) -> UpscaleTransfer1:
    return completed(params, prompt, videos.get(VIDEO), has_video=True)


def _prepare(_params: UpscaleTransfer1, videos: Mapping[str, VideoInfo]) -> tuple[Preparation, ...]:
    """A video that is short enough goes as it is, a longer one in pieces."""
    if VIDEO not in videos:
        return ()
    cut = _cut(videos[VIDEO])
    if not cut:
        return mp4_preparations((VIDEO,), videos)
    return tuple(
        Preparation(role=_role(number), source=VIDEO, kind="piece", frames=(piece.start, piece.count))
        for number, piece in enumerate(cut)
    )


def _cut(video: VideoInfo) -> tuple[Piece, ...]:
    """The pieces of a video; none if it goes whole."""
    return pieces(video.frame_count, longest=CLIP_FRAMES) if video.frame_count > CLIP_FRAMES else ()


def _role(number: int) -> str:
    return f"piece-{number}"


def _build_job(job_id: str, samples: Sequence[Sample[UpscaleTransfer1]], paths: JobPaths) -> Job:
    work: list[Work] = []
    for sample in samples:
        work.append(_work(sum(len(run.lines) for run in work), sample))
    process = Process(
        params=samples[0].run.params,
        base={"upscale": {"control_weight": 1.0}},
        modes=MODES,
        patches=PATCHES,
        stall_limits_s={Phase.DECODING.value: 2 * STALL_LIMIT_S},
    )
    return build_job(job_id, "upscale", process, work, paths)


def _work(first: int, sample: Sample[UpscaleTransfer1]) -> Work:
    """The lines of a run, the first of which is line `first` of the batch."""
    video = sample.videos.get(VIDEO)
    cut = _cut(video) if video and VIDEO not in sample.inputs else ()
    roles = [_role(number) for number in range(len(cut))] or [VIDEO]
    lengths = [piece.count for piece in cut] or [video.frame_count if video else CLIP_FRAMES]
    text = sample.prompt.text.strip() or DEFAULT_PROMPT
    files = [sample.inputs[role] for role in roles]
    folders = [folder_of(first + number) for number in range(len(roles))]
    item = JobItem(
        run_id=sample.run.id,
        folder=OUT,
        markers=tuple(marker_of(first + number) for number in range(len(roles))),
        outputs=tuple(
            ExpectedFile(role=role, path=folder / "output.mp4", name=f"{role}.mp4")
            for role, folder in zip(roles, folders, strict=True)
        ),
        text=text,
        pieces=tuple((piece.start, piece.count) for piece in cut),
    )
    lines = [_line(sample, file, length, text) for file, length in zip(files, lengths, strict=True)]
    return Work(run_id=sample.run.id, lines=lines, item=item, files=files)


def _line(sample: Sample[UpscaleTransfer1], file: InputFile, frame_count: int, text: str) -> Line:
    upscale = spec_values(sample.run.params)["upscale"]
    assert isinstance(upscale, dict)
    # It has no `input_control`, not even null: the program would read that as a file.
    return Line(visual_input=file, prompt=text, overrides={"upscale": upscale}, frame_count=frame_count)


def _needs(params: UpscaleTransfer1, videos: Mapping[str, VideoInfo]) -> Needs:
    video = videos[VIDEO]
    parts_of_pictures = PATCHES * max(1, len(_cut(video)))
    return Needs(
        size=clips_size(video.frame_count, video, steps=params.num_steps + 1, calls=2, controls=1, pieces=parts_of_pictures),
        parts=1,
        gpu_count=params.num_gpus,
        memory_gb=memory_gb(params, controls=1),
        modes=MODES,
    )


UPSCALE_TRANSFER1 = Operation(
    name="upscale",
    family=FAMILY,
    params=UpscaleTransfer1,
    check=_check,
    needs_text=False,
    build_job=_build_job,
    reader=reader,
    read_outputs=read_outputs,
    needs_whole_files=True,
    reads=_reads,
    complete=_complete,
    prepare=_prepare,
    needs=_needs,
)
