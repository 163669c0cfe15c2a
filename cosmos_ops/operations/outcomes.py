"""What became of each run of a batch of a foreign program: by its markers first, by events and exit where they lack."""

from collections.abc import Callable, Mapping, Sequence

from cosmos_ops.errors import CosmosError, SampleBlockedError, SampleFailedError
from cosmos_ops.job import (
    Completed,
    ContainerExit,
    Event,
    Findings,
    Job,
    JobItem,
    NotCompleted,
    NotRun,
    Outcome,
    SampleBlocked,
    SampleEnded,
    SampleFailed,
    SampleStarted,
)
from cosmos_ops.operations.failures import classify, diagnose

SPOILING = ("cutlass",)
"""Kinds of failure after which the program goes on and says that all is well."""


def outcomes(
    job: Job,
    ended: ContainerExit,
    events: Sequence[Event],
    found: Findings,
    *,
    is_complete: Callable[[JobItem, Mapping[str, str]], bool],
) -> dict[str, Outcome]:
    """The outcome of each run.

    Args:
        job: The job.
        ended: How its container ended; the code alone decides nothing.
        events: What its lines told.
        found: Markers, files and last lines.
        is_complete: An item and the texts of its markers (all of them are there; path to text) to whether they say "complete".
    """
    broken = classify(found.log, family=job.family, exit=ended)
    started = {event.run_id for event in events if isinstance(event, SampleStarted)}
    over = {event.run_id for event in events if isinstance(event, SampleEnded)}
    refused = {event.run_id: SampleBlockedError(event.text) for event in events if isinstance(event, SampleBlocked)}
    failed = {event.run_id: _given_up(event.text, job.family) for event in events if isinstance(event, SampleFailed)}
    known = diagnose(found.log, family=job.family)
    spoiled = known.error(f"the outputs cannot be right; {known.remedy}") if known and known.kind in SPOILING else None
    results: dict[str, Outcome] = {}
    for item in job.items:
        if (files := _complete(item, found, is_complete)) is not None:
            results[item.run_id] = NotCompleted(spoiled) if spoiled else files
        elif item.run_id in refused:
            results[item.run_id] = NotCompleted(refused[item.run_id])
        elif item.run_id in failed:
            results[item.run_id] = NotCompleted(failed[item.run_id])
        elif item.run_id not in started and (started or over or refused) and not ended.is_cancelled:
            results[item.run_id] = NotRun()
        else:
            results[item.run_id] = NotCompleted(broken)
    return results


def _given_up(text: str, family: str) -> CosmosError:
    """Why the program gave up on a run, with what can be done where that is known."""
    known = diagnose([text], family=family)
    return SampleFailedError(text) if known is None else known.error(f"{text}; {known.remedy}")


def _complete(item: JobItem, found: Findings, is_complete: Callable[[JobItem, Mapping[str, str]], bool]) -> Completed | None:
    texts = {str(marker): found.texts[marker] for marker in item.markers if marker in found.texts}
    if len(texts) < len(item.markers) or not is_complete(item, texts):
        return None
    there = {file.role: found.files[file.path] for file in item.outputs if file.path in found.files}
    there = {role: file for role, file in there.items() if file.size_bytes}
    if any(file.role not in there and not file.is_optional for file in item.outputs):
        return None
    return Completed(there)
