"""Simulated servers that hold the simulated models, known to Prefect."""

import pytest

from . import rig


@pytest.fixture
def server(machine, prefect_api, home):
    """One server with all families."""
    rig.make_ready(machine, "gpu-a", *rig.FAMILIES)
    return machine
