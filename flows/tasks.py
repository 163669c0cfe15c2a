"""The tasks that all stages share: regroup, stage in, compute, stage out, record; and which errors are tried again."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from cosmos_ops import execution, planning, workplace
from cosmos_ops.errors import CosmosError
from cosmos_ops.execution import Computation
from cosmos_ops.job import Event, Job, LogLine, Outcome, SampleEnded, SampleProgress, SampleStarted
from cosmos_ops.operations import find_operation
from cosmos_ops.planning.batches import Batch
from cosmos_ops.runs import Run, RunOutputs
from cosmos_ops.workplace import Follower, Workplace
from flows.artifacts import ProgressArtifact
from flows.cancellation import Cancellation, this_flow_run
from flows.observer import current_observer

RETRIES = 3
RETRY_DELAYS_S = [2.0, 10.0, 30.0]
LEVELS: Mapping[str, int] = {"ERROR": logging.ERROR, "CRITICAL": logging.ERROR, "WARNING": logging.WARNING}


@dataclass(frozen=True)
class Work:
    """A job on its way, and where it is carried out."""

    place: Workplace
    job: Job
    cancellation: Cancellation
    settle: Callable[[Mapping[str, Outcome]], dict[str, Outcome]]
    """What the stage makes of the outcomes: a run that is to be tried again becomes "not run"."""


def a_retry_helps(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Only errors whose class says so are tried again."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, CosmosError) and error.retry_helps


@task(task_run_name="regroup {title}", cache_policy=NO_CACHE)
def regroup(runs: Sequence[Run], title: str) -> list[Batch]:  # noqa: ARG001
    """Put runs with equal control signature into one batch."""
    batches = planning.regroup(runs)
    logger = get_run_logger()
    logger.info("Regrouped %d runs into %d batches", len(runs), len(batches))
    for number, batch in enumerate(batches, 1):
        controls = "+".join(batch.signature.controls) or "no controls"
        logger.info("Batch %d: %s, %s", number, controls, ", ".join(run.id for run in batch.runs))
    return batches


@task(
    task_run_name="stage in {title}",
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAYS_S,
    retry_condition_fn=a_retry_helps,
    cache_policy=NO_CACHE,
)
def stage_in(work: Work, title: str) -> int:  # noqa: ARG001
    """Bring inputs and specs to the host."""
    sent = execution.stage_in(work.job, work.place.host)
    get_run_logger().info("Staged in %d files, %d bytes sent", len(work.job.inputs), sent)
    return sent


@task(
    task_run_name="compute {title}",
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAYS_S,
    retry_condition_fn=a_retry_helps,
    cache_policy=NO_CACHE,
)
def compute(work: Work, title: str) -> Computation:  # noqa: ARG001
    """Start the container or attach to it, follow it to its end; its lines are the log of this task run."""
    logger = get_run_logger()
    progress = ProgressArtifact(work.job.operation, work.job.id, len(work.job.items))
    observer = current_observer()

    def show_line(line: LogLine) -> None:
        if not line.is_redraw:
            logger.log(LEVELS.get(line.text.partition(" ")[0], logging.INFO), "%s", line.text)

    def show_event(event: Event) -> None:
        if isinstance(event, SampleStarted):
            observer.started(work.place.store.run(event.run_id))
        elif isinstance(event, SampleProgress):
            observer.progressed(event.run_id, event.done, event.total)
            progress.move(event.run_id, event.done / event.total)
        elif isinstance(event, SampleEnded):
            progress.move(event.run_id, 1.0)

    follower = Follower(work.place, work.job, show_line, show_event, work.cancellation.is_cancelled)
    computation = follower.follow({"cosmos.flow-run": this_flow_run()})
    progress.finish()
    return computation


@task(
    task_run_name="stage out {title}",
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAYS_S,
    retry_condition_fn=a_retry_helps,
    cache_policy=NO_CACHE,
)
def stage_out(
    work: Work,
    computation: Computation,
    title: str,  # noqa: ARG001
) -> tuple[dict[str, Outcome], dict[str, RunOutputs | CosmosError]]:
    """Judge every run by its completion marker, and bring home what it left; the log in every case."""
    operation = find_operation(work.job.operation, work.job.family)
    outcomes = work.settle(execution.judge(work.job, operation, work.place.host, computation))
    return outcomes, workplace.bring_home(work.place, work.job, outcomes)


@task(
    task_run_name="record {title}",
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAYS_S,
    retry_condition_fn=a_retry_helps,
    cache_policy=NO_CACHE,
)
def record(work: Work, outcomes: Mapping[str, Outcome], home: Mapping[str, RunOutputs | CosmosError], title: str) -> None:  # noqa: ARG001
    """Write what became of each run; those that a neighbour kept from starting go back to the queue."""
    workplace.record(work.place, work.job, outcomes, home)
    logger, observer = get_run_logger(), current_observer()
    for item in work.job.items:
        run = work.place.store.run(item.run_id)
        if run.status.is_final:
            observer.ended(run)
        if run.failure is not None:
            logger.error("Run %s %s: %s", run.id, run.status.value, run.failure.message)
        else:
            logger.info("Run %s %s", run.id, run.status.value)
