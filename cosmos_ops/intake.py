"""What comes in: finds and checks the input videos and the text of a request, before anything is spent on it."""

import difflib
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from cosmos_ops.errors import InputError, VideoUnreadableError
from cosmos_ops.job import InputFile, Job, JobPaths, Sample
from cosmos_ops.media.probe import probe, prove
from cosmos_ops.operations.operation import Operation
from cosmos_ops.params import Params
from cosmos_ops.preparation import prepare
from cosmos_ops.remote.files import sha256_of
from cosmos_ops.runs import VIDEO, Prompt, Run
from cosmos_ops.videos import VideoInfo

TEXT_LENGTH_MAX = 10_000
ADDRESS = re.compile(r"[a-z][a-z0-9+]{1,9}:/", re.IGNORECASE)
REFUSED_SUFFIXES = (".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".npy", ".npz")
CONTROLS = ("vis", "edge", "depth", "seg", "keypoint", "hdmap", "lidar", "wsm")
ANY_VIDEO = VideoInfo(Path(), 1280, 704, 121, Fraction(24), 121 / 24, has_audio=False)
"""Stands in for a file that cannot be read, while the rest of its request is checked."""
OTHER_NAMES: Mapping[str, tuple[str, ...]] = {"vis": ("blur",), "seg": ("segmentation",)}
FILE_NAMES: Mapping[str, tuple[str, ...]] = {
    VIDEO: ("color.mp4", "video.mp4"),
    **{name: tuple(f"{known}.mp4" for known in (name, *OTHER_NAMES.get(name, ()))) for name in CONTROLS},
    **{f"{name}_mask": (f"{name}_mask.mp4",) for name in CONTROLS},
    "image": ("image.png", "image.jpg"),
    "style_image": ("style.png", "style.jpg"),
    "guided_mask": ("guided_mask.mp4",),
}
"""Role to the file names under which a folder may hold its video; the first that is there counts."""


def find_videos(path: Path) -> dict[str, Path]:
    """The input videos of a file or a folder, by role, as absolute paths.

    Raises:
        VideoUnreadableError: There is nothing there, or a folder without any video.
    """
    try:
        path = path.expanduser().absolute()
        is_folder = path.is_dir()
    except (OSError, RuntimeError, ValueError) as error:
        raise VideoUnreadableError(f"{path} cannot be read: {error}") from error
    if not is_folder:
        return {VIDEO: path}
    found = {role: path / name for role, names in FILE_NAMES.items() for name in reversed(names) if (path / name).is_file()}
    if not found:
        names = ", ".join(name for names in FILE_NAMES.values() for name in names)
        raise VideoUnreadableError(f"{path} holds no video; it needs one of {names}")
    return found


def check_file(role: str, path: str) -> Path:
    """A file that a request names for a role, as an absolute path.

    Raises:
        InputError: There is no role of that name, or no such file, or one of a kind that is not taken from outside.
    """
    if role not in FILE_NAMES:
        near = difflib.get_close_matches(role, FILE_NAMES, n=1)
        raise InputError(
            f"inputs.{role}: there is no such role"
            + (f"; did you mean {near[0]}?" if near else f"; there are {', '.join(FILE_NAMES)}")
        )
    if path.lower().endswith(REFUSED_SUFFIXES):
        raise InputError(f"inputs.{role}: {path} may hold code that runs when it is read; give a video or an image")
    if ADDRESS.match(path):
        raise InputError(f"inputs.{role}: {path} is an address; download the file, and name it here")
    found = Path(path).expanduser().absolute()
    if not found.is_file():
        raise VideoUnreadableError(f"inputs.{role}: there is no file {found}")
    return found


def storable(text: str) -> str:
    """A text from outside without what no database keeps: NUL, and halves of surrogate pairs (shown as `?`)."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def check_text(text: str) -> str:
    """A prompt's text without blanks around it.

    Raises:
        InputError: It is empty or too long.
    """
    text = storable(text).strip()
    if not text:
        raise InputError("the prompt is empty; write what the video is to show")
    if len(text) > TEXT_LENGTH_MAX:
        raise InputError(f"the prompt has {len(text):,} characters; at most {TEXT_LENGTH_MAX:,} are allowed")
    return text


def check_request(operation: Operation[Params], params: Params, text: str, videos: Mapping[str, Path]) -> None:
    """Make sure that a run can do what it is asked for.

    Raises:
        InputError: With all problems, each with its path.
    """
    problems: list[str] = []
    infos: dict[str, VideoInfo] = {}
    if operation.needs_text:
        try:
            check_text(text)
        except InputError as error:
            problems.append(str(error))
    unreadable: dict[str, Path] = {}
    for role, path in used_videos(operation, params, videos).items():
        try:
            infos[role] = probe(path, takes_pictures=operation.takes_pictures)
            if operation.needs_whole_files and infos[role].frame_count > 1:
                prove(path)
        except VideoUnreadableError as error:
            problems.append(str(error))
            unreadable[role] = path
    # What has nothing to do with a file that cannot be read is said as well.
    like = next(iter(infos.values()), ANY_VIDEO)
    found = operation.check(params, {**infos, **{role: replace(like, path=path) for role, path in unreadable.items()}})
    problems += [problem for problem in found if not any(str(path) in problem for path in unreadable.values())]
    if problems:
        raise InputError(*problems)


def used_videos(operation: Operation[Params], params: Params, videos: Mapping[str, Path]) -> dict[str, Path]:
    """The files that a run really needs: its input, and those of the controls whose weight is above 0."""
    roles = operation.reads(params)
    return {role: path for role, path in videos.items() if role in roles}


def completed(operation: Operation[Params], params: Params, prompt: Prompt, videos: Mapping[str, Path]) -> Params:
    """The parameters with all that follows from the prompt and its files filled in; files that cannot be read say nothing."""
    infos: dict[str, VideoInfo] = {}
    for role, path in used_videos(operation, params, videos).items():
        with suppress(VideoUnreadableError):
            infos[role] = probe(path, takes_pictures=operation.takes_pictures)
    full: Params = operation.complete(params, prompt, infos)
    return full


def sample_of(
    operation: Operation[Params], run: Run, prompt: Prompt, videos: Mapping[str, Path], *, prepared: Path
) -> Sample[Params]:
    """A run with its files, each read once to know it by its content; what has to be made of them first is made.

    Args:
        operation: What it does.
        run: The run.
        prompt: Its prompt.
        videos: Role to file.
        prepared: Folder of the files that are made.

    Raises:
        VideoUnreadableError: A file breaks off.
    """
    used = used_videos(operation, run.params, videos)
    inputs = {role: _input_file(path) for role, path in used.items()}
    infos = {role: probe(path, takes_pictures=operation.takes_pictures) for role, path in used.items()}
    steps = operation.prepare(run.params, infos)
    made = {role: _input_file(path) for role, path in prepare(steps, inputs, prepared).items()}
    replaced = {step.source for step in steps if step.kind == "piece"}
    kept = {role: file for role, file in inputs.items() if role not in replaced}
    return Sample(run=run, prompt=prompt, inputs={**kept, **made}, videos=infos)


def job_of(
    operation: Operation[Params], job_id: str, samples: Sequence[Sample[Params]], paths: JobPaths, *, image: str = ""
) -> Job:
    """The job of one batch, with the image that its host has for the family."""
    job = operation.build_job(job_id, samples, paths)
    return replace(job, container=replace(job.container, image=image or job.container.image))


def _input_file(path: Path) -> InputFile:
    return InputFile(source=path, sha256=sha256_of(path), size_bytes=path.stat().st_size)
