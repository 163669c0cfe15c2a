"""Waking the dispatcher: an event tells that runs wait in the shared queue, unless a dispatch is at work and sees them anyway."""

from prefect.events import emit_event

from cosmos_ops.dispatching.dispatcher import LEASE
from cosmos_ops.owners import is_gone
from cosmos_ops.store import Store

EVENT = "cosmos.runs.queued"
RESOURCE = {"prefect.resource.id": "cosmos.queue", "prefect.resource.name": "shared queue"}


def wake_dispatch(store: Store, count: int) -> bool:
    """Tell that runs were queued; call it after they are recorded.

    Args:
        store: The store whose queue it is.
        count: How many.

    Returns:
        Whether nobody was at work.
    """
    holder = store.holder(LEASE)
    if holder is not None and not is_gone(holder):
        return False
    emit_event(EVENT, resource=RESOURCE, payload={"runs": count})
    return True
