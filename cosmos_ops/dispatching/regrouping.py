"""The batches of one stage on one host: a lane for each of its GPU slots, filled so that the last one ends soonest."""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from cosmos_ops.cost_keeping import known_costs, warm_files
from cosmos_ops.dispatching.crew import slot_facts
from cosmos_ops.dispatching.opening import RECENT_JOBS
from cosmos_ops.errors import HostError
from cosmos_ops.operations import find_operation
from cosmos_ops.planning import Batch, Mixing, PlanOptions, Slot, plan, regroup, workload_of
from cosmos_ops.queueing import needs_of
from cosmos_ops.runs import Queueing, Run
from cosmos_ops.sizes import Needs
from cosmos_ops.timekeeping import utc_now
from cosmos_ops.workplace import Workplace

OPTIONS = PlanOptions(mixing=Mixing.STRICT)
"""Runs that are asked for together share a process only with their equals."""


def lanes_on(place: Workplace, runs: Sequence[Run[Any]]) -> list[list[Batch]]:
    """The batches of each GPU slot of a host, in their order; a host with one slot gets all, in the order of arrival."""
    if place.host.slot_count < 2:
        return [regroup(runs)]
    try:
        slots = _slots(place, runs[0].family)
    except HostError:
        # Whoever needs the host next says so.
        return [regroup(runs)]
    known = {run.id: run for run in runs}
    workloads = [workload_of(replace(run, queueing=Queueing(_needs(place, run)))) for run in runs]
    made = plan(workloads, slots, known_costs(place.store), now_s=time.time(), options=OPTIONS)
    lanes: dict[int, list[Batch]] = defaultdict(list)
    for batch in made.batches:
        lanes[batch.index].append(Batch(batch.signature, tuple(known[run_id] for run_id in batch.run_ids)))
    # What no slot can take is refused by the host itself, with its reason.
    refused = regroup([known[run_id] for run_id in made.waiting])
    return [*(lanes[index] for index in sorted(lanes)), *[refused] * bool(refused)]


def _slots(place: Workplace, family: str) -> list[Slot]:
    host, now = place.host, utc_now()
    warm = warm_files(host.name, place.store.recent_jobs(limit=RECENT_JOBS), now)
    return [
        Slot(
            host=host.name,
            index=index,
            gpu_type=facts.gpu_type,
            families=frozenset({family}),
            gpu_count=facts.gpu_count,
            memory_gb=facts.memory_gb,
            free_at_s=now.timestamp(),
            warm=warm,
        )
        for index, facts in enumerate(slot_facts(host))
    ]


def _needs(place: Workplace, run: Run[Any]) -> Needs:
    return needs_of(find_operation(run.operation, run.family), run.params, place.videos_of(run))
