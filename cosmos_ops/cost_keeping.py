"""What jobs were expected to take and took: start values, what was learnt from finished jobs, and the times of new ones."""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta

from loguru import logger
from pydantic import TypeAdapter, ValidationError

from cosmos_ops.errors import StoreError
from cosmos_ops.params import one_line
from cosmos_ops.planning import PUBLISHED, CostModel, ModelFiles, Observation, SampleTime, fit, gpu_type_of
from cosmos_ops.planning.costs import ANY_GPU, CPU, Coefficients
from cosmos_ops.remote.host import Host
from cosmos_ops.sizes import Needs, SampleSize
from cosmos_ops.store import JobRecord, Store
from cosmos_ops.timing import JobTiming, SampleTiming

JOBS_LEARNT_FROM = 500
WARM_FOR = timedelta(hours=6)
"""How long files are expected to stay in the page cache of a host."""
START_SHARE_MAX = 0.5
"""Of what passes before the first sample."""
LOADS_FOR_SHARE = 3
"""From so many loads on they may say that a start takes less than was assumed."""

_COEFFICIENTS = TypeAdapter(Coefficients)


def known_costs(store: Store) -> CostModel:
    """The start values, and in their place what was learnt."""
    known = dict(PUBLISHED.known)
    for (model, gpu_type), stored in store.costs().items():
        try:
            coefficients = _COEFFICIENTS.validate_python(stored)
        except ValidationError as error:
            logger.warning("The costs of {} on {} in the store cannot be read: {}", model, gpu_type, one_line(error))
            continue
        if all(0 <= value < math.inf for value in asdict(coefficients).values()):
            known[model, gpu_type] = coefficients
        else:
            logger.warning("The costs of {} on {} in the store cannot be: {}", model, gpu_type, coefficients)
    return replace(PUBLISHED, known=known)


def learn(store: Store) -> None:
    """Fit the costs to the newest jobs and save them; a store that fails leaves them as they are."""
    try:
        observed = observations(store.recent_jobs(limit=JOBS_LEARNT_FROM))
        fitted = fit(observed, PUBLISHED).known
        seen = sorted({(one.model, one.gpu_type) for one in observed})
        store.save_costs({key: asdict(fitted[key]) for key in seen})
    except StoreError as error:
        logger.warning("Nothing was learnt from the last jobs: {}", error)


def observations(jobs: Iterable[JobRecord]) -> list[Observation]:
    """What ended jobs say of costs; those that were not followed from start to end say nothing."""
    grouped: dict[tuple[str, str], list[JobTiming]] = defaultdict(list)
    for job in jobs:
        timing = job.timing
        if timing is not None and timing.is_observed and timing.ended_at is not None:
            grouped[timing.model, timing.gpu_type or ANY_GPU].append(timing)
    return [_observation(timing, key, start_s) for key, found in grouped.items() for timing, start_s in _with_starts(key, found)]


def _with_starts(key: tuple[str, str], timings: Sequence[JobTiming]) -> list[tuple[JobTiming, float]]:
    """Each timing with the seconds of its start: start and load are measured as one, and of the start only the prior knows.

    Where whole loads take less than that, warm ones mostly, the start must be shorter.
    """
    start_s = PUBLISHED.of(*key).start_s
    for is_warm in (False, True):
        measured = [timing.load_s for timing in timings if timing.is_warm is is_warm and timing.load_s is not None]
        if len(measured) >= LOADS_FOR_SHARE:
            start_s = min(start_s, START_SHARE_MAX * max(0.0, statistics.median(measured)))
    return [(timing, start_s) for timing in timings]


def _observation(timing: JobTiming, key: tuple[str, str], start_s: float) -> Observation:
    measured_s, (model, gpu_type) = timing.load_s, key
    samples = tuple(SampleTime(sample.size, seconds) for sample in timing.samples if (seconds := sample.seconds) is not None)
    observation = Observation(model, gpu_type, timing.parts, samples=samples, gpu_count=timing.gpu_count, is_warm=timing.is_warm)
    if measured_s is None:
        return observation
    prior = PUBLISHED.of(model, gpu_type)
    if prior.load_s(timing.parts, is_warm=False) == prior.start_s:
        # It loads nothing.
        return replace(observation, start_s=measured_s)
    return replace(observation, start_s=start_s, load_s=measured_s - start_s)


