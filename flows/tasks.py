"""The tasks that all stages share: regroup, stage in, compute, stage out, record; and which errors are tried again."""

import logging
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.exceptions import PrefectException
from prefect.tasks import Task

from cosmos_ops import homecoming, staging_out
from cosmos_ops.dispatching.regrouping import lanes_on
from cosmos_ops.dispatching.work import Work
from cosmos_ops.errors import CosmosError, PrefectAwayError, StoreUnreachableError
from cosmos_ops.execution import Computation
from cosmos_ops.following import Show
from cosmos_ops.gpu_samples import summary
from cosmos_ops.gpu_watch import read_watched
from cosmos_ops.job import Event, LogLine, Outcome, SampleEnded, SampleProgress, SampleStarted
from cosmos_ops.planning.batches import Batch
from cosmos_ops.runs import Run, RunOutputs, RunStatus
from cosmos_ops.store import Store
from cosmos_ops.workplace import Workplace
from flows.artifacts import ProgressArtifact, SentBytes
from flows.observer import current_observer

LINES_AT_ONCE, LINES_A_SECOND = 500, 20.0
"""How many lines go to Prefect's log at once and in the long run; warnings and errors always do."""
LINES_OF_FAILURE = 50
RETRIES = 3
RETRY_DELAYS_S = [2.0, 10.0, 30.0]
Patiently = Callable[[Callable[[], list[list[Batch]]]], list[list[Batch]]]
Logger = logging.Logger | logging.LoggerAdapter[logging.Logger]
UPSTREAM_LEVEL = re.compile(r"\[[\d: -]+\|(?:job=[^|]*\|)?([A-Z]+)\|")
LEVELS: Mapping[str, int] = {"ERROR": logging.ERROR, "CRITICAL": logging.ERROR, "WARNING": logging.WARNING}


class LogShow(Show):
    """Shows lines and news of a job in the log of a task run; of very many lines only some, because the server keeps them all."""

    def __init__(self, logger: Logger) -> None:
        self._logger = logger
        self._credit = float(LINES_AT_ONCE)
        self._counted_at = time.monotonic()
        self._left_out: deque[str] = deque(maxlen=LINES_OF_FAILURE)
        self._left_out_count = 0

    def line(self, line: LogLine) -> None:
        """A line of the process; a redraw of its progress bar is no line."""
        if line.is_redraw:
            return
        level = _level(line.text)
        if level <= logging.INFO and not self._has_credit():
            self._left_out.append(line.text)
            self._left_out_count += 1
            return
        self.say_left_out()
        self._logger.log(level, "%s", line.text)

    def say_left_out(self) -> None:
        """Say how many lines were left out since the last one."""
        if self._left_out_count:
            self._logger.info("%d lines are left out here; the log file has all", self._left_out_count)
            self._left_out_count = 0
            self._left_out.clear()

    def last_words(self) -> None:
        """The last of the lines that were left out, which may say why the process failed."""
        for text in self._left_out:
            self._logger.info("%s", text)

    def news(self, text: str) -> None:
        """What the job waits for."""
        self._logger.warning("%s", text)

    def _has_credit(self) -> bool:
        now = time.monotonic()
        self._credit = min(LINES_AT_ONCE, self._credit + LINES_A_SECOND * (now - self._counted_at))
        self._counted_at = now
        if self._credit < 1:
            return False
        self._credit -= 1
        return True


def _level(text: str) -> int:
    """The level of a line of the preview program, or of the upstream ones, which have it between bars."""
    found = UPSTREAM_LEVEL.match(text)
    return LEVELS.get(found[1] if found else text.partition(" ")[0], logging.INFO)


class ComputeShow(LogShow):
    """Moves the progress of a batch too, and tells the observer."""

    def __init__(self, logger: Logger, store: Store, progress: ProgressArtifact) -> None:
        super().__init__(logger)
        self._store = store
        self._progress = progress
        self._observer = current_observer()

    def event(self, event: Event) -> None:
        """What a line tells."""
        if isinstance(event, SampleStarted):
            with suppress(StoreUnreachableError):
                self._observer.started(self._store.run(event.run_id))
        elif isinstance(event, SampleProgress):
            self._observer.progressed(event.run_id, event.done, event.total)
            self._progress.move(event.run_id, event.done / event.total)
        elif isinstance(event, SampleEnded):
            self._progress.move(event.run_id, 1.0)


