"""Where runs are carried out: store, results and host together, and the steps that touch more than one of them."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cosmos_ops import execution
from cosmos_ops.errors import CosmosError, RunCancelledError, SampleBlockedError
from cosmos_ops.execution import Computation
from cosmos_ops.intake import used_videos
from cosmos_ops.job import Completed, Event, Job, JobItem, LogLine, NotCompleted, NotRun, Outcome, SampleStarted
from cosmos_ops.operations import find_operation
from cosmos_ops.remote.host import Host
from cosmos_ops.results import ResultsFolder, gather
from cosmos_ops.runs import VIDEO, Phase, Prompt, Run, RunFailure, RunOutputs, RunStatus
from cosmos_ops.store import Store

LEASE_S = 60.0
RENEW_S = 15.0


@dataclass(frozen=True)
class Workplace:
    """The run store, the results folder and one host; `owner` is the process that works here."""

    store: Store
    results: ResultsFolder
    host: Host
    owner: str

    def root_prompt(self, prompt_id: str) -> Prompt:
        """The first prompt of a lineage."""
        prompt = self.store.prompt(prompt_id)
        while prompt.parent_id is not None:
            prompt = self.store.prompt(prompt.parent_id)
        return prompt

    def videos_of(self, run: Run) -> dict[str, Path]:
        """The videos that a run works on: its prompt's, or the output of the run that it follows."""
        if run.parent_id is None:
            return dict(self.store.prompt(run.prompt_id).inputs)
        video = self.store.run(run.parent_id).outputs.video
        return {} if video is None else {VIDEO: self.results.absolute(video)}


@dataclass
class Follower:
    """Follows a job: keeps its lease, moves the phases of its runs, and asks whether it is cancelled."""

    place: Workplace
    job: Job
    on_line: Callable[[LogLine], None]
    on_event: Callable[[Event], None]
    is_cancelled: Callable[[], bool]
    _renewed_at: float = field(default=0.0)

    def follow(self, labels: Mapping[str, str]) -> Computation:
        """Compute to the end."""
        self._set_phase([item.run_id for item in self.job.items], Phase.LOADING)
        return execution.compute(
            self.job,
            find_operation(self.job.operation, self.job.family),
            self.place.host,
            labels=labels,
            log=self.place.results.job_log(self.job.id),
            on_line=self.on_line,
            on_event=self._take,
            is_cancelled=self._tick,
        )

    def _take(self, event: Event) -> None:
        if isinstance(event, SampleStarted):
            self._set_phase([event.run_id], Phase.SAMPLING)
        self.on_event(event)

    def _tick(self) -> bool:
        if time.monotonic() - self._renewed_at > RENEW_S:
            self._renewed_at = time.monotonic()
            self.place.store.renew_lease(self.job.id, owner=self.place.owner, lease_s=LEASE_S)
        return self.is_cancelled()

    def _set_phase(self, run_ids: list[str], phase: Phase) -> None:
        self.place.store.set_phase(run_ids, phase, job_id=self.job.id)


def bring_home(place: Workplace, job: Job, outcomes: Mapping[str, Outcome]) -> dict[str, RunOutputs | CosmosError]:
    """Stage out the runs of a job that completed, and the log of all others that ended; one failing leaves the rest alone.

    Returns:
        For each run that ended its outputs, or the error with which its stage out failed.
    """
    home: dict[str, RunOutputs | CosmosError] = {}
    place.store.set_phase([item.run_id for item in job.items], Phase.STAGING_OUT, job_id=job.id)
    for item in job.items:
        outcome = outcomes[item.run_id]
        if isinstance(outcome, NotRun):
            place.results.keep_log(item.run_id, job.id)
            continue
        try:
            home[item.run_id] = _bring_one_home(place, job, item, outcome)
        except CosmosError as error:
            home[item.run_id] = error if isinstance(outcome, NotCompleted) else _kept_on_host(error, job, place)
            place.results.clear_staging(item.run_id)
    return home


def _kept_on_host(error: CosmosError, job: Job, place: Workplace) -> CosmosError:
    return type(error)(f"{error}; its outputs stay on host {place.host.name} in {job.host_folder}")


def _bring_one_home(place: Workplace, job: Job, item: JobItem, outcome: Completed | NotCompleted) -> RunOutputs:
    run = place.store.run(item.run_id)
    files: dict[str, Path] = {}
    inputs: dict[str, Path] = {}
    if isinstance(outcome, Completed):
        files = execution.stage_out(job, item, outcome, place.host, place.results.staging_folder(run))
        inputs = used_videos(find_operation(run.operation, run.family), run.params, place.videos_of(run))
    return gather(place.results, run, place.root_prompt(run.prompt_id), job=job, files=files, inputs=inputs)


def record(place: Workplace, job: Job, outcomes: Mapping[str, Outcome], home: Mapping[str, RunOutputs | CosmosError]) -> None:
    """Write what became of each run of a job, put those that never started back into the queue, and end the job."""
    for item in job.items:
        outcome = outcomes[item.run_id]
        if isinstance(outcome, NotRun):
            place.store.requeue([item.run_id], job_id=job.id)
            continue
        brought = home[item.run_id]
        if isinstance(brought, CosmosError):
            outcome, brought = NotCompleted(brought), RunOutputs()
        if isinstance(outcome, Completed):
            brought = _with_enhanced_prompt(place, item.run_id, brought)
            place.store.finish(item.run_id, RunStatus.COMPLETED, outputs=brought, job_id=job.id)
        else:
            failure = RunFailure.of(outcome.error)
            place.store.finish(item.run_id, status_of(outcome.error), outputs=brought, failure=failure, job_id=job.id)
    place.store.end_job(job.id)
    if not any(isinstance(brought, CosmosError) for brought in home.values()):
        # Where something could not be brought home, the host's copy is the only one.
        execution.clean_up(job, place.host)
    place.results.job_log(job.id).unlink(missing_ok=True)


def status_of(error: CosmosError) -> RunStatus:
    """The status of a run that ended with an error."""
    if isinstance(error, RunCancelledError):
        return RunStatus.CANCELLED
    return RunStatus.BLOCKED if isinstance(error, SampleBlockedError) else RunStatus.FAILED


def _with_enhanced_prompt(place: Workplace, run_id: str, outputs: RunOutputs) -> RunOutputs:
    """Record the enhanced prompt as a child of its prompt; its id follows from the run's, so that twice makes one."""
    if outputs.prompt is None:
        return outputs
    parent = place.store.prompt(place.store.run(run_id).prompt_id)
    text = place.results.absolute(outputs.prompt).read_text(encoding="utf-8").strip()
    child = Prompt(
        id=f"ps_{run_id.partition('_')[2]}",
        text=text,
        negative_text=parent.negative_text,
        name=parent.name,
        inputs=parent.inputs,
        parent_id=parent.id,
    )
    return outputs.model_copy(update={"prompt_id": place.store.add_prompt(child).id})