def timing_of(
    family: str, needs: Mapping[str, Needs], *, controls: Sequence[str], gpu_type: str, costs: CostModel, is_warm: bool
) -> JobTiming:
    """The times of a batch before it begins, with what it is expected to take.

    Args:
        family: Family of models.
        needs: What each run needs, in the order of the batch.
        controls: Those of the process; some of the runs may have fewer.
        gpu_type: Of the slot; empty if nobody knows.
        costs: What things cost.
        is_warm: Whether the host has read the model's files lately.
    """
    one = next(iter(needs.values()))
    model = one.model or family
    sizes = {run_id: _size_within(need, len(controls)) for run_id, need in needs.items()}
    is_widened = any(sizes[run_id] != need.size for run_id, need in needs.items())
    parts = len(controls) if one.parts is None or is_widened else one.parts
    known = costs.of(model, gpu_type)
    return JobTiming(
        model=model,
        controls=tuple(controls),
        parts=parts,
        samples=tuple(
            SampleTiming(run_id, size, predicted_s=known.sample_s(size, gpu_count=one.gpu_count))
            for run_id, size in sizes.items()
        ),
        gpu_type=gpu_type,
        gpu_count=one.gpu_count,
        is_warm=is_warm,
        predicted_load_s=known.load_s(parts, is_warm=is_warm),
    )


def _size_within(need: Needs, control_count: int) -> SampleSize:
    """In a process with more controls than the run the others cost as much as its own."""
    if not need.is_widenable or control_count <= need.size.controls:
        return need.size
    return replace(need.size, controls=control_count)


def gpu_type_on(host: Host) -> str:
    """The GPU type of a host whose GPUs are all alike."""
    if not host.runs_images:
        return CPU
    found = {gpu_type_of(gpu.name) for gpu in host.gpus()}
    return found.pop() if len(found) == 1 else ANY_GPU


def warm_files(host: str, jobs: Iterable[JobRecord], now: datetime) -> frozenset[ModelFiles]:
    """The model files that a host has read within `WARM_FOR`, by its jobs that came as far as their first sample."""
    return frozenset(
        ModelFiles(job.timing.model, job.timing.controls)
        for job in jobs
        if job.host == host and job.timing is not None and _has_read_since(job.timing, now - WARM_FOR)
    )


def is_warm_on(host: str, files: ModelFiles, jobs: Iterable[JobRecord], now: datetime) -> bool:
    """Whether a host has read these model files lately."""
    return files in warm_files(host, jobs, now)


def _has_read_since(timing: JobTiming, moment: datetime) -> bool:
    begun = [sample.started_at for sample in timing.samples if sample.started_at is not None]
    return bool(begun) and (timing.ended_at or max(begun)) >= moment


def expected_end(timing: JobTiming, now: datetime) -> datetime | None:
    """When the container of a job is expected to end: what took longer shifts the rest, and nothing ends in the past.

    Returns:
        None if it has not started, or if nothing was predicted.
    """
    if timing.ended_at is not None:
        return now
    ends = expected_sample_ends(timing, now)
    if ends is None or timing.started_at is None or timing.predicted_load_s is None:
        return None
    return max(now, *ends.values(), timing.started_at + timedelta(seconds=timing.predicted_load_s))


def expected_sample_ends(timing: JobTiming, now: datetime) -> dict[str, datetime] | None:
    """When each sample of a job is expected to end, or has ended: run id to moment.

    Returns:
        None if the job has not started, or if nothing was predicted.
    """
    if timing.started_at is None or timing.predicted_load_s is None:
        return None
    moment, ends = timing.started_at + timedelta(seconds=timing.predicted_load_s), {}
    for sample in timing.samples:
        if sample.predicted_s is None:
            return None
        if sample.ended_at is not None:
            moment = sample.ended_at
        else:
            begun = sample.started_at or max(now, moment)
            moment = max(now, begun + timedelta(seconds=sample.predicted_s))
        ends[sample.run_id] = moment
    return ends
