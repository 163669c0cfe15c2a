"""Carries any job out on any host: stage in, compute, judge, stage out. Every step may be called again and does no work twice."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cosmos_ops.errors import HostUnhealthyError, TransferError
from cosmos_ops.files import full_disk_said
from cosmos_ops.job import Completed, ContainerExit, Event, Job, JobItem, LogLine, Outcome
from cosmos_ops.operations.operation import Operation
from cosmos_ops.remote.host import Host

GRACE_S = 10.0
"""Between SIGTERM and SIGKILL when a container is stopped."""


@dataclass
class Computation:
    """What a container said while it was followed, and how it ended."""

    events: list[Event] = field(default_factory=list)
    exit: ContainerExit | None = None


def stage_in(job: Job, host: Host) -> int:
    """Bring inputs and specs to the host; once the container exists, all of it is there.

    Returns:
        Bytes of inputs sent.

    Raises:
        HostUnhealthyError: The host cannot run jobs; nothing was sent.
    """
    if host.find({"cosmos.job": job.id}):
        return 0
    if problems := host.health().problems:
        raise HostUnhealthyError(f"host {host.name}: {'; '.join(problems)}")
    sent = sum(host.put(file) for file in job.inputs)
    for file in job.files:
        host.write(job.host_folder / file.path, file.text)
    return sent


def compute(
    job: Job,
    operation: Operation[Any],
    host: Host,
    *,
    labels: Mapping[str, str],
    log: Path,
    on_line: Callable[[LogLine], None],
    on_event: Callable[[Event], None],
    is_cancelled: Callable[[], bool],
) -> Computation:
    """Start the container or attach to it, and follow it to its end; the log file has every line from the first one on."""
    host.start(job.container_name, job.container, labels={"cosmos.job": job.id, **labels})
    computation = Computation()
    log.parent.mkdir(parents=True, exist_ok=True)
    with full_disk_said(log), log.open("w", encoding="utf-8") as file:

        def take(line: LogLine) -> None:
            if not line.is_redraw:
                file.write(line.text + "\n")
                file.flush()
            on_line(line)
            for event in operation.read_progress(line.text):
                computation.events.append(event)
                on_event(event)

        computation.exit = host.follow(
            job.container_name, on_line=take, is_cancelled=is_cancelled, stall_limit_s=job.stall_limit_s, grace_s=GRACE_S
        )
    return computation


def judge(job: Job, operation: Operation[Any], host: Host, computation: Computation) -> dict[str, Outcome]:
    """The outcome of each run, by the completion markers on the host."""
    assert computation.exit is not None
    texts = {item.run_id: host.read(job.host_folder / item.marker) for item in job.items}
    markers = {run_id: text for run_id, text in texts.items() if text is not None}
    return operation.read_outputs(job, computation.exit, computation.events, markers)


def stage_out(job: Job, item: JobItem, outcome: Completed, host: Host, folder: Path) -> dict[str, Path]:
    """Bring the outputs of one completed run home into a folder, verified.

    Returns:
        Role to file.
    """
    files = {}
    for role, output in outcome.files.items():
        if output.path.is_absolute() or ".." in output.path.parts:
            raise TransferError(f"run {item.run_id}: the marker names {output.path}, which is outside its folder")
        files[role] = folder / output.path.name
        host.get(job.host_folder / item.folder / output.path, files[role], sha256=output.sha256)
    return files


def clean_up(job: Job, host: Host) -> None:
    """Remove the container and the job's folder; only when all that matters is home and recorded."""
    host.remove(job.container_name)
    host.remove_folder(job.host_folder)
