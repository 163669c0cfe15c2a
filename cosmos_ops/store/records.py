"""Rows to records and back: the edge at which stored JSON becomes a type."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from cosmos_ops.errors import CosmosError, RecordInvalidError
from cosmos_ops.job import Job
from cosmos_ops.params import Params, one_line
from cosmos_ops.runs import Phase, Prompt, Queueing, Run, RunFailure, RunOutputs, RunStatus
from cosmos_ops.store.tables import JobRow, JsonObject, PromptRow, RunRow, storable
from cosmos_ops.timing import JobTiming

ReadParams = Callable[[str, str, Mapping[str, JsonValue]], Params]
"""Operation, family and stored JSON to parameters."""

T = TypeVar("T")


class PromptDetails(BaseModel):
    """What no query asks of a prompt."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    negative_text: str = ""
    inputs: dict[str, Path] = Field(default_factory=dict)


class RunState(BaseModel):
    """What no query asks of a run and what changes while it lives."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    owner: str | None = None
    phase: Phase | None = None
    phase_since: AwareDatetime | None = None
    stop_requested_at: AwareDatetime | None = None
    started_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    outputs: RunOutputs = RunOutputs()
    failure: RunFailure | None = None
    breaks: int = 0
    breaks_alone: int = 0


@dataclass(frozen=True)
class JobRecord:
    """A job as the store knows it: where it runs, who carries it out, and until when nobody else may."""

    job: Job
    host: str
    owner: str
    lease_until: datetime
    created_at: datetime
    ended_at: datetime | None = None
    timing: JobTiming | None = None


_PROMPT_DETAILS = TypeAdapter(PromptDetails)
_RUN_STATE = TypeAdapter(RunState)
_STATUS = TypeAdapter(RunStatus)
_JOB = TypeAdapter(Job)
_QUEUEING = TypeAdapter(Queueing)
_TIMING = TypeAdapter(JobTiming)


def prompt_row(prompt: Prompt) -> PromptRow:
    """The row of a prompt."""
    details = PromptDetails(
        negative_text=storable(prompt.negative_text),
        inputs={storable(role): Path(storable(str(path))) for role, path in prompt.inputs.items()},
    )
    return PromptRow(
        id=prompt.id,
        created_at=prompt.created_at,
        parent_id=prompt.parent_id,
        name=prompt.name,
        text=prompt.text,
        details=details.model_dump(mode="json"),
    )


def read_prompt(row: PromptRow) -> Prompt:
    """The prompt of a row."""
    details = _read(_PROMPT_DETAILS, row, "details", row.details)
    return Prompt(
        text=row.text,
        negative_text=details.negative_text,
        name=row.name,
        inputs=details.inputs,
        parent_id=row.parent_id,
        id=row.id,
        created_at=row.created_at,
    )


def run_row(run: Run) -> RunRow:
    """The row of a run."""
    state = RunState(
        owner=run.owner,
        phase=run.phase,
        phase_since=run.phase_since,
        stop_requested_at=run.stop_requested_at,
        started_at=run.started_at,
        ended_at=run.ended_at,
        outputs=run.outputs,
        failure=run.failure,
        breaks=run.breaks,
        breaks_alone=run.breaks_alone,
    )
    return RunRow(
        id=run.id,
        created_at=run.created_at,
        prompt_id=run.prompt_id,
        parent_id=run.parent_id,
        operation=run.operation,
        family=run.family,
        status=run.status.value,
        request_key=run.request_key,
        job_id=run.job_id,
        flow_run_id=run.flow_run_id,
        params=run.params.model_dump(mode="json"),
        state=state.model_dump(mode="json"),
        priority=run.priority if run.queueing is not None else None,
        queueing=_QUEUEING.dump_python(run.queueing, mode="json") if run.queueing is not None else None,
    )


def read_run(row: RunRow, read_params: ReadParams) -> Run:
    """The run of a row."""
    state = read_state(row)
    return Run(
        prompt_id=row.prompt_id,
        operation=row.operation,
        family=row.family,
        params=_params(row, read_params),
        request_key=row.request_key,
        parent_id=row.parent_id,
        flow_run_id=row.flow_run_id,
        owner=state.owner,
        status=read_status(row),
        phase=state.phase,
        phase_since=state.phase_since,
        stop_requested_at=state.stop_requested_at,
        job_id=row.job_id,
        outputs=state.outputs,
        failure=state.failure,
        queueing=None if row.queueing is None else _read(_QUEUEING, row, "queueing", row.queueing),
        priority=row.priority or 0,
        breaks=state.breaks,
        breaks_alone=state.breaks_alone,
        started_at=state.started_at,
        ended_at=state.ended_at,
        id=row.id,
        created_at=row.created_at,
    )


def read_status(row: RunRow) -> RunStatus:
    """The status of a run's row."""
    return _read(_STATUS, row, "status", row.status)


def read_state(row: RunRow) -> RunState:
    """The state of a run's row."""
    return _read(_RUN_STATE, row, "state", row.state)


def job_row(record: JobRecord) -> JobRow:
    """The row of a job."""
    return JobRow(
        id=record.job.id,
        created_at=record.created_at,
        host=record.host,
        owner=record.owner,
        lease_until=record.lease_until,
        ended_at=record.ended_at,
        job=_JOB.dump_python(record.job, mode="json"),
        timing=None if record.timing is None else timing_json(record.timing),
    )


def timing_json(timing: JobTiming) -> JsonObject:
    """The times of a job as they are stored."""
    stored: JsonObject = _TIMING.dump_python(timing, mode="json")
    return stored


def read_job(row: JobRow) -> JobRecord:
    """The job of a row."""
    return JobRecord(
        job=_read(_JOB, row, "job", _as_today(row.job)),
        host=row.host,
        owner=row.owner,
        lease_until=row.lease_until,
        created_at=row.created_at,
        ended_at=row.ended_at,
        timing=None if row.timing is None else _read(_TIMING, row, "timing", row.timing),
    )


def _as_today(job: object) -> object:
    """A job as version 0.1 wrote it: with one marker, and with "needs a GPU" for a number of GPUs."""
    if not isinstance(job, dict) or not isinstance(job.get("container"), dict) or not isinstance(job.get("items"), list):
        return job
    container = {"gpu_count": int(job["container"].get("needs_gpu", True)), **job["container"]}
    return {**job, "container": container, "items": [_item_as_today(item) for item in job["items"]]}


def _item_as_today(item: object) -> object:
    return {"markers": [item["marker"]], **item} if isinstance(item, dict) and "marker" in item else item


def _params(row: RunRow, read_params: ReadParams) -> Params:
    # A JSON text may hold anything, whatever the type of the column says.
    stored: Any = row.params
    if not isinstance(stored, dict):
        raise _invalid(row, "params", "it is no JSON object")
    try:
        return read_params(row.operation, row.family, stored)
    except (CosmosError, ValueError, LookupError) as error:
        raise _invalid(row, "params", str(error)) from error


def _read(adapter: TypeAdapter[T], row: PromptRow | RunRow | JobRow, field: str, value: object) -> T:
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        raise _invalid(row, field, one_line(error)) from error


def _invalid(row: PromptRow | RunRow | JobRow, field: str, why: str) -> RecordInvalidError:
    return RecordInvalidError(f"table '{row.__tablename__}', row '{row.id}', field '{field}': {why}")
