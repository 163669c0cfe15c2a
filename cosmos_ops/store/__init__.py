"""The run store: the only package that touches the database; prompts, runs and jobs go in and come out as plain data."""

from cosmos_ops.store.changes import Broke
from cosmos_ops.store.queries import RunFilter
from cosmos_ops.store.queue_store import Waiting
from cosmos_ops.store.records import JobRecord, ReadParams
from cosmos_ops.store.store import Store

__all__ = ["Broke", "JobRecord", "ReadParams", "RunFilter", "Store", "Waiting"]
