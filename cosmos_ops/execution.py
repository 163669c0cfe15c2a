"""Carries any job out on any host: stage in, compute, judge, stage out. Every step may be called again and does no work twice."""

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, TypeVar

from loguru import logger

from cosmos_ops.errors import HostUnhealthyError, HostUnreachableError, RunCancelledError, TransferError
from cosmos_ops.job import (
    Completed,
    ContainerExit,
    Event,
    Findings,
    Job,
    JobItem,
    LogLine,
    Outcome,
    OutputFile,
    SamplePhase,
    SampleStarted,
)
from cosmos_ops.log import LineLog
from cosmos_ops.operations.operation import Operation
from cosmos_ops.remote.host import JOB_LABEL, Fetch, Host
from cosmos_ops.runs import Phase

GRACE_S = 10.0
"""Between SIGTERM and SIGKILL when a container is stopped."""
SLOT_PAUSE_MIN_S, SLOT_PAUSE_MAX_S = 0.05, 0.25
LOST_PAUSE_S = 1.0
PATIENCE_S = 20.0
"""How long a host that does not answer is waited for, once the job is cancelled; what is left is done when it answers again."""

LAST_LINES = 2_000
"""Kept in mind to say why a process failed; the log file has all."""

T = TypeVar("T")


class Watch(Protocol):
    """Who watches a job: is told what happens, and tells whether to go on."""

    def line(self, line: LogLine) -> None:
        """A line of the process."""

    def event(self, event: Event) -> None:
        """What a line tells."""

    def is_cancelled(self) -> bool:
        """Whether to stop."""

    def is_its_turn(self) -> bool:
        """Whether no other job waits for the host for longer."""

    def waiting(self, reason: str) -> None:
        """No GPU slot is free."""

    def started(self, *, is_new: bool) -> None:
        """The container runs, since this moment if it is new; else it was there already, and may even have ended."""

    def contact(self, is_there: bool) -> None:
        """The host does not answer any more, or answers again."""


@dataclass
class Computation:
    """What a container said while it was followed, and how it ended."""

    events: list[Event] = field(default_factory=list)
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))
    exit: ContainerExit | None = None
    is_started: bool = False
    """Whether there was a container that ran."""


def stage_in(job: Job, host: Host, watch: Watch, *, on_sent: Callable[[int], None]) -> int:
    """Bring inputs and specs to the host; once the container exists, all of it is there.

    Returns:
        Bytes of inputs sent.

    Raises:
        HostUnreachableError: The host does not answer from the start; nothing was sent.
        HostUnhealthyError: The host cannot run the job; nothing was sent.
        RunCancelledError: The job was cancelled.
    """
    if host.find({JOB_LABEL: job.id}):
        return 0
    host.check(job.container, job.inputs)

    def sent(count: int) -> None:
        if watch.is_cancelled():
            raise RunCancelledError("cancelled while its inputs were sent")
        on_sent(count)

    sent(0)
    count = patiently(watch, lambda: host.put(job.inputs, on_sent=sent))
    for file in job.files:
        patiently(watch, lambda path=job.host_folder / file.path, text=file.text: host.write(path, text))  # type: ignore[misc]
    return count


def compute(
    job: Job, operation: Operation[Any], host: Host, watch: Watch, *, labels: Mapping[str, str], log: Path
) -> Computation:
    """Start the container or attach to it, and follow it to its end; the log file has every line from the first one on."""
    computation, read, phases = Computation(), operation.reader(job), _Phases(job)
    with LineLog(log) as file:

        def take(line: LogLine) -> None:
            if not line.is_redraw:
                file.add(line.text)
                computation.last_lines.append(line.text)
            watch.line(line)
            for event in read(line.text):
                phases.take(event)
                computation.events.append(event)
                watch.event(event)

        computation.is_started = _start(job, host, watch, {JOB_LABEL: job.id, **labels})
        if not computation.is_started:
            computation.exit = ContainerExit(0, is_cancelled=True)
            return computation
        computation.exit = host.follow(
            job.container_name,
            on_line=take,
            is_cancelled=watch.is_cancelled,
            on_contact=watch.contact,
            stall_limit_s=phases.stall_limit_s,
            grace_s=GRACE_S,
        )
    return computation


