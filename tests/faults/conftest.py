"""A server with the simulated model, known to Prefect as `gpu-a`."""

import pytest

from blocks import GPUHost

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


def forget_hosts():
    from flows.hosts import saved_hosts

    for name in saved_hosts():
        GPUHost.delete(name)


@pytest.fixture
def server(machine):
    rig.give_model(machine)
    return machine


@pytest.fixture
def servers(machines):
    for machine in machines:
        rig.give_model(machine)
    return machines
