"""What the lanes of a dispatch are busy with: one lane for each GPU slot, each with a job at work and one made ready."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone

from cosmos_ops.cost_keeping import expected_end, expected_sample_ends
from cosmos_ops.following import Follower
from cosmos_ops.job import Job
from cosmos_ops.planning import PlannedBatch
from cosmos_ops.timing import JobTiming

LEAD_MIN_S, LEAD_MAX_S = 20.0, 900.0
LEAD_FACTOR = 2.0
"""The next batch is made ready so many times earlier than that took lately on the same host."""

Place = tuple[str, int]
"""A lane: name of a host, and number of one of its slots."""


@dataclass
class Assignment:
    """A batch that was given to a lane, from then until all that it left is at home."""

    place: Place
    run_ids: tuple[str, ...]
    batch: PlannedBatch | None = None
    """As it was planned; none for a job that somebody else began."""
    job: Job | None = None
    """Once its runs are claimed."""
    follower: Follower | None = None
    given_at: float = field(default_factory=time.monotonic)
    staged_at: float | None = None
    is_computed: bool = False
    """Whether its slot is free again."""
    is_over: bool = False

    @property
    def is_computing(self) -> bool:
        """Whether it has its slot."""
        timing = self.follower.times.timing if self.follower is not None else None
        return timing is not None and timing.started_at is not None and not self.is_computed

    @property
    def waits_for_s(self) -> float:
        """For how long it has been ready and had no slot."""
        is_waiting = self.staged_at is not None and not self.is_computing and not self.is_computed
        return time.monotonic() - self.staged_at if is_waiting and self.staged_at is not None else 0.0

    def seconds_left(self, now: datetime) -> float:
        """How long it will probably have its slot from now on, if it has it or got it now."""
        timing = self.follower.times.timing if self.follower is not None else None
        if timing is not None and timing.started_at is not None:
            return seconds_left(timing, now)
        if self.batch is not None:
            return self.batch.end_s - self.batch.start_s
        return (timing.predicted_s if timing is not None else None) or 0.0

    def may_end_in_s(self, now: datetime) -> float:
        """When its slot may be free at the earliest; of one that is overdue, or of which nothing was predicted, at any moment."""
        timing = self.follower.times.timing if self.follower is not None else None
        end = expected_end(timing, now) if timing is not None else None
        return 0.0 if end is None else (end - now).total_seconds()

    def done_in_s(self) -> Mapping[str, float]:
        """When each of its runs is expected to be done; what is computed comes home now, and from a host that is away never."""
        timing = self.follower.times.timing if self.follower is not None else None
        if self.follower is not None and self.follower.lost_for_s:
            return dict.fromkeys(self.run_ids, math.inf)
        if self.is_computed or timing is None:
            return dict.fromkeys(self.run_ids, 0.0 if self.is_computed else math.inf)
        return done_in_s(timing, datetime.now(timezone.utc))


def done_in_s(timing: JobTiming, now: datetime) -> dict[str, float]:
    """When each sample of a job is expected to be done; never, if it has not started or if nothing was predicted."""
    ends = expected_sample_ends(timing, now)
    if ends is None:
        return {sample.run_id: math.inf if sample.ended_at is None else 0.0 for sample in timing.samples}
    return {run_id: max(0.0, (end - now).total_seconds()) for run_id, end in ends.items()}


def seconds_left(timing: JobTiming, now: datetime) -> float:
    """How long a job that has its slot will probably keep it; one that is overdue for as long again as it is overdue."""
    assert timing.started_at is not None
    moments = [
        timing.started_at,
        *(moment for sample in timing.samples for moment in (sample.started_at, sample.ended_at) if moment),
    ]
    end = expected_end(timing, max(moments))
    return 0.0 if end is None else abs((end - now).total_seconds())


class Lanes:
    """All assignments, by lane."""

    def __init__(self) -> None:
        self._active: list[Assignment] = []

    def add(self, assignment: Assignment) -> None:
        """A lane has something to do."""
        self._active.append(assignment)

    def collect(self) -> list[Assignment]:
        """Take out what is over."""
        over = [one for one in self._active if one.is_over]
        self._active = [one for one in self._active if not one.is_over]
        return over

    @property
    def active(self) -> Sequence[Assignment]:
        """All that is not over."""
        return tuple(self._active)

    @property
    def taken(self) -> frozenset[str]:
        """The runs that no other lane may get."""
        return frozenset(run_id for one in self._active for run_id in one.run_ids)

    @property
    def job_ids(self) -> frozenset[str]:
        """The jobs that we carry out."""
        return frozenset(one.job.id for one in self._active if one.job is not None)

    def on(self, place: Place) -> list[Assignment]:
        """What a lane still has to compute, in its order."""
        mine = [one for one in self._active if one.place == place and not one.is_computed]
        return sorted(mine, key=lambda one: not one.is_computing)

    def is_free(self, place: Place, *, makes_ready: bool) -> bool:
        """Whether a lane wants its next batch: it has nothing to do, or makes one ready because the last one is nearly done."""
        mine = self.on(place)
        if not mine or not makes_ready:
            return not mine
        if len(mine) > 1 or not mine[0].is_computing:
            return False
        return mine[0].may_end_in_s(datetime.now(timezone.utc)) <= self._lead_s(place[0])

    def seconds_until_free(self, place: Place) -> float:
        """When a lane has computed all that it was given."""
        now = datetime.now(timezone.utc)
        return sum(one.seconds_left(now) for one in self.on(place))

    def staging_s(self, host: str) -> float:
        """How long it took lately to make a batch ready on a host."""
        staged = [one for one in self._active if one.place[0] == host and one.staged_at is not None]
        return max((one.staged_at - one.given_at for one in staged if one.staged_at is not None), default=0.0)

    def _lead_s(self, host: str) -> float:
        return min(max(LEAD_MIN_S, LEAD_FACTOR * self.staging_s(host)), LEAD_MAX_S)

    def state(self) -> Mapping[int, tuple[bool, bool]]:
        """Changes whenever a lane may want something."""
        return {id(one): (one.is_computing, one.is_computed) for one in self._active}
