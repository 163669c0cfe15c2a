"""Coefficients from finished batches: robust against absurd ones, close to the start values while there are few."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cosmos_ops.planning.costs import Coefficients, CostModel
from cosmos_ops.sizes import SampleSize

PRIOR_COUNT = 2.0
"""As many observations the start values count for."""
RATIO_MAX = 20.0
"""A single observation is believed up to this factor."""
BELIEVABLE_RATIO = 10.0
"""What is off the median by more is a mistake of a clock or a log, whatever the model does."""
OUTLIER_SPREADS = 5.0
OUTLIER_RATIO = 1.6
"""What is off the median by more than so many usual deviations, and by more than this factor, is left out."""
USUAL_LOG = 0.2
"""What deviates by more counts less."""
ROUNDS = 6
MULTIPLIER_MIN = 0.05
HELD_MIN = 1e-6

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SampleTime:
    """What one sample of a finished batch took."""

    size: SampleSize
    seconds: float


@dataclass(frozen=True)
class Observation:
    """A finished batch, read from the time stamps of its log."""

    model: str
    gpu_type: str
    parts: int
    """Parts of the model that were loaded, as in `Workload`."""
    samples: tuple[SampleTime, ...] = ()
    gpu_count: int = 1
    start_s: float | None = None
    """From the start of the container until the process began to load."""
    load_s: float | None = None
    """From there until the first sample began."""
    is_warm: bool = False
    """Whether the host had read the model's files before."""


def fit(observations: Iterable[Observation], prior: CostModel) -> CostModel:
    """The cost model after these observations; what was not observed stays as it was.

    A model of a family for which nothing was known begins with what was learnt of the family.
    """
    grouped: dict[tuple[str, str], list[Observation]] = defaultdict(list)
    for observation in observations:
        grouped[observation.model, observation.gpu_type].append(observation)
    known = dict(prior.known)
    # A family comes before its models.
    for model, gpu_type in sorted(grouped):
        nearest = replace(prior, known=known).of(model, gpu_type)
        known[model, gpu_type] = _fitted(grouped[model, gpu_type], replace(nearest, sample_count=0))
    return replace(prior, known=known)


def _fitted(observations: Sequence[Observation], prior: Coefficients) -> Coefficients:
    return _with_load(_with_samples(prior, observations), observations)


def _with_samples(prior: Coefficients, observations: Sequence[Observation]) -> Coefficients:
    terms, seconds = [], []
    for observation in observations:
        for sample in observation.samples:
            terms.append(prior.sample_terms(sample.size, gpu_count=observation.gpu_count))
            seconds.append(sample.seconds)
    if not terms:
        return prior
    passes, controls, chunks, frames, guard = _multipliers(np.array(terms), np.array(seconds))
    fitted = replace(
        prior,
        call_s=prior.call_s * passes,
        control_factor=prior.control_factor * controls / passes,
        chunk_s=prior.chunk_s * chunks,
        frame_s=prior.frame_s * frames,
        guard_s=prior.guard_s * guard,
    )
    predicted = np.array(terms) @ np.array([passes, controls, chunks, frames, guard])
    return replace(fitted, error=_error(predicted, np.array(seconds), prior.error), sample_count=len(seconds))


def _with_load(prior: Coefficients, observations: Sequence[Observation]) -> Coefficients:
    starts = [o.start_s for o in observations if o.start_s is not None]
    if starts and prior.start_s > 0:
        (start,) = _multipliers(np.full((len(starts), 1), prior.start_s), np.array(starts))
        prior = replace(prior, start_s=prior.start_s * start)
    loaded = _believable_loads(prior, [o for o in observations if o.load_s])
    cold, warm = [o for o in loaded if not o.is_warm], [o for o in loaded if o.is_warm]
    if cold:
        base, part = _multipliers(_load_terms(prior, cold), _loads(cold))
        prior = replace(prior, load_base_s=prior.load_base_s * base, load_per_part_s=prior.load_per_part_s * part)
    if warm:
        (share,) = _multipliers(_load_terms(prior, warm).sum(axis=1, keepdims=True) * prior.warm_share, _loads(warm))
        prior = replace(prior, warm_share=prior.warm_share * share)
    if not loaded:
        return prior
    return replace(prior, load_error=_error(_predicted_loads(prior, loaded), _loads(loaded), prior.load_error))