def a_retry_helps(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Only errors whose class says so are tried again."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, CosmosError) and error.retry_helps


@task(task_run_name="regroup {title}", cache_policy=NO_CACHE)
def regroup(place: Workplace, runs: Sequence[Run], title: str, patiently: Patiently) -> list[list[Batch]]:  # noqa: ARG001
    """Put runs with equal control signature into batches, and the batches on the GPU slots of the host, a lane for each."""
    lanes = patiently(lambda: lanes_on(place, runs))
    logger = get_run_logger()
    logger.info("Regrouped %d runs into %d batches on %d lanes", len(runs), sum(map(len, lanes)), len(lanes))
    for number, batch in enumerate((batch for lane in lanes for batch in lane), 1):
        controls = "+".join(batch.signature.controls) or "no controls"
        logger.info("Batch %d: %s, %s", number, controls, ", ".join(run.id for run in batch.runs))
    return lanes


@task(
    task_run_name="stage in {title}",
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAYS_S,
    retry_condition_fn=a_retry_helps,
    cache_policy=NO_CACHE,
)
def stage_in(work: Work, title: str) -> int:  # noqa: ARG001
    """Bring inputs and specs to the host."""
    logger, files = get_run_logger(), work.job.inputs
    work.follower.show = LogShow(logger)
    with SentBytes(work.job, logger) as sent:
        count = work.follower.stage_in(sent.add)
    logger.info("Staged in %d files, %d bytes sent to host %s", len(files), count, work.follower.place.host.name)
    return count


@task(
    task_run_name="compute {title}",
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAYS_S,
    retry_condition_fn=a_retry_helps,
    cache_policy=NO_CACHE,
)
def compute(work: Work, title: str) -> Computation:  # noqa: ARG001
    """Start the container or attach to it, follow it to its end; its lines are the log of this task run."""
    progress = ProgressArtifact(work.job.operation, work.job.id, len(work.job.items))
    work.follower.show = show = ComputeShow(get_run_logger(), work.follower.place.store, progress)
    computation = work.follower.compute()
    if computation.exit is not None and computation.exit.code:
        show.last_words()
    show.say_left_out()
    if figures := summary(read_watched(work.follower.place.results.gpu_log(work.job.id))):
        get_run_logger().info("%s", figures)
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
    work.follower.show = LogShow(get_run_logger())
    outcomes = work.settle(work.follower.judge(computation))
    return outcomes, staging_out.bring_home(work.follower, outcomes)


@task(
    task_run_name="record {title}",
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAYS_S,
    retry_condition_fn=a_retry_helps,
    cache_policy=NO_CACHE,
)
def record(work: Work, outcomes: Mapping[str, Outcome], home: Mapping[str, RunOutputs | CosmosError], title: str) -> None:  # noqa: ARG001
    """Write what became of each run; those that a neighbour kept from starting go back to the queue."""
    homecoming.record(work.follower, outcomes, home)
    logger, observer = get_run_logger(), current_observer()
    for item in work.job.items:
        run = work.follower.place.store.run(item.run_id)
        if run.status.is_final:
            observer.ended(run)
        if run.failure is not None and run.status is not RunStatus.CANCELLED:
            logger.error("Run %s %s: %s", run.id, run.status.value, run.failure.message)
        else:
            logger.info("Run %s %s", run.id, run.status.value)


@dataclass(frozen=True)
class TaskCarrier:
    """Carries a job out as tasks of the flow run that we are in."""

    title: str

    def stage_in(self, work: Work) -> None:
        """Bring all that the job needs to its host."""
        with _prefect_said():
            stage_in(work, self.title)

    def compute(self, work: Work) -> Computation:
        """Get a slot, and follow the container to its end."""
        with _prefect_said():
            return compute(work, self.title)

    def bring_home(self, work: Work, computation: Computation) -> None:
        """Judge and stage out what it left, and record what became of its runs."""
        with _prefect_said():
            outcomes, home = stage_out(work, computation, self.title)
            record(work, outcomes, home, self.title)


@contextmanager
def _prefect_said() -> Iterator[None]:
    """Tell what Prefect itself raises from what the work raises."""
    try:
        yield
    except (PrefectException, httpx.HTTPError) as error:
        raise PrefectAwayError(f"Prefect does not answer, or has ended a task: {type(error).__name__}: {error}") from error
