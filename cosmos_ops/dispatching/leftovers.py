"""What others left behind: jobs of the queue whose process is gone are taken over, and hosts that stay away are given up."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from contextvars import copy_context
from datetime import timedelta
from threading import Thread

from loguru import logger

from cosmos_ops.dispatching.assignments import Assignment, Lanes, Place
from cosmos_ops.dispatching.crew import Member
from cosmos_ops.errors import CosmosError, RecordInvalidError, RecordNotFoundError
from cosmos_ops.following import LEASE_S
from cosmos_ops.store import JobRecord
from cosmos_ops.timekeeping import utc_now
from cosmos_ops.upkeep import is_abandoned, remove_unowned, take_over
from cosmos_ops.workplace import Records, Workplace

RECALL_AFTER_S = 15.0


class Leftovers:
    """Looks after the jobs of the shared queue that nobody looks after, and after hosts that do not come back."""

    def __init__(self, place: Records, owner: str, lanes: Lanes, give_up_s: float) -> None:
        self._place = place
        self._owner = owner
        self._lanes = lanes
        self._give_up_s = give_up_s
        self._tidying: Thread | None = None

    def adopted(self, members: Mapping[str, Member]) -> list[Assignment]:
        """Jobs that are ours from now on; what their containers do meanwhile is not done twice."""
        return [
            Assignment(self._place_of(found, member), tuple(item.run_id for item in found.job.items), job=found.job)
            for found in self._abandoned()
            if (member := members.get(found.host)) is not None and not member.problem and self._take_over(found)
        ]

    def tidy(self, members: Mapping[str, Member]) -> None:
        """Remove containers whose job has gone to another host, from hosts that are back; in the background, one at a time."""
        for member in members.values():
            strangers = member.busy - self._lanes.job_ids
            if member.problem or not any(self._has_ended(job_id) for job_id in strangers):
                continue
            if self._tidying is None or not self._tidying.is_alive():
                self._tidying = Thread(target=copy_context().run, args=(self._tidy, member), daemon=True)
                self._tidying.start()

    def _tidy(self, member: Member) -> None:
        with suppress(CosmosError):
            place = Workplace(self._place.store, self._place.results, member.host, self._owner)
            for name in remove_unowned(place, running_only=True):
                logger.info("Host {}: the container {} is removed, its runs went to another host", member.name, name)

    def _has_ended(self, job_id: str) -> bool:
        try:
            return self._place.store.job(job_id).ended_at is not None
        except (RecordInvalidError, RecordNotFoundError):
            # One that nobody can read, or that of another store.
            return False

    def is_any(self, members: Mapping[str, Member]) -> bool:
        """Whether there is a job to be taken over, now or once its host was looked at."""
        hosts = {name for name, member in members.items() if not (member.was_seen and member.problem)}
        return any(found.host in hosts for found in self._abandoned())

    def give_up(self, members: Mapping[str, Member]) -> None:
        """Let the runs of hosts that have been away for long go to other hosts that have their family."""
        for assignment in self._lanes.active:
            follower = assignment.follower
            if follower is None or follower.lost_for_s < self._give_up_s:
                continue
            if _others(members, follower.job.family, assignment.place[0]):
                follower.give_up()
        for found in self._abandoned():
            away_s = (utc_now() - max(found.lease_until, found.created_at + timedelta(seconds=LEASE_S))).total_seconds()
            member = members.get(found.host)
            is_away = member is None or bool(member.problem)
            if is_away and away_s > self._give_up_s and _others(members, found.job.family, found.host) and self._take_over(found):
                logger.warning("Host {} is away for long; the runs of job {} wait again", found.host, found.job.id)
                self._place.store.requeue([item.run_id for item in found.job.items], job_id=found.job.id)
                self._place.store.end_job(found.job.id)

    def recall(self, idle: Collection[Place], members: Mapping[str, Member]) -> None:
        """Let what has waited for a slot for long go to a slot that has nothing to do, and would get nothing else."""
        free = list(idle)
        for assignment in self._lanes.active:
            follower = assignment.follower
            if follower is None or assignment.batch is None or assignment.waits_for_s < RECALL_AFTER_S:
                continue
            family = follower.job.family
            better = next(
                (one for one in free if one[0] != assignment.place[0] and family in members[one[0]].offer.families), None
            )
            if better is not None:
                free.remove(better)
                follower.recall()

    def _abandoned(self) -> list[JobRecord]:
        mine = self._lanes.job_ids
        jobs = [found for found in self._place.store.open_jobs() if found.job.id not in mine and is_abandoned(found)]
        first = self._place.store.readable_runs_of_ids(job.job.items[0].run_id for job in jobs)
        queued = {run.id for run in first if run.queueing is not None}
        return [job for job in jobs if job.job.items[0].run_id in queued]

    def _take_over(self, found: JobRecord) -> bool:
        return take_over(self._place.store, found, self._owner)

    def _place_of(self, found: JobRecord, member: Member) -> tuple[str, int]:
        """The lane that its container is on, or one that has nothing to do."""
        gpus = found.timing.gpus if found.timing is not None else ""
        names = [",".join(map(str, slot)) for slot in member.host.slots]
        if gpus and gpus in names:
            return member.name, names.index(gpus)
        places = [(member.name, index) for index in range(len(names))]
        return min(places, key=lambda place: len(self._lanes.on(place)))


def _others(members: Mapping[str, Member], family: str, name: str) -> bool:
    """Whether another host could do the work."""
    return any(member.is_usable and family in member.offer.families for member in members.values() if member.name != name)
