"""The shared queue: which runs wait in it, what they are expected to take, and who may hand them out; part of `store.store`."""

from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from typing import NamedTuple

from pydantic import JsonValue

from cosmos_ops.store import changes, queries
from cosmos_ops.store.job_store import JobStore


class Waiting(NamedTuple):
    """A run that waits in the shared queue."""

    run_id: str
    priority: int
    parent_id: str | None
    """The run that has to be complete first."""


class QueueStore(JobStore):
    """The queue, fitted costs, and leases of what only one process at a time may do."""

    def waiting(self) -> list[Waiting]:
        """The runs that wait in the shared queue, oldest first."""
        with self._database.read() as session:
            return [Waiting(*row) for row in session.execute(queries.waiting_runs())]

    def unfinished(self, run_ids: Iterable[str]) -> frozenset[str]:
        """Those of these runs that have not ended."""
        with self._database.read() as session:
            parts = queries.in_parts(run_ids)
            return frozenset(row[0] for part in parts for row in session.execute(queries.unfinished_runs(part)))

    def set_priority(self, run_ids: Iterable[str], priority: int) -> int:
        """Give a priority to runs that wait in the shared queue; the others are left as they are.

        Returns:
            How many got it.
        """
        with self._database.write() as session:
            return changes.set_priority(session, run_ids, priority)

    def holder(self, name: str) -> str | None:
        """Who holds a lease; none if nobody does, or if it has run out. Waits for whoever lets go of it at this moment."""
        with self._database.read() as session:
            row = session.scalars(queries.lease(name)).one_or_none()
            return None if row is None or row.until < self._now() else row.owner

    def hold(self, name: str, *, owner: str, lease_s: float, from_owner: str | None = None) -> bool:
        """Take a lease, or keep it for longer.

        Args:
            name: What it is for.
            owner: Who wants it.
            lease_s: Seconds for which nobody else may have it.
            from_owner: Who may lose it though it has not run out, because that process is known to be gone.

        Returns:
            Whether the owner has it now.
        """
        now = self._now()
        until = now + timedelta(seconds=lease_s)
        with self._database.write() as session:
            return changes.hold(session, name, owner=owner, from_owner=from_owner, until=until, now=now)

    def let_go(self, name: str, *, owner: str, known: Collection[str]) -> bool:
        """Give up the lease of the queue, unless a run waits that the owner does not know of.

        Whoever queues a run asks for the `holder` after it is recorded: either that finds nobody, or the holder has heard of
        the run and is still there.

        Returns:
            Whether it is given up.
        """
        with self._database.write() as session:
            row = session.scalars(queries.lease_to_end(name)).one_or_none()
            if row is None or row.owner != owner:
                return True
            if any(waiting[0] not in known for waiting in session.execute(queries.waiting_runs())):
                return False
            session.delete(row)
            return True

    def costs(self) -> dict[tuple[str, str], dict[str, JsonValue]]:
        """What was fitted: model and GPU type to coefficients, as they were saved."""
        with self._database.read() as session:
            return {(row.model, row.gpu_type): row.coefficients for row in session.scalars(queries.fitted_costs())}

    def save_costs(self, costs: Mapping[tuple[str, str], Mapping[str, JsonValue]]) -> None:
        """Keep coefficients in the place of those of before."""
        with self._database.write() as session:
            # Always in the same order, so that two writers never wait for each other.
            for (model, gpu_type), coefficients in sorted(costs.items(), key=lambda item: item[0]):
                changes.save_costs(session, model, gpu_type, coefficients)
