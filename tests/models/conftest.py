"""Simulated servers that hold the simulated models, known to Prefect."""

import pytest

from tests.faults.conftest import forget_hosts

from . import rig


@pytest.fixture(autouse=True)
def _no_hosts_are_left(request):
    """Tests of other files share the Prefect server, and there `auto` must not find a server that is gone."""
    uses_prefect = "prefect_api" in request.fixturenames
    if uses_prefect:
        request.getfixturevalue("prefect_api")
        forget_hosts()
    yield
    if uses_prefect:
        forget_hosts()


@pytest.fixture
def server(machine, prefect_api, home):
    """One server with all families."""
    rig.make_ready(machine, "gpu-a", *rig.FAMILIES)
    return machine
