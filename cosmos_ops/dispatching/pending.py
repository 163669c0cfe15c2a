"""The queue as a dispatch sees it: every run is read once, however often the queue is looked at."""

import time
from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import replace

from cosmos_ops.dispatching.crew import ModelMode
from cosmos_ops.dispatching.prospect import settings_of
from cosmos_ops.errors import InputError
from cosmos_ops.planning import Workload
from cosmos_ops.planning.workloads_of_runs import workload_of
from cosmos_ops.runs import RunFailure, RunStatus
from cosmos_ops.store import Store, Waiting

READ_AT_ONCE = 5_000
READ_AGAIN_S = 60.0
UNREADABLE = "this version cannot read what is stored of it or of its parent (the log says why); the one that queued it can"


class Pending:
    """The runs that wait in the shared queue."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._workloads: dict[str, Workload] = {}
        self._settings: dict[str, int] = {}
        self._parents: dict[str, str] = {}
        """Run to the run that has to be complete first."""
        self._unreadable: set[str] = set()
        self._read_again_at = time.monotonic()

    def refresh(self) -> bool:
        """Look at the queue.

        Returns:
            Whether it is another one than before.
        """
        waiting = {one.run_id: one for one in self._store.waiting()}
        gone = self._workloads.keys() - waiting.keys()
        self.forget(gone)
        self._unreadable &= waiting.keys()
        if time.monotonic() - self._read_again_at > READ_AGAIN_S:
            # Somebody may have mended them.
            self._unreadable.clear()
            self._read_again_at = time.monotonic()
        # Of a very long queue the oldest come first; the others wait anyway.
        new = sorted(waiting.keys() - self._workloads.keys() - self._unreadable)[:READ_AT_ONCE]
        self._read(new, waiting)
        known = (one for one in waiting.values() if one.run_id in self._workloads)
        moved = [one for one in known if self._workloads[one.run_id].priority != one.priority]
        for one in moved:
            self._workloads[one.run_id] = replace(self._workloads[one.run_id], priority=one.priority)
        has_ready = self._drop_parents()
        return bool(gone or new or moved or has_ready)

    def forget(self, run_ids: Iterable[str]) -> None:
        """Read these runs anew if they wait again: one that broke its process meanwhile is to run alone."""
        for run_id in run_ids:
            self._workloads.pop(run_id, None)
            self._settings.pop(run_id, None)
            self._parents.pop(run_id, None)

    def known(self) -> Collection[str]:
        """Ids of all runs that wait."""
        return self._workloads.keys() | self._unreadable

    @property
    def unreadable(self) -> Mapping[str, str]:
        """Runs that wait and cannot be read, and why they are not begun."""
        return dict.fromkeys(self._unreadable, UNREADABLE)

    def ready(self, taken: Collection[str]) -> list[Workload]:
        """The runs that could be started now, without those that are taken already."""
        return [one for run_id, one in self._workloads.items() if run_id not in taken and run_id not in self._parents]

    @property
    def settings(self) -> Mapping[str, Hashable]:
        """Run to its settings, as `prospect.settings_of` has them."""
        return self._settings

    def models(self) -> frozenset[ModelMode]:
        """What model files the runs need."""
        return frozenset((one.signature.family, mode) for one in self._workloads.values() for mode in one.modes)

    def _read(self, run_ids: Collection[str], waiting: dict[str, Waiting]) -> None:
        found = self._store.readable_runs_of_ids(run_ids)
        self._unreadable |= set(run_ids) - {run.id for run in found}
        for run in found:
            self._settings[run.id] = settings_of(run)
            self._workloads[run.id] = workload_of(run)
            parent_id = waiting[run.id].parent_id
            if parent_id is not None:
                self._parents[run.id] = parent_id

    def _drop_parents(self) -> bool:
        """Runs whose parent is complete by now are ready; those whose parent never will be end."""
        parents = {run.id: run for run in self._store.readable_runs_of_ids(set(self._parents.values()))}
        for run_id in [run_id for run_id, parent_id in self._parents.items() if parent_id not in parents]:
            self.forget([run_id])
            self._unreadable.add(run_id)
        ended = {run_id: parents[parent_id] for run_id, parent_id in self._parents.items() if parents[parent_id].status.is_final}
        for run_id, parent in ended.items():
            del self._parents[run_id]
            if parent.status is not RunStatus.COMPLETED:
                words = f"the run {parent.id}, whose video it works on, is {parent.status.value}; run that again first"
                self._store.finish(run_id, RunStatus.FAILED, failure=RunFailure.of(InputError(words)))
        return bool(ended)
