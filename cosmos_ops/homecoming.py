"""How a job ends: its outputs and its log come home, what became of each run is recorded, and the host is cleaned up."""

import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from contextvars import copy_context
from dataclasses import replace
from pathlib import Path
from queue import Queue
from threading import Thread

from loguru import logger

from cosmos_ops import execution
from cosmos_ops.errors import (
    CosmosError,
    HostGivenUpError,
    HostUnreachableError,
    JobTakenOverError,
    RunCancelledError,
    SampleBlockedError,
    StoreUnreachableError,
    TransferError,
)
from cosmos_ops.execution import Computation
from cosmos_ops.following import Follower, Porter
from cosmos_ops.intake import used_videos
from cosmos_ops.job import Completed, ContainerExit, Job, JobItem, NotCompleted, NotRun, Outcome, SampleEnded
from cosmos_ops.media.pieces import join
from cosmos_ops.media.probe import probe
from cosmos_ops.media.timing import one_rate
from cosmos_ops.operations import find_operation
from cosmos_ops.pieces import Piece
from cosmos_ops.queueing import queue_what_follows
from cosmos_ops.remote.host import JOB_LABEL
from cosmos_ops.results import gather
from cosmos_ops.runs import VIDEO, Phase, Prompt, RunFailure, RunOutputs, RunStatus
from cosmos_ops.store import Broke
from cosmos_ops.workplace import Workplace

TRANSFER_TRIES = 3
CLEAN_UP_LIMIT_S = 60.0


def complete(follower: Follower) -> None:
    """Follow a job whose container is there to its end, bring home what it left, and record it."""
    follower.porter = EarlyPorter(follower)
    with follower.kept():
        computation = follower.compute()
        outcomes = follower.judge(computation)
        record(follower, outcomes, bring_home(follower, outcomes))


def fail(follower: Follower, error: CosmosError) -> None:
    """End a job that cannot be carried out: its container is stopped, its log brought home, what is not complete gets the error.

    Raises:
        HostUnreachableError: The host does not answer, and a container may be there; nothing is changed.
    """
    job, host = follower.job, follower.place.host
    run_ids = [item.run_id for item in job.items]
    if not _has_container(follower):
        end(follower, dict.fromkeys(run_ids, error))
        return
    host.stop(job.container_name, grace_s=execution.GRACE_S)
    judged = follower.judge(follower.compute())
    outcomes = {run_id: one if isinstance(one, Completed) else NotCompleted(error) for run_id, one in judged.items()}
    record(follower, outcomes, bring_home(follower, outcomes))


def end(follower: Follower, errors: Mapping[str, CosmosError]) -> None:
    """End a job without a container: each run with its error; the log says so where it says nothing else."""
    log = follower.place.results.job_log(follower.job.id)
    if not log.exists() or not log.stat().st_size:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(
            "".join(f"This job never started: {why}\n" for why in dict.fromkeys(map(str, errors.values()))), encoding="utf-8"
        )
    outcomes: dict[str, Outcome] = {run_id: NotCompleted(error) for run_id, error in errors.items()}
    record(follower, outcomes, bring_home(follower, outcomes))


def _has_container(follower: Follower) -> bool:
    try:
        return bool(follower.place.host.find({JOB_LABEL: follower.job.id}))
    except HostUnreachableError:
        if follower.may_have_started:
            raise
        return False


