"""Staging out: what the runs of a job left comes home, each for itself, into its final folder."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from loguru import logger

from cosmos_ops import execution
from cosmos_ops.errors import (
    CosmosError,
    HostGivenUpError,
    JobTakenOverError,
    StoreUnreachableError,
    TransferError,
    as_ours,
)
from cosmos_ops.following import Follower
from cosmos_ops.intake import used_videos
from cosmos_ops.job import Completed, Job, JobItem, NotCompleted, NotRun, Outcome
from cosmos_ops.log import tell
from cosmos_ops.media.pieces import join
from cosmos_ops.media.probe import probe
from cosmos_ops.media.timing import one_rate
from cosmos_ops.operations import find_operation
from cosmos_ops.pieces import Piece
from cosmos_ops.results import gather
from cosmos_ops.runs import VIDEO, Phase, RunOutputs, RunStatus
from cosmos_ops.workplace import Workplace

TRANSFER_TRIES = 3


def bring_home(follower: Follower, outcomes: Mapping[str, Outcome]) -> dict[str, RunOutputs | CosmosError]:
    """Stage out the runs of a job that completed, and the log of all others that ended; one failing leaves the rest alone.

    Returns:
        For each run that ended its outputs, or, where it completed, the error with which its stage out failed. A run that is
        not of this job any more is left out: it went back to the queue.

    Raises:
        JobTakenOverError: Another process carries the job out.
    """
    place, job = follower.place, follower.job
    home: dict[str, RunOutputs | CosmosError] = {}
    follower.hold()
    follower.set_phase(Phase.STAGING_OUT)
    for item in job.items:
        outcome = outcomes[item.run_id]
        try:
            if not is_ours(follower, item):
                continue
            if isinstance(outcome, NotRun):
                place.results.keep_log(item.run_id, job.id)
                continue
            home[item.run_id] = brought_before(follower, item) or _tried_to_bring_home(follower, item, outcome)
        except (HostGivenUpError, JobTakenOverError, StoreUnreachableError):
            # Nothing is lost but time: the runs are carried out elsewhere, or brought home by others or later.
            raise
        except Exception as error:  # noqa: BLE001
            tell(error, "What run {} left does not come home: {}", item.run_id, error)
            if isinstance(outcome, NotRun):
                continue
            # Why a run did not complete is more than that its log finds no place.
            home[item.run_id] = RunOutputs() if isinstance(outcome, NotCompleted) else _kept_on_host(as_ours(error), job, place)
            place.results.clear_staging(item.run_id)
    return home


def _tried_to_bring_home(follower: Follower, item: JobItem, outcome: Completed | NotCompleted) -> RunOutputs:
    """A host that is away is waited for; a damaged transfer is tried again, a bounded number of times."""
    for _ in range(TRANSFER_TRIES - 1):
        with suppress(TransferError):
            return execution.patiently(follower, lambda: bring_one_home(follower.place, follower.job, item, outcome))
    return execution.patiently(follower, lambda: bring_one_home(follower.place, follower.job, item, outcome))


def _kept_on_host(error: CosmosError, job: Job, place: Workplace) -> CosmosError:
    return type(error)(f"{error}; its outputs stay on host {place.host.name} in {job.host_folder}")


def brought_before(follower: Follower, item: JobItem) -> RunOutputs | None:
    """The outputs of a run that were brought home while the container computed, with its log if that can be made whole."""
    run = follower.place.store.run(item.run_id)
    if run.status is not RunStatus.COMPLETED or run.job_id != follower.job.id:
        return None
    try:
        follower.place.results.renew_log(run, follower.job.id)
    except CosmosError as error:
        logger.warning("The log of run {} ends where its results came home: {}", run.id, error)
        return run.outputs.model_copy(update={"log": None})
    return run.outputs


def is_ours(follower: Follower, item: JobItem) -> bool:
    """Whether a run still belongs to the job."""
    return follower.place.store.run(item.run_id).job_id == follower.job.id


def log_alone(follower: Follower, item: JobItem) -> RunOutputs:
    """The log of a run whose outputs could not be brought home; on a full disk not even that."""
    try:
        return bring_one_home(follower.place, follower.job, item, NotCompleted(TransferError("its outputs are not home")))
    except (StoreUnreachableError, JobTakenOverError):
        raise
    except Exception as error:  # noqa: BLE001
        tell(error, "The log of run {} has no place: {}", item.run_id, error)
        return RunOutputs()


def bring_one_home(place: Workplace, job: Job, item: JobItem, outcome: Completed | NotCompleted) -> RunOutputs:
    """Fetch what one run left, and put it into its final folder; of one that did not complete the log alone."""
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
