"""What an operation is: a record of pure functions, with no connection, no session and no clock."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic

from cosmos_ops.job import ContainerExit, Event, Job, JobPaths, Outcome, Sample
from cosmos_ops.runs import P
from cosmos_ops.videos import VideoInfo


@dataclass(frozen=True)
class Operation(Generic[P]):
    """One kind of work as one family of models does it."""

    name: str
    """`enhance`, `inference` or `upscale`."""
    family: str
    params: type[P]
    check: Callable[[Any, Mapping[str, VideoInfo]], list[str]]
    """Params and the input videos by role to all problems of the request, each a sentence; empty if it can be met."""
    needs_text: bool
    """Whether a prompt without a text is refused."""
    reads_videos: bool
    """Whether it works on videos."""
    build_job: Callable[[str, Sequence[Sample[Any]], JobPaths], Job]
    """Job id, the samples of one batch (equal control signatures) and the paths that the process sees, to the job."""
    read_progress: Callable[[str], list[Event]]
    """One line of the process to what it tells."""
    read_outputs: Callable[[Job, ContainerExit, Sequence[Event], Mapping[str, str]], dict[str, Outcome]]
    """Job, exit, events and the text of every marker found (by run id) to the outcome of each run."""
