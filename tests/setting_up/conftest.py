"""Host blocks as users save them."""

import pytest

from blocks import GPUHost
from tests.remote.servers import host_key_of


@pytest.fixture
def save_host(prefect_api):
    """Saves the block of a machine."""

    def save(name, machine, **values):
        login = {"address": machine.address, "port": machine.port, "user": "root", "key_path": str(machine.keys.plain)}
        values = {"host_key": host_key_of(machine), "workspace": str(machine.workspace), **login, **values}
        GPUHost(kind="ssh", **values).save(name, overwrite=True)

    return save
