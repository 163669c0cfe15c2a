"""What comes in: finds and checks the input videos and the text of a request, before anything is spent on it."""

from collections.abc import Mapping
from pathlib import Path

from cosmos_ops.errors import InputError, VideoUnreadableError
from cosmos_ops.job import InputFile, Sample
from cosmos_ops.media.probe import probe
from cosmos_ops.operations.operation import Operation
from cosmos_ops.params import Params, active_controls
from cosmos_ops.remote.files import sha256_of
from cosmos_ops.runs import VIDEO, Prompt, Run
from cosmos_ops.videos import VideoInfo

TEXT_LENGTH_MAX = 10_000
FILE_NAMES: Mapping[str, tuple[str, ...]] = {
    VIDEO: ("color.mp4", "video.mp4"),
    "vis": ("vis.mp4",),
    "edge": ("edge.mp4",),
    "depth": ("depth.mp4",),
    "seg": ("seg.mp4", "segmentation.mp4"),
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
        InputError: With all problems, each with its path, in one line.
    """
    problems: list[str] = []
    infos: dict[str, VideoInfo] = {}
    if operation.needs_text:
        try:
            check_text(text)
        except InputError as error:
            problems.append(str(error))
    for role, path in used_videos(operation, params, videos).items():
        try:
            infos[role] = probe(path)
        except VideoUnreadableError as error:
            problems.append(str(error))
    if not problems:
        problems = operation.check(params, infos)
    if problems:
        raise InputError("; ".join(problems))


def used_videos(operation: Operation[Params], params: Params, videos: Mapping[str, Path]) -> dict[str, Path]:
    """The videos that a run really needs: its input, and the files of the controls whose weight is above 0."""
    if not operation.reads_videos:
        return {}
    roles = {VIDEO, *active_controls(params)}
    return {role: path for role, path in videos.items() if role in roles}


def sample_of(operation: Operation[Params], run: Run, prompt: Prompt, videos: Mapping[str, Path]) -> Sample[Params]:
    """A run with its input files, each read once to know it by its content."""
    used = used_videos(operation, run.params, videos)
    inputs = {role: InputFile(source=path, sha256=sha256_of(path), size_bytes=path.stat().st_size) for role, path in used.items()}
    return Sample(run=run, prompt=prompt, inputs=inputs)
