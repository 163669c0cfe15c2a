"""What becomes of runs that failed in a way that a retry may mend: back into the queue, and a second failure alone is final."""

from collections.abc import Mapping

from loguru import logger

from cosmos_ops.errors import HostUnreachableError
from cosmos_ops.job import Job, NotCompleted, NotRun, Outcome
from cosmos_ops.store import Store

BREAKS_ALONE_MAX = 2
"""A run that broke its process so often without any neighbours has failed for good."""


def settled(store: Store, job: Job, outcomes: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """The outcomes of a job, with "not run" for those that are to be tried again, alone from then on."""
    is_alone = len(job.items) == 1
    after = dict(outcomes)
    for run_id, outcome in outcomes.items():
        if not isinstance(outcome, NotCompleted) or not outcome.error.retry_helps:
            continue
        is_hosts_fault = isinstance(outcome.error, HostUnreachableError)
        if is_hosts_fault or store.run(run_id).breaks_alone + is_alone < BREAKS_ALONE_MAX:
            logger.warning("Run {} goes back to the queue: {}", run_id, outcome.error)
            after[run_id] = NotRun(broke_process=not is_hosts_fault)
    return after