def bring_home(follower: Follower, outcomes: Mapping[str, Outcome]) -> dict[str, RunOutputs | CosmosError]:
    """Stage out the runs of a job that completed, and the log of all others that ended; one failing leaves the rest alone.

    Returns:
        For each run that ended its outputs, or the error with which its stage out failed. A run that is not of this job any
        more is left out: it went back to the queue.

    Raises:
        JobTakenOverError: Another process carries the job out.
    """
    place, job = follower.place, follower.job
    home: dict[str, RunOutputs | CosmosError] = {}
    follower.hold()
    follower.set_phase(Phase.STAGING_OUT)
    for item in job.items:
        outcome = outcomes[item.run_id]
        if not _is_ours(follower, item):
            continue
        if isinstance(outcome, NotRun):
            place.results.keep_log(item.run_id, job.id)
            continue
        if (early := _brought_before(follower, item)) is not None:
            home[item.run_id] = early
            continue
        try:
            home[item.run_id] = _tried_to_bring_home(follower, item, outcome)
        except (HostGivenUpError, JobTakenOverError, StoreUnreachableError):
            # Nothing is lost but time: the runs are carried out elsewhere, or brought home by others or later.
            raise
        except CosmosError as error:
            home[item.run_id] = error if isinstance(outcome, NotCompleted) else _kept_on_host(error, job, place)
            place.results.clear_staging(item.run_id)
    return home


def _tried_to_bring_home(follower: Follower, item: JobItem, outcome: Completed | NotCompleted) -> RunOutputs:
    """A host that is away is waited for; a damaged transfer is tried again, a bounded number of times."""
    for _ in range(TRANSFER_TRIES - 1):
        with suppress(TransferError):
            return execution.patiently(follower, lambda: _bring_one_home(follower.place, follower.job, item, outcome))
    return execution.patiently(follower, lambda: _bring_one_home(follower.place, follower.job, item, outcome))


def _kept_on_host(error: CosmosError, job: Job, place: Workplace) -> CosmosError:
    return type(error)(f"{error}; its outputs stay on host {place.host.name} in {job.host_folder}")


def _log_alone(follower: Follower, item: JobItem) -> RunOutputs:
    """The log of a run whose outputs could not be brought home; on a full disk not even that."""
    try:
        return _bring_one_home(follower.place, follower.job, item, NotCompleted(TransferError("its outputs are not home")))
    except CosmosError:
        return RunOutputs()


def _bring_one_home(place: Workplace, job: Job, item: JobItem, outcome: Completed | NotCompleted) -> RunOutputs:
    run = place.store.run(item.run_id)
    files: dict[str, Path] = {}
    inputs: dict[str, Path] = {}
    if isinstance(outcome, Completed):
        files = execution.stage_out(job, item, outcome, place.host, place.results.staging_folder(run))
        files = _joined(item, files, place.videos_of(run))
        inputs = used_videos(find_operation(run.operation, run.family), run.params, place.videos_of(run))
    return gather(place.results, run, place.root_prompt(run.prompt_id), job=job, files=files, inputs=inputs)


def _joined(item: JobItem, files: Mapping[str, Path], videos: Mapping[str, Path]) -> dict[str, Path]:
    """Of a video that went in pieces the pieces become one again."""
    if not item.pieces:
        return dict(files)
    parts = [files[f"piece-{number}"] for number in range(len(item.pieces))]
    target = parts[0].with_name("video.mp4")
    pieces = [Piece(*frames) for frames in item.pieces]
    if len(parts) > 1:
        join(parts, pieces, target, fps=one_rate(videos[VIDEO], probe(videos[VIDEO])))
        for part in parts:
            part.unlink()
    else:
        parts[0].replace(target)
    return {**{role: path for role, path in files.items() if path not in parts}, VIDEO: target}


