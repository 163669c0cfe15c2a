"""Store and results as commands reach them: as the block on the server says, or, where no server runs, as the settings do."""

from collections.abc import Iterator
from contextlib import contextmanager

from cosmos_ops.operations import read_params
from cosmos_ops.results import ResultsFolder
from cosmos_ops.settings import Settings
from cosmos_ops.store import Store
from cosmos_ops.workplace import Records
from deployments.host_blocks import reach_prefect
from deployments.server import known_server


@contextmanager
def opened_records(settings: Settings) -> Iterator[Records]:
    """Open store and results, without starting a Prefect server for that."""
    reach_prefect(settings)
    if known_server(settings) is not None:
        from flows.workplace import records

        with records() as place:
            yield place
        return
    results = ResultsFolder(settings.outputs_folder)
    results.check()
    with Store.open(settings.store_url, read_params=read_params) as store:
        yield Records(store, results)
