"""Prompts and runs: the records that users see, rate, kill and run again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import Generic

from pydantic import BaseModel, ConfigDict, JsonValue
from typing_extensions import TypeVar

from cosmos_ops.errors import CosmosError
from cosmos_ops.names import new_id
from cosmos_ops.params import Params
from cosmos_ops.sizes import Needs

P = TypeVar("P", bound=Params, default=Params, covariant=True)

VIDEO = "video"
"""Role of the input video of a prompt; the other roles are the names of its controls."""


class RunStatus(str, Enum):
    """`queued -> running -> completed | failed | blocked | cancelled`."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    BLOCKED = "blocked"
    """The model's guardrail refused it."""
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the run can no longer change its status."""
        return self not in (RunStatus.QUEUED, RunStatus.RUNNING)


class Phase(str, Enum):
    """What a running run is doing."""

    STAGING_IN = "staging in"
    WAITING = "waiting for a slot"
    LOADING = "loading"
    PREPROCESSING = "preprocessing"
    """The model computes controls, masks and embeddings."""
    SAMPLING = "sampling"
    DECODING = "decoding"
    GUARDRAIL = "guardrail"
    """The model looks whether it may show its text or video."""
    SAVING = "saving"
    STAGING_OUT = "staging out"
    LOST_CONTACT = "lost contact"
    """Its host does not answer; the container goes on there."""


class RunFailure(BaseModel):
    """Why a run did not complete, as it is stored and shown."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: str
    """Name of the class in `cosmos_ops.errors`."""
    message: str
    retry_helps: bool

    @classmethod
    def of(cls, error: CosmosError) -> "RunFailure":
        """Keep an error: its class, its words, and whether a retry may pass."""
        return cls(kind=type(error).__name__, message=str(error), retry_helps=error.retry_helps)


class RunOutputs(BaseModel):
    """What a run left, as paths relative to the outputs root; a failed run leaves its log."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    video: PurePosixPath | None = None
    thumbnail: PurePosixPath | None = None
    contact_sheet: PurePosixPath | None = None
    spec: PurePosixPath | None = None
    log: PurePosixPath | None = None
    image: PurePosixPath | None = None
    """What a run left that makes one picture and no video."""
    gpu_plot: PurePosixPath | None = None
    """Utilisation, memory, temperature and power of its GPUs over time."""
    prompt: PurePosixPath | None = None
    """The text file with the enhanced prompt."""
    prompt_id: str | None = None
    """Id of the enhanced prompt that an enhance run made."""


@dataclass(frozen=True)
class Prompt:
    """A text with its negative text and its input videos; an enhanced prompt keeps its parent."""

    text: str
    negative_text: str = ""
    name: str = ""
    """What people call it; free text, cleaned before it names a folder."""
    inputs: Mapping[str, Path] = field(default_factory=dict)
    """Role (`video` or the name of a control) to an absolute path on this machine."""
    parent_id: str | None = None
    """The prompt that this one was enhanced from."""
    id: str = field(default_factory=lambda: new_id("ps"))
    created_at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))


@dataclass(frozen=True)
class NextStage:
    """What is queued once a run has completed: the same prompt enhanced, or its video, in another operation."""

    operation: str
    family: str
    params: Mapping[str, JsonValue]
    then: tuple["NextStage", ...] = ()


@dataclass(frozen=True)
class Queueing:
    """That a run belongs to the shared queue: `dispatch` carries it out, whoever asked for it."""

    needs: Needs
    host: str = "auto"
    """Name of the only host that may do it, or auto."""
    then: tuple[NextStage, ...] = ()
    """What follows when it has completed."""


@dataclass(frozen=True)
class Run(Generic[P]):
    """One request for one operation on one prompt or on one earlier run."""

    prompt_id: str
    operation: str
    family: str
    params: P
    request_key: str
    """Unique: a request that is made twice, by a retried flow say, gets the run that is there."""
    parent_id: str | None = None
    """The run whose video this run works on."""
    flow_run_id: str | None = None
    owner: str | None = None
    """The process that is to carry it out (`cosmos_ops.owners`); if that is gone, somebody else looks after the run."""
    status: RunStatus = RunStatus.QUEUED
    phase: Phase | None = None
    phase_since: datetime | None = None
    stop_requested_at: datetime | None = None
    """Since when somebody wants it to end; carried out as soon as its host answers."""
    job_id: str | None = None
    queueing: Queueing | None = None
    """Set for a run of the shared queue."""
    priority: int = 0
    """In the shared queue; higher goes first."""
    breaks: int = 0
    """How often it broke its process in a way that a retry may mend; from then on it runs alone."""
    breaks_alone: int = 0
    """How often it did so without any neighbours."""
    outputs: RunOutputs = RunOutputs()
    failure: RunFailure | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    id: str = field(default_factory=lambda: new_id("rs"))
    created_at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    @property
    def duration_s(self) -> float | None:
        """Seconds from start to end; none before it has ended."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()
