"""What an operation is: a record of pure functions, with no connection, no session and no clock."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal

from cosmos_ops.job import ContainerExit, Event, Findings, Job, JobPaths, Outcome, Sample
from cosmos_ops.params import Params, active_controls
from cosmos_ops.runs import VIDEO, P, Prompt
from cosmos_ops.sizes import Needs, SampleSize
from cosmos_ops.videos import VideoInfo


@dataclass(frozen=True)
class Preparation:
    """A file that is made on this machine from an input, before anything is sent."""

    role: str
    """Role of the made file."""
    source: str
    """Role of the input that it is made from."""
    kind: Literal["edge", "blur", "mp4", "piece"]
    """Canny edges, a blurred copy, the same in another container, or some of its frames."""
    strength: str = "medium"
    frames: tuple[int, int] = (0, 0)
    """Of a piece: first frame and number of frames."""


def video_and_controls(params: Params) -> frozenset[str]:
    """The roles that most operations read: the input video, and the files of the active controls."""
    return frozenset({VIDEO, *active_controls(params)})


def no_files(_params: Params) -> frozenset[str]:
    """For operations that work on the text alone."""
    return frozenset()


def as_given(params: Params, _prompt: Prompt, _videos: Mapping[str, VideoInfo]) -> Params:
    """For families whose parameters do not depend on the inputs."""
    return params


def nothing_to_prepare(_params: Params, _videos: Mapping[str, VideoInfo]) -> tuple[Preparation, ...]:
    """For families that take the inputs as they are."""
    return ()


def needs_little(_params: Params, videos: Mapping[str, VideoInfo]) -> Needs:
    """For work whose seconds depend on the number of frames alone."""
    return Needs(SampleSize(frames=max((video.frame_count for video in videos.values()), default=1)))


@dataclass(frozen=True)
class Operation(Generic[P]):
    """One kind of work as one family of models does it."""

    name: str
    """`enhance`, `inference` or `upscale`."""
    family: str
    params: type[P]
    check: Callable[[Any, Mapping[str, VideoInfo]], list[str]]
    """Params and the input files by role to all problems of the request, each a sentence; empty if it can be met."""
    needs_text: bool
    """Whether a prompt without a text is refused."""
    build_job: Callable[[str, Sequence[Sample[Any]], JobPaths], Job]
    """Job id, the samples of one batch (equal control signatures) and the paths that the process sees, to the job."""
    reader: Callable[[Job], Callable[[str], list[Event]]]
    """Job to a function that is given every line of its process, from the first one on, and says what each tells."""
    read_outputs: Callable[[Job, ContainerExit, Sequence[Event], Findings], dict[str, Outcome]]
    """Job, exit, events and what is found on the host to the outcome of each run."""
    reads: Callable[[Any], frozenset[str]] = video_and_controls
    """Params to the roles of the files that it may read."""
    complete: Callable[[Any, Prompt, Mapping[str, VideoInfo]], Any] = as_given
    """Params to those with all that follows from the prompt and its files filled in, before they are recorded."""
    needs_whole_files: bool = False
    """Whether a file that breaks off ends the process, so that every frame is decoded before anything is sent."""
    takes_pictures: bool = False
    """Whether a picture may stand where a video may, as a video of one frame."""
    prepare: Callable[[Any, Mapping[str, VideoInfo]], tuple[Preparation, ...]] = nothing_to_prepare
    """Params and the input files by role to the files that are made from them first; each takes the place of its role."""
    needs: Callable[[Any, Mapping[str, VideoInfo]], Needs] = needs_little
    """Params and the input files by role to the amount of work, and to what a machine must have for it."""
