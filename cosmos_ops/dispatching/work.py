"""A job on its way, and who carries it out: the tasks of a flow, or plain calls."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from cosmos_ops import homecoming, staging_out
from cosmos_ops.errors import StoreUnreachableError
from cosmos_ops.execution import Computation
from cosmos_ops.following import Follower
from cosmos_ops.job import Job, Outcome


@dataclass(frozen=True)
class Work:
    """A job on its way, and who follows it."""

    follower: Follower
    settle: Callable[[Mapping[str, Outcome]], dict[str, Outcome]]
    """What becomes of the outcomes: a run that is to be tried again becomes "not run"."""

    @property
    def job(self) -> Job:
        """The job."""
        return self.follower.job


class Carrier(Protocol):
    """Carries jobs out, step by step; may be called by several threads at once. Each step raises `CosmosError`s."""

    def stage_in(self, work: Work) -> None:
        """Bring all that the job needs to its host."""

    def compute(self, work: Work) -> Computation:
        """Get a slot, and follow the container to its end."""

    def bring_home(self, work: Work, computation: Computation) -> None:
        """Judge and stage out what it left, and record what became of its runs."""


def nothing() -> None:
    """What is done at a moment that nobody cares for."""


def carry_out(
    work: Work, carrier: Carrier, *, on_staged: Callable[[], None] = nothing, on_computed: Callable[[], None] = nothing
) -> None:
    """Carry out a job step by step. A run store that is away is waited for; then the steps are done again, as far as they must.

    Args:
        work: The job.
        carrier: Who does the steps.
        on_staged: Called when all that the job needs is on its host.
        on_computed: Called when its slot is free again.

    Raises:
        StoreUnreachableError: The store is away, and the job is to end.
        JobTakenOverError: Another process carries the job out.
        CosmosError: A step failed.
    """
    with work.follower.kept():
        while True:
            try:
                carrier.stage_in(work)
                on_staged()
                computation = carrier.compute(work)
                on_computed()
                carrier.bring_home(work, computation)
                return
            except StoreUnreachableError:
                work.follower.await_store()


class PlainCarrier:
    """Carries jobs out by plain calls."""

    def stage_in(self, work: Work) -> None:
        """Bring all that the job needs to its host."""
        work.follower.stage_in()

    def compute(self, work: Work) -> Computation:
        """Get a slot, and follow the container to its end."""
        return work.follower.compute()

    def bring_home(self, work: Work, computation: Computation) -> None:
        """Judge and stage out what it left, and record what became of its runs."""
        outcomes = work.settle(work.follower.judge(computation))
        homecoming.record(work.follower, outcomes, staging_out.bring_home(work.follower, outcomes))
