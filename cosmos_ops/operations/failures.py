"""Why a model process failed, from its last lines and its exit.

The texts are in `failure_texts`, `model_file_failure_texts` and `host_failure_texts`; `program_log` takes the lines apart.
Whether doing the same again may help follows from the class of the error.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cosmos_ops.errors import (
    CosmosError,
    EnvironmentBrokenError,
    OutOfMemoryError,
    OutputMissingError,
    ProcessFailedError,
    ProcessKilledError,
    ProcessOverdueError,
    ProcessStalledError,
    RunCancelledError,
    SampleBlockedError,
)
from cosmos_ops.job import ContainerExit
from cosmos_ops.operations.failure_texts import REQUEST_FAILURES, Failure
from cosmos_ops.operations.host_failure_texts import HOST_FAILURES, SHARED_MEMORY_REMEDY
from cosmos_ops.operations.model_file_failure_texts import MODEL_FILE_FAILURES
from cosmos_ops.operations.program_log import ProgramLog, shortened, without_tokens

FAILURES: tuple[Failure, ...] = (*REQUEST_FAILURES, *MODEL_FILE_FAILURES, *HOST_FAILURES)
"""The first that fits a line decides, so what may hold the text of others stands first."""

_KILL_CODES = frozenset({137, 143})
_BUS_ERROR_CODE = 135
_DOCKER_CODES = frozenset({125, 126, 127})


@dataclass(frozen=True)
class _Finding:
    failure: Failure
    text: str
    index: int
    """Which line tells of it."""


def classify(lines: Sequence[str], *, family: str, exit: ContainerExit) -> CosmosError:  # noqa: A002
    """The error of a process that did not leave all that it promised.

    Args:
        lines: The last lines of the process, some hundred of them.
        family: The family of models that it ran.
        exit: How its container ended.
    """
    if stopped := _stopped(exit):
        return stopped
    log = ProgramLog(lines)
    found = _find(log, family)
    # Who is killed has not failed by what it had survived.
    if found and not (exit.code in _KILL_CODES and found.failure.weight == "aside"):
        return found.failure.error(_message(found.text, found.failure.remedy))
    return _by_code(exit.code, log.last_words())


def diagnose(lines: Sequence[str], *, family: str) -> Failure | None:
    """The failure that the lines tell of, or nothing if they tell of none that we know."""
    found = _find(ProgramLog(lines), family)
    return found.failure if found else None


def guardrail_reason(line: str, *, family: str) -> str | None:
    """What one line says of a block by the guardrail, if it does."""
    found = _told(line, family)
    return found.text if found and found.failure.error is SampleBlockedError else None


def failure_reason(line: str, *, family: str) -> str | None:
    """What one line says of a failure that ends the process, if it does."""
    found = _told(line, family)
    is_end = found is not None and found.failure.weight != "aside" and found.failure.error is not SampleBlockedError
    return found.text if found and is_end else None


def _told(line: str, family: str) -> _Finding | None:
    log = ProgramLog([line])
    found = _finding(log, 0, family) if log.complaints else None
    return replace(found, text=shortened(without_tokens(found.text))) if found else None


def _find(log: ProgramLog, family: str) -> _Finding | None:
    raised = [_finding(log, index, family) for index in log.raised]
    known = [found for found in (*raised, *(_finding(log, index, family) for index in log.complaints)) if found]
    causes = [found for found in known if found.failure.weight == "cause"]
    if causes:
        return causes[0]
    if None in raised:
        # A traceback that we do not know says more than symptoms do.
        return None
    current = [found for found in known if found.failure.weight != "aside" or found.index > log.last_start]
    return min(current, key=lambda found: FAILURES.index(found.failure), default=None)


def _finding(log: ProgramLog, index: int, family: str) -> _Finding | None:
    text = log.text(index)
    failure = _failure_in(text, family)
    if failure and failure.more_lines:
        text = log.text(index, failure.more_lines)
        failure = _failure_in(text, family)
    return _Finding(failure, text, index) if failure else None


def _failure_in(text: str, family: str) -> Failure | None:
    return next((known for known in FAILURES if family in known.families and known.pattern.search(text)), None)


def _stopped(ended: ContainerExit) -> CosmosError | None:
    if ended.is_cancelled:
        return RunCancelledError("cancelled before it was complete")
    if ended.is_stalled:
        return ProcessStalledError("the process printed nothing for too long and was stopped")
    if ended.is_overdue:
        return ProcessOverdueError("it ran longer than its host allows and was ended; use a shorter video, or raise the limit")
    if ended.oom_killed:
        return OutOfMemoryError("the kernel killed it, out of memory; use a smaller or shorter video, or allow more memory")
    return None


def _by_code(code: int, last_words: str) -> CosmosError:
    if code in _KILL_CODES:
        return ProcessKilledError(f"somebody outside killed the process (exit code {code})")
    if code == _BUS_ERROR_CODE:
        return EnvironmentBrokenError(f"the process ended with a bus error (exit code {code}); {SHARED_MEMORY_REMEDY}")
    if code in _DOCKER_CODES:
        cause = last_words or f"docker ended with exit code {code}"
        return EnvironmentBrokenError(
            _message(cause, "docker could not start the program: see that the image of the family fits")
        )
    if code == 0:
        return OutputMissingError("the process ended without this run's outputs; see its log")
    cause = last_words or "the process gave no reason"
    return ProcessFailedError(_message(cause, f"it ended with exit code {code}, see its log"))


def _message(text: str, remedy: str) -> str:
    return f"{shortened(without_tokens(text)).rstrip('.;:, ')}; {remedy}"
