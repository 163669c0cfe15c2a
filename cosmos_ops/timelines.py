"""What jobs did on which GPU slot and when: their timeline, how busy the slots were, and predictions beside what was measured."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cosmos_ops.media.drawing import duration_text
from cosmos_ops.media.lanes import Lane, Segment, SegmentKind
from cosmos_ops.media.timeline import write_timeline
from cosmos_ops.store.records import JobRecord
from cosmos_ops.timing import JobTiming, SampleTiming

OVERLAP_S = 1.0
"""By so much two jobs of a slot may seem to overlap: the end of the first is noticed late."""

SlotName = tuple[str, str]
"""Host and GPUs, such as `("render-a", "0,1")`; a host without GPUs has `""`."""


@dataclass(frozen=True)
class Timeline:
    """Jobs on their slots, in seconds since the first of them began to be staged in."""

    lanes: tuple[Lane, ...] = ()
    starts_at: datetime | None = None
    """None if there is nothing to show."""
    job_count: int = 0
    """Jobs that are shown."""
    run_count: int = 0
    """Their runs."""


def signature_text(record: JobRecord) -> str:
    """What a job had loaded, in short: `transfer1 edge+depth`."""
    assert record.timing is not None
    operation = "" if record.job.operation == "inference" else record.job.operation
    return " ".join(part for part in (operation, record.timing.model, "+".join(record.timing.controls)) if part)


def timeline(
    jobs: Sequence[JobRecord],
    *,
    slots: Iterable[SlotName] = (),
    failed: frozenset[str] = frozenset(),
    now: datetime | None = None,
    label: Callable[[JobRecord], str] = signature_text,
) -> Timeline:
    """The timeline of jobs. A job that has no times or never came to a slot is left out.

    Args:
        jobs: In any order.
        slots: Slots that have a lane even if no job came to them.
        failed: Ids of runs that failed; one that was cut off when its process ended counts as failed anyway.
        now: Until when what has not ended goes on; None: until the last known moment.
        label: What the runs of a batch have in common, in words; decides the colour.
    """
    timed = [(record, record.timing) for record in jobs if record.timing is not None and _has_slot(record.timing)]
    lanes: dict[SlotName, list[list[_Placed]]] = {slot: [[]] for slot in slots}
    moments = [moment for _, timing in timed for moment in _moments(timing)]
    if not moments:
        return Timeline(_lanes(lanes))
    starts_at = min(moments)
    until = max([*moments, now] if now is not None else moments)
    placed = [_placed(record, timing, starts_at, until, label(record), failed) for record, timing in timed]
    for one in sorted(placed, key=lambda one: (one.start_s, one.record.job.id)):
        _put(lanes.setdefault((one.record.host, one.gpus), [[]]), one)
    return Timeline(_lanes(lanes), starts_at, len(timed), sum(len(timing.samples) for _, timing in timed))


def write_picture(shown: Timeline, target: Path) -> bool:
    """Write a timeline as PNG; without lanes write none and return False.

    Raises:
        DiskFullError: No space is left; nothing of the file remains.
    """
    return write_timeline(shown.lanes, target, title=headline(shown))


def headline(shown: Timeline) -> str:
    """What a timeline comes to in one line."""
    slots = _counted(len(shown.lanes), "slot")
    if not shown.job_count:
        return f"No jobs on {slots}"
    work = f"{_counted(shown.run_count, 'run')} in {_counted(shown.job_count, 'job')} on {slots}"
    whole, waiting = busy_share(shown), busy_share(shown, end_s=last_start_s(shown))
    text = f"{work}: {duration_text(makespan_s(shown))}, busy {100 * whole:.1f} %"
    return text if last_start_s(shown) <= 0 else f"{text} of it, {100 * waiting:.1f} % until the last job started"


def makespan_s(shown: Timeline) -> float:
    """From the start of the timeline until the last process has ended; staging out after that does not count."""
    return max((lane.process_end_s for lane in shown.lanes), default=0.0)


def last_start_s(shown: Timeline) -> float:
    """When the last process was started: until then something was left to do on any slot that was free."""
    segments = (segment for lane in shown.lanes for segment in lane.segments)
    return max((segment.start_s for segment in segments if segment.kind is SegmentKind.HELD), default=0.0)


def busy_share(shown: Timeline, start_s: float = 0.0, end_s: float | None = None) -> float:
    """Share of the time of all slots in which they load a model or make a sample, from 0 to 1.

    Args:
        shown: The timeline.
        start_s: From when on.
        end_s: Until when; None: until the last process has ended.
    """
    end_s = makespan_s(shown) if end_s is None else end_s
    if end_s <= start_s or not shown.lanes:
        return 0.0
    return sum(lane.busy_s(start_s, end_s) for lane in shown.lanes) / (len(shown.lanes) * (end_s - start_s))


def idle_gaps(
    shown: Timeline, start_s: float = 0.0, end_s: float | None = None, *, shortest_s: float = 0.0
) -> list[tuple[str, float, float]]:
    """When slots did nothing: name of the lane, start and end of each gap, the longest first."""
    end_s = makespan_s(shown) if end_s is None else end_s
    gaps = [(lane.name, start, end) for lane in shown.lanes for start, end in lane.idle_spans(start_s, end_s)]
    return sorted((gap for gap in gaps if gap[2] - gap[1] >= shortest_s), key=lambda gap: gap[1] - gap[2])


@dataclass(frozen=True)
class _Placed:
    """A job with what it shows."""

    record: JobRecord
    gpus: str
    segments: tuple[Segment, ...]

    @property
    def start_s(self) -> float:
        """When it took its slot; one that has not yet comes last."""
        return min((segment.start_s for segment in self.segments if segment.kind is SegmentKind.HELD), default=math.inf)

    @property
    def end_s(self) -> float:
        """When it left its slot."""
        return max((segment.end_s for segment in self.segments if segment.kind is SegmentKind.HELD), default=0.0)


def _has_slot(timing: JobTiming) -> bool:
    return bool(timing.gpus) or bool(_begun(timing)) or timing.started_at is not None


def _begun(timing: JobTiming) -> list[tuple[datetime, SampleTiming]]:
    """The samples that were begun, in that order."""
    begun = [(sample.started_at, sample) for sample in timing.samples if sample.started_at is not None]
    return sorted(begun, key=lambda one: one[0])


def _moments(timing: JobTiming) -> list[datetime]:
    of_job = (timing.staging_in_at, timing.staged_in_at, timing.started_at, timing.ended_at, timing.home_at)
    of_samples = (moment for sample in timing.samples for moment in (sample.started_at, sample.ended_at))
    return [moment for moment in (*of_job, *of_samples) if moment is not None]


def _placed(
    record: JobRecord, timing: JobTiming, starts_at: datetime, until: datetime, label: str, failed: frozenset[str]
) -> _Placed:
    if record.ended_at is not None:
        until = max(_moments(timing), default=until)
    segments = [
        Segment(kind, (start - starts_at).total_seconds(), (end - starts_at).total_seconds(), label, is_failed)
        for kind, start, end, is_failed in _spans(timing, until, failed)
        # A clock that was put back makes ends that are before their starts.
        if start is not None and start <= end
    ]
    return _Placed(record, timing.gpus, tuple(segments))


def _spans(
    timing: JobTiming, until: datetime, failed: frozenset[str]
) -> Iterator[tuple[SegmentKind, datetime | None, datetime, bool]]:
    """Kind, start and end of each segment, and whether it came to nothing; what has not ended goes on until then."""
    begun = _begun(timing)
    first = begun[0][0] if begun else None
    ended = timing.ended_at or until
    yield SegmentKind.STAGING_IN, timing.staging_in_at, timing.staged_in_at or timing.started_at or ended, False
    yield SegmentKind.HELD, timing.started_at or first, ended, False
    yield SegmentKind.LOAD, timing.started_at, first or ended, False
    for place, (start, sample) in enumerate(begun):
        following = begun[place + 1][0] if place + 1 < len(begun) else ended
        is_failed = sample.run_id in failed or (sample.ended_at is None and _is_over(timing))
        yield SegmentKind.SAMPLE, start, sample.ended_at or following, is_failed
    if timing.ended_at is not None:
        yield SegmentKind.STAGING_OUT, timing.ended_at, timing.home_at or until, False


def _is_over(timing: JobTiming) -> bool:
    """Whether a sample that has no end yet never had one; nobody knows where the job was not followed all the time."""
    return timing.ended_at is not None and timing.is_observed


def _put(lanes: list[list[_Placed]], one: _Placed) -> None:
    """Into the lane of its slot; a host without GPUs may have several slots of the same name, and then gets more lanes."""
    free = [lane for lane in lanes if all(other.end_s <= one.start_s + OVERLAP_S for other in lane)]
    if one.gpus or free:
        (free or lanes)[0].append(one)
    else:
        lanes.append([one])


def _lanes(placed: Mapping[SlotName, Sequence[Sequence[_Placed]]]) -> tuple[Lane, ...]:
    lanes = []
    for host, gpus in sorted(placed, key=lambda slot: (slot[0], _numbers(slot[1]))):
        for number, jobs in enumerate(placed[host, gpus], 1):
            name = f"{host} {gpus}" if gpus else host
            segments = [segment for job in jobs for segment in job.segments]
            lanes.append(Lane(name if number == 1 else f"{name} ({number})", tuple(segments)))
    return tuple(lanes)


def _numbers(gpus: str) -> list[int]:
    return [int(part) for part in gpus.split(",") if part.isdigit()]


def _counted(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
