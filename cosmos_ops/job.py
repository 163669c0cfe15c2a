"""What a batch needs on a host, as plain data: files in, one container, files out, completion markers.

The two parts of a job stay apart: what the control signature alone decides (`ContainerSpec`) and what each run adds
(`JobItem`, files and inputs), so that a container which keeps its model loaded can be fed runs one by one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Generic

from cosmos_ops.errors import CosmosError
from cosmos_ops.runs import P, Phase, Prompt, Run
from cosmos_ops.videos import VideoInfo

MODELS_FOLDER = PurePosixPath("/cosmos/models")
"""Where a container sees the folder of models of its host."""


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
    videos: Mapping[str, VideoInfo] = field(default_factory=dict)
    """What is known of these files, by role."""


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
    gpu_count: int = 1
    """GPUs that the process uses; 0: it needs none, and still takes a slot."""
    workdir: str = ""
    """Where the process starts; empty for what the image says."""
    family: str = ""
    """The family whose model files it reads, from the folder of models of the host; empty: it reads none."""
    modes: tuple[str, ...] = ()
    """What it does with them, which says what files it needs (`cosmos_ops.checkpoints`)."""
    has_network: bool = False
    """Whether it may reach other machines."""


@dataclass(frozen=True)
class ExpectedFile:
    """A file that a process of foreign make leaves; it has no checksum until the host is asked for one."""

    role: str
    path: PurePosixPath
    """Relative to the job's folder."""
    name: str
    """What it is called at home."""
    is_optional: bool = False


@dataclass(frozen=True)
class JobItem:
    """What one run adds, and how to see that it is complete."""

    run_id: str
    folder: PurePosixPath
    """Folder of its outputs, relative to the job's folder."""
    markers: tuple[PurePosixPath, ...]
    """Each written last; their presence and content prove that the outputs are complete. Relative to the job's folder."""
    outputs: tuple[ExpectedFile, ...] = ()
    """What is brought home; empty where the marker itself names the files with their checksums."""
    text: str = ""
    """What a marker must hold, where it repeats the prompt."""
    pieces: tuple[tuple[int, int], ...] = ()
    """First frame and number of frames of each piece that the video was cut into; the outputs `piece-<n>` are joined at home."""


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
    stall_limits_s: Mapping[str, float] = field(default_factory=dict)
    """The same for phases (`cosmos_ops.runs.Phase`) that are silent for longer."""

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
    models: PurePosixPath = MODELS_FOLDER

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
class SamplePhase:
    """The process does something else for a run from now on."""

    run_id: str
    phase: Phase


@dataclass(frozen=True)
class SampleBlocked:
    """The guardrail refuses a run, and says why."""

    run_id: str
    text: str


@dataclass(frozen=True)
class SampleFailed:
    """The process gives up on a run, says why, and goes on with the next."""

    run_id: str
    text: str


@dataclass(frozen=True)
class SampleEnded:
    """The process is through with a run; the marker tells how it went."""

    run_id: str


@dataclass(frozen=True)
class ProcessFailure:
    """A line that says why the whole process fails."""

    text: str


Event = SampleStarted | SampleProgress | SamplePhase | SampleBlocked | SampleFailed | SampleEnded | ProcessFailure


@dataclass(frozen=True)
class OutputFile:
    """A file that a completed run left on the host."""

    path: PurePosixPath
    """Relative to the folder of the run's outputs."""
    sha256: str
    size_bytes: int
    name: str = ""
    """What it is called at home; empty for its own name."""


@dataclass(frozen=True)
class Findings:
    """What is found on the host after a process has ended. Paths are relative to the job's folder."""

    texts: Mapping[PurePosixPath, str]
    """Each marker that is there, with its text."""
    files: Mapping[PurePosixPath, OutputFile] = field(default_factory=dict)
    """Each expected file that is there."""
    log: Sequence[str] = ()
    """The last lines of the process."""


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

    broke_process: bool = False
    """Whether it did begin and broke the process, in a way that a retry may mend."""


Outcome = Completed | NotCompleted | NotRun
