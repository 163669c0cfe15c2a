"""A batch becomes a job: its samples are made ready, and all of its runs are claimed for it at once, or none."""

from collections.abc import Callable, Sequence
from typing import Any

from cosmos_ops.cost_keeping import is_warm_on, known_costs, timing_of
from cosmos_ops.errors import DiskFullError, InputError, VideoUnreadableError
from cosmos_ops.following import LEASE_S
from cosmos_ops.intake import job_of, sample_of
from cosmos_ops.job import Job, Sample, host_folder
from cosmos_ops.names import new_id
from cosmos_ops.operations import find_operation
from cosmos_ops.operations.operation import Operation
from cosmos_ops.planning import ControlSignature, ModelFiles
from cosmos_ops.runs import Run, RunFailure, RunStatus
from cosmos_ops.timekeeping import utc_now
from cosmos_ops.timing import JobTiming
from cosmos_ops.workplace import Records, Workplace

RECENT_JOBS = 200
"""So many jobs say what files the hosts have read lately."""
Expect = Callable[[Sequence[Sample[Any]]], JobTiming]
"""The samples of a batch to what they are expected to take."""


def open_batch(place: Workplace, runs: Sequence[Run], *, expect: Expect, flow_run_id: str | None = None) -> Job | None:
    """Claim queued runs for a job, in their order; a run whose files cannot be read any more fails.

    Args:
        place: Where the job will be carried out.
        runs: Queued runs that may share a process.
        expect: Says what the job is expected to take.
        flow_run_id: The flow run to which they belong from now on, where that is another one than before.

    Returns:
        The job; none if no run is left, or if one of them is not queued any more, and then nothing has changed.
    """
    operation = find_operation(runs[0].operation, runs[0].family)
    samples = _samples(place, operation, runs)
    if not samples:
        return None
    job_id, host = new_id("jb"), place.host
    job = job_of(operation, job_id, samples, host.paths(host_folder(job_id)), image=host.image(operation.family, ""))
    is_ours = place.store.open_job(
        job, host=host.name, owner=place.owner, lease_s=LEASE_S, timing=expect(samples), flow_run_id=flow_run_id
    )
    return job if is_ours else None


def expected(place: Workplace, signature: ControlSignature, gpu_type: str, samples: Sequence[Sample[Any]]) -> JobTiming:
    """What a batch of a signature is expected to take, now that it is about to begin."""
    operation = find_operation(signature.operation, signature.family)
    needs = {sample.run.id: operation.needs(sample.run.params, sample.videos) for sample in samples}
    model = next(iter(needs.values())).model or signature.family
    files, jobs = ModelFiles(model, signature.controls), place.store.recent_jobs(limit=RECENT_JOBS)
    return timing_of(
        signature.family,
        needs,
        controls=signature.controls,
        gpu_type=gpu_type,
        costs=known_costs(place.store),
        is_warm=is_warm_on(place.host.name, files, jobs, utc_now()),
    )


def _samples(place: Records, operation: Operation[Any], runs: Sequence[Run]) -> list[Sample[Any]]:
    samples = []
    for run in runs:
        prompt, videos = place.store.prompt(run.prompt_id), place.videos_of(run)
        try:
            samples.append(sample_of(operation, run, prompt, videos, prepared=place.results.prepared_folder))
        except (VideoUnreadableError, DiskFullError) as error:
            place.store.finish(run.id, RunStatus.FAILED, failure=RunFailure.of(error))
        except OSError as error:
            failure = RunFailure.of(InputError(f"{error.filename} cannot be read: {error.strerror}"))
            place.store.finish(run.id, RunStatus.FAILED, failure=failure)
    return samples