def record(follower: Follower, outcomes: Mapping[str, Outcome], home: Mapping[str, RunOutputs | CosmosError]) -> None:
    """Write what became of each run of a job, put those that never started back into the queue, and end the job."""
    place, job = follower.place, follower.job
    follower.hold()
    follower.times.home({run_id for run_id, outcome in outcomes.items() if isinstance(outcome, Completed)})
    for item in job.items:
        outcome = outcomes[item.run_id]
        if isinstance(outcome, NotRun):
            broke = Broke.NOT if not outcome.broke_process else Broke.ALONE if len(job.items) == 1 else Broke.WITH_OTHERS
            place.store.requeue([item.run_id], job_id=job.id, broke=broke)
            continue
        if item.run_id not in home:
            continue
        brought = home[item.run_id]
        if isinstance(brought, CosmosError):
            outcome, brought = NotCompleted(brought), _log_alone(follower, item)
        if isinstance(outcome, Completed):
            _complete_run(place, job, item.run_id, brought)
        else:
            failure = RunFailure.of(outcome.error)
            place.store.finish(item.run_id, status_of(outcome.error), outputs=brought, failure=failure, job_id=job.id)
    place.store.end_job(job.id)
    # Where something could not be brought home, the host's copy is the only one.
    _clean_up(follower, keeps_files=any(isinstance(brought, CosmosError) for brought in home.values()))
    place.results.job_log(job.id).unlink(missing_ok=True)
    place.results.gpu_log(job.id).unlink(missing_ok=True)


def _complete_run(place: Workplace, job: Job, run_id: str, brought: RunOutputs) -> None:
    brought = _with_enhanced_prompt(place, run_id, brought)
    # Before the run counts as completed: whoever dies in between leaves nothing out.
    queue_what_follows(place, place.store.run(run_id), brought)
    place.store.finish(run_id, RunStatus.COMPLETED, outputs=brought, job_id=job.id)


def _is_ours(follower: Follower, item: JobItem) -> bool:
    """Whether a run still belongs to the job."""
    return follower.place.store.run(item.run_id).job_id == follower.job.id


def _brought_before(follower: Follower, item: JobItem) -> RunOutputs | None:
    """The outputs of a run that were brought home while the container computed; its log is made whole."""
    run = follower.place.store.run(item.run_id)
    if run.status is not RunStatus.COMPLETED or run.job_id != follower.job.id:
        return None
    follower.place.results.renew_log(run, follower.job.id)
    return run.outputs


class EarlyPorter(Porter):
    """Brings home and records each run of a batch as soon as its sample has ended; what does not work out is done at the end."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._items = {item.run_id: item for item in follower.job.items}
        self._ended: Queue[str | None] = Queue()
        self._thread: Thread | None = None

    def take(self, run_id: str) -> None:
        """A sample has ended; of a single one the end is near anyway."""
        if len(self._items) < 2 or run_id not in self._items:
            return
        if self._thread is None:
            name = f"porter {self._follower.job.id}"
            self._thread = Thread(target=copy_context().run, args=(self._work,), name=name, daemon=True)
            self._thread.start()
        self._ended.put(run_id)

    def finish(self) -> None:
        """Wait for what is at work."""
        if self._thread is not None:
            self._ended.put(None)
            self._thread.join()
            self._thread = None

    def _work(self) -> None:
        while (run_id := self._ended.get()) is not None:
            try:
                self._bring(self._items[run_id])
            except CosmosError as error:
                logger.info("Run {} comes home with the rest of its batch: {}", run_id, error)

    def _bring(self, item: JobItem) -> None:
        follower = self._follower
        if not _is_ours(follower, item) or _brought_before(follower, item) is not None:
            return
        place, job = follower.place, replace(follower.job, items=(item,))
        operation = find_operation(job.operation, job.family)
        lines = deque(follower.last_lines)
        ended = Computation(events=[SampleEnded(item.run_id)], last_lines=lines, exit=ContainerExit(0))
        outcome = execution.judge(job, operation, place.host, ended)[item.run_id]
        if isinstance(outcome, Completed):
            _complete_run(place, job, item.run_id, _bring_one_home(place, follower.job, item, outcome))


def _clean_up(follower: Follower, *, keeps_files: bool) -> None:
    """Clean up the host; one that is away is waited for a while, after that `reconcile` does it."""
    until = time.monotonic() + CLEAN_UP_LIMIT_S
    while True:
        try:
            execution.clean_up(follower.job, follower.place.host, keeps_files=keeps_files)
            return
        except HostUnreachableError:
            if follower.is_stopping() or not follower.may_have_started or time.monotonic() > until:
                return
            time.sleep(1.0)


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
