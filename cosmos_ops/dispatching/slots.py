"""The GPU slots of all usable hosts as the planner sees them: what they can do, and when they are free."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cosmos_ops.cost_keeping import warm_files
from cosmos_ops.dispatching.assignments import Lanes, seconds_left
from cosmos_ops.dispatching.bench import Bench
from cosmos_ops.dispatching.crew import Member
from cosmos_ops.errors import RecordInvalidError, RecordNotFoundError
from cosmos_ops.planning import Slot
from cosmos_ops.store import JobRecord, Store
from cosmos_ops.timekeeping import utc_now

OTHERS_S = 600.0
"""How long a slot is expected to be taken by somebody whose job we know nothing about."""


@dataclass
class SlotView:
    """Makes the slots of a plan."""

    store: Store
    lanes: Lanes
    bench: Bench
    jobs: Sequence[JobRecord]
    """The newest ones, which say what files a host has read lately."""

    def slots(self, members: Mapping[str, Member]) -> list[Slot]:
        """The slots of all usable hosts; a busy one is free when what it computes will probably have ended."""
        return [slot for member in members.values() if member.is_usable for slot in self._of(member)]

    def _of(self, member: Member) -> list[Slot]:
        name, now_s = member.name, utc_now().timestamp()
        families = frozenset(family for family in member.offer.families if not self.bench.has(name, family))
        warm = warm_files(name, self.jobs, utc_now())
        free_in_s = [self.lanes.seconds_until_free((name, index)) for index in range(len(member.slots))]
        # Nobody says which slot a stranger is on: it takes the place of one of those that are free.
        strangers = [self._stranger_s(job_id) for job_id in sorted(member.busy - self.lanes.job_ids)]
        idle = [index for index, seconds in enumerate(free_in_s) if not seconds]
        for index, seconds in zip(reversed(idle), strangers, strict=False):
            free_in_s[index] = seconds
        return [
            Slot(
                host=name,
                index=index,
                gpu_type=facts.gpu_type,
                families=families,
                gpu_count=facts.gpu_count,
                memory_gb=facts.memory_gb,
                free_at_s=now_s + free_in_s[index],
                warm=warm,
                lacking=frozenset(member.lacking),
            )
            for index, facts in enumerate(member.slots)
        ]

    def _stranger_s(self, job_id: str) -> float:
        """How long the job of somebody else will probably take."""
        try:
            timing = self.store.job(job_id).timing
        except (RecordInvalidError, RecordNotFoundError):
            timing = None
        is_known = timing is not None and timing.started_at is not None and timing.predicted_s is not None
        return max(1.0, seconds_left(timing, utc_now())) if timing is not None and is_known else OTHERS_S
