"""A server with the simulated model, known to Prefect as `gpu-a`."""

import pytest

from . import rig


@pytest.fixture
def server(machine):
    rig.give_model(machine)
    return machine


@pytest.fixture
def servers(machines):
    for machine in machines:
        rig.give_model(machine)
    return machines
