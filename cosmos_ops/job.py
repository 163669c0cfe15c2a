"""What a batch needs on a host, as plain data: files in, one container, files out, completion markers.

The two parts of a job stay apart: what the control signature alone decides (`ContainerSpec`) and what each run adds
(`JobItem`, files and inputs), so that a container which keeps its model loaded can be fed runs one by one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Generic

from cosmos_ops.errors import CosmosError
from cosmos_ops.runs import P, Prompt, Run


@dataclass(frozen=True)
class InputFile:
    """A file of this machine that a job needs; on the host it lives under its content."""

    source: Path
    sha256: str
    size_bytes: int

    @property
    def host_path(self) -> PurePosixPath:
        """Where it lies on the host, relative to the workspace."""
        return PurePosixPath("inputs", self.sha256 + self.source.suffix.lower())


@dataclass(frozen=True)
class Sample(Generic[P]):
    """One run with all that it works on: the item of a batch before it becomes part of a job."""

    run: Run[P]
    prompt: Prompt
    inputs: Mapping[str, InputFile]
    """Role (`video` or the name of a control) to file."""


@dataclass(frozen=True)
class TextFile:
    """A small file that is written into the job's folder on the host."""

    path: PurePosixPath
    """Relative to the job's folder."""
    text: str


@dataclass(frozen=True)
class ContainerSpec:
    """The process part: equal for all jobs of one control signature but for the paths."""

    image: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    needs_gpu: bool = True


@dataclass(frozen=True)
class JobItem:
    """What one run adds, and how to see that it is complete."""

    run_id: str
    folder: PurePosixPath
    """Folder of its outputs, relative to the job's folder."""
    marker: PurePosixPath
    """Written last; its presence and content prove that the outputs are complete. Relative to the job's folder."""


@dataclass(frozen=True)
class Job:
    """A batch on its way: everything `cosmos_ops.execution` needs to carry it out on any host, again and again."""

    id: str
    operation: str
    family: str
    container: ContainerSpec
    inputs: tuple[InputFile, ...]
    files: tuple[TextFile, ...]
    items: tuple[JobItem, ...]
    stall_limit_s: float
    """Seconds without a line after which the process counts as stalled."""

    @property
    def container_name(self) -> str:
        """The name that makes a second start attach to the first."""
        return f"cosmos-{self.id}"

    @property
    def host_folder(self) -> PurePosixPath:
        """The job's folder on the host, relative to the workspace."""
        return host_folder(self.id)


def host_folder(job_id: str) -> PurePosixPath:
    """The folder of a job on its host, relative to the workspace."""
    return PurePosixPath("jobs", job_id)


@dataclass(frozen=True)
class JobPaths:
    """Where the process finds the job: in a container these are mounts, for a plain process folders of the host."""

    job: PurePosixPath
    inputs: PurePosixPath

    def input(self, file: InputFile) -> PurePosixPath:
        """Where the process finds an input."""
        return self.inputs / file.host_path.name


@dataclass(frozen=True)
class ContainerExit:
    """How a container ended."""

    code: int
    """Exit code; 128 + n after signal n."""
    oom_killed: bool = False
    """The kernel killed it because the machine ran out of memory."""
    is_cancelled: bool = False
    """We stopped it because somebody cancelled."""
    is_overdue: bool = False
    """It ran longer than the time limit of its host."""
    is_stalled: bool = False
    """We stopped it because it printed nothing for longer than it may."""


@dataclass(frozen=True)
class LogLine:
    """One line of the model process, or one redraw of a progress bar."""

    text: str
    is_redraw: bool


@dataclass(frozen=True)
class SampleStarted:
    """The process works on a run from now on."""

    run_id: str


@dataclass(frozen=True)
class SampleProgress:
    """So many steps of a run are done."""

    run_id: str
    done: int
    total: int


@dataclass(frozen=True)
class SampleEnded:
    """The process is through with a run; the marker tells how it went."""

    run_id: str


@dataclass(frozen=True)
class ProcessFailure:
    """A line that says why the whole process fails."""

    text: str


Event = SampleStarted | SampleProgress | SampleEnded | ProcessFailure


@dataclass(frozen=True)
class OutputFile:
    """A file that a completed run left on the host."""

    path: PurePosixPath
    """Relative to the folder of the run's outputs."""
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Completed:
    """The run left all that it promised: role to file."""

    files: Mapping[str, OutputFile]


@dataclass(frozen=True)
class NotCompleted:
    """The run failed or was blocked or cancelled; the class of the error tells which."""

    error: CosmosError


@dataclass(frozen=True)
class NotRun:
    """The process never came to this run, because a neighbour broke it; it goes back to the queue."""


Outcome = Completed | NotCompleted | NotRun