def _believable_loads(prior: Coefficients, observations: Sequence[Observation]) -> list[Observation]:
    """Cold and warm ones are few each: what is absurd is seen better among all."""
    predicted, seconds = _predicted_loads(prior, observations), _loads(observations)
    usable = (predicted > 0) & (seconds > 0)
    kept = [o for o, is_usable in zip(observations, usable, strict=True) if is_usable]
    if not kept:
        return []
    logs = np.log(seconds[usable] / predicted[usable])
    believable = np.abs(logs - np.median(logs)) <= np.log(BELIEVABLE_RATIO)
    return [o for o, is_believable in zip(kept, believable, strict=True) if is_believable]


def _predicted_loads(prior: Coefficients, observations: Sequence[Observation]) -> Floats:
    return np.array([prior.load_s(o.parts, is_warm=o.is_warm) - prior.start_s for o in observations], dtype=np.float64)


def _load_terms(prior: Coefficients, observations: Sequence[Observation]) -> Floats:
    return np.array([(prior.load_base_s, prior.load_per_part_s * o.parts) for o in observations], dtype=np.float64)


def _loads(observations: Sequence[Observation]) -> Floats:
    return np.array([o.load_s for o in observations], dtype=np.float64)


def _multipliers(terms: Floats, seconds: Floats) -> list[float]:
    """Factors of the columns of `terms` so that their sum is near `seconds`; they begin at 1 and need evidence to leave it.

    First one factor for all, the median ratio. Then least squares of the relative deviations, again and again, each time
    without what deviates far more than the others.
    """
    usable = (terms.sum(axis=1) > 0) & (seconds > 0)
    terms, seconds = terms[usable], seconds[usable]
    if not len(seconds):
        return [1.0] * terms.shape[1]
    logs = np.log(seconds / terms.sum(axis=1))
    believable = np.abs(logs - np.median(logs)) <= np.log(BELIEVABLE_RATIO)
    if not believable.any():
        # Two that contradict each other say nothing.
        return [1.0] * terms.shape[1]
    terms, seconds, logs = terms[believable], seconds[believable], logs[believable]
    trust = len(logs) / (len(logs) + PRIOR_COUNT)
    scale = float(np.exp(trust * np.clip(np.median(logs), -np.log(RATIO_MAX), np.log(RATIO_MAX))))
    factors: Floats = np.full(terms.shape[1], scale)
    for _ in range(ROUNDS):
        factors = _refined(terms, seconds, factors, scale)
    return [float(factor) for factor in factors]


def _refined(terms: Floats, seconds: Floats, factors: Floats, scale: float) -> Floats:
    expected = terms @ factors
    logs = np.log(seconds / expected)
    usual = _is_usual(logs)
    # Least squares would follow the largest deviations: they weigh less.
    weights = np.minimum(1.0, USUAL_LOG / np.maximum(np.abs(logs[usual]), USUAL_LOG))
    rows = terms[usual] / expected[usual, None]
    # One row more for each factor holds it to the common one as strongly as some observations would.
    held = np.maximum(np.sqrt(PRIOR_COUNT) * rows.mean(axis=0), HELD_MIN)
    left = np.concatenate([rows * weights[:, None], np.diag(held)])
    right = np.concatenate([weights * seconds[usual] / expected[usual], held * scale])
    found = np.linalg.lstsq(left, right, rcond=None)[0]
    refined: Floats = np.maximum(found, MULTIPLIER_MIN * scale)
    return refined


def _is_usual(logs: Floats) -> NDArray[np.bool_]:
    distance = np.abs(logs - np.median(logs))
    spread = 1.4826 * float(np.median(distance))
    usual: NDArray[np.bool_] = distance <= max(OUTLIER_SPREADS * spread, np.log(OUTLIER_RATIO))
    return usual


def _error(predicted: Floats, seconds: Floats, prior: float) -> float:
    """Usual relative deviation; with few observations near what it was."""
    usable = (predicted > 0) & (seconds > 0)
    deviations = np.abs(predicted[usable] / seconds[usable] - 1)
    found = float(np.median(deviations)) if len(deviations) else prior
    count = len(deviations)
    return (count * found + PRIOR_COUNT * prior) / (count + PRIOR_COUNT)