class _Phases:
    """How long the process may be silent, by what it does."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._phase = Phase.LOADING

    def take(self, event: Event) -> None:
        if isinstance(event, SampleStarted):
            self._phase = Phase.SAMPLING
        elif isinstance(event, SamplePhase):
            self._phase = event.phase

    def stall_limit_s(self) -> float:
        return self._job.stall_limits_s.get(self._phase.value, self._job.stall_limit_s)


def judge(job: Job, operation: Operation[Any], host: Host, computation: Computation) -> dict[str, Outcome]:
    """The outcome of each run, by the completion markers on the host."""
    assert computation.exit is not None
    texts = {marker: host.read(job.host_folder / marker) for item in job.items for marker in item.markers}
    expected = {job.host_folder / file.path: file for item in job.items for file in item.outputs}
    facts = host.facts(list(expected)) if expected else {}
    files = {
        file.path: OutputFile(file.path, facts[path].sha256, facts[path].size_bytes, file.name)
        for path, file in expected.items()
        if path in facts
    }
    found = Findings({marker: text for marker, text in texts.items() if text is not None}, files, tuple(computation.last_lines))
    return operation.read_outputs(job, computation.exit, computation.events, found)


def stage_out(job: Job, item: JobItem, outcome: Completed, host: Host, folder: Path) -> dict[str, Path]:
    """Bring the outputs of one completed run home into a folder, verified.

    Returns:
        Role to file.
    """
    files: dict[str, Path] = {}
    fetches: list[Fetch] = []
    for role, output in outcome.files.items():
        if output.path.is_absolute() or ".." in output.path.parts:
            raise TransferError(f"run {item.run_id}: the marker names {output.path}, which is outside its folder")
        files[role] = folder / (output.name or output.path.name)
        fetches.append(Fetch(job.host_folder / _place_of(item, output), files[role], output.sha256, output.size_bytes))
    host.get(fetches)
    return files


def _place_of(item: JobItem, output: OutputFile) -> PurePosixPath:
    """Of a marker's file relative to the run's folder, of an expected one to the job's."""
    return output.path if item.outputs else item.folder / output.path


def clean_up(job: Job, host: Host, *, keeps_files: bool = False) -> None:
    """Remove the container and the job's folder; only when all that matters is home and recorded."""
    # The container is what others find the rest by.
    if keeps_files or is_removed(job.host_folder, host):
        host.remove(job.container_name)


def is_removed(folder: PurePosixPath, host: Host) -> bool:
    """Remove the folder of a job that is over. One that refuses is said and left: what the job did stands.

    Raises:
        HostUnreachableError: The host does not answer.
    """
    try:
        host.remove_folder(folder)
    except HostUnhealthyError as error:
        logger.warning("A job is over, but what it left stays: {}", error)
        return False
    return True


def patiently(watch: Watch, step: Callable[[], T]) -> T:
    """Do one step on a host, as soon as it answers: one that does not answer is no failed run.

    Raises:
        HostUnreachableError: The job is cancelled, and the host did not answer for `PATIENCE_S` since it was lost.
    """
    lost_at: float | None = None
    while True:
        try:
            result = step()
        except HostUnreachableError:
            if lost_at is None:
                lost_at = time.monotonic()
                watch.contact(False)
            if watch.is_cancelled() and time.monotonic() - lost_at > PATIENCE_S:
                raise
            time.sleep(LOST_PAUSE_S)
            continue
        if lost_at is not None:
            watch.contact(True)
        return result


def _start(job: Job, host: Host, watch: Watch, labels: Mapping[str, str]) -> bool:
    """Wait for a GPU slot, in the order of asking; false if the job was cancelled before it got one."""
    pause_s = SLOT_PAUSE_MIN_S
    found = patiently(watch, lambda: host.find({JOB_LABEL: job.id}))
    if watch.is_cancelled() and not found:
        return False
    has_slot = any(state.is_started for state in found)
    while True:
        if has_slot or watch.is_its_turn():
            start: Callable[[], Any] = lambda: host.start(  # noqa: E731
                job.container_name, job.container, folder=job.host_folder, labels=labels
            )
            busy = patiently(watch, start)
            if busy is None:
                watch.started(is_new=not has_slot)
                return True
            watch.waiting(busy.reason)
        else:
            watch.waiting("others wait for longer")
        if watch.is_cancelled():
            # A container that was only created is gone after this.
            patiently(watch, lambda: host.stop(job.container_name, grace_s=0))
            return False
        time.sleep(pause_s)
        pause_s = min(1.5 * pause_s, SLOT_PAUSE_MAX_S)
