"""From block names to the workplace: store, results and host of a flow."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from blocks import RunStore
from cosmos_ops.owners import this_process
from cosmos_ops.workplace import Records, Workplace
from flows.hosts import choose, connected

DEFAULT_STORE = "default"


@contextmanager
def records() -> Iterator[Records]:
    """Open store and results, without any host.

    Raises:
        OutputsFolderError: Results cannot be written.
    """
    block = _run_store()
    results = block.results()
    results.check()
    with block.open() as store:
        yield Records(store, results)


@contextmanager
def workplace(host: str, family: str) -> Iterator[Workplace]:
    """Open everything that a stage needs, and close it at the end.

    Raises:
        HostUnknownError: There is no host block of that name, or none that has the family.
        OutputsFolderError: Results cannot be written.
    """
    with records() as known:
        chosen = choose(host, family, known.store)
        try:
            yield Workplace(known.store, known.results, chosen, owner=this_process())
        finally:
            chosen.close()


@contextmanager
def workplace_at(host: str) -> Iterator[Workplace]:
    """As `workplace`, at the host of a name, whatever it has and however it is."""
    with records() as known, connected(host) as found:
        yield Workplace(known.store, known.results, found, owner=this_process())


def _run_store() -> RunStore:
    try:
        return cast(RunStore, RunStore.load(DEFAULT_STORE))
    except ValueError:
        # Nobody has saved one: settings and defaults hold.
        return RunStore()
