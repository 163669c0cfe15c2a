"""Two simulated servers with the simulated model, and a queue."""

import pytest

from cosmos_ops.settings import Settings
from tests.builders import a_clip, opened_store
from tests.faults.rig import give_model

from . import rig


@pytest.fixture
def servers(machines):
    for machine in machines:
        give_model(machine)
    return machines


@pytest.fixture
def place(home):
    with opened_store() as store:
        yield rig.opened_records(store, Settings().outputs_folder)


@pytest.fixture
def clip(tmp_path):
    return a_clip(tmp_path / "clip.mp4", frame_count=2)


@pytest.fixture
def dispatch(place):
    """Starts a dispatcher on offers; what is at work at the end is stopped."""
    started = []

    def start(*offers, **values):
        started.append(rig.Dispatch(place, list(offers), **values).start())
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def process(place, tmp_path):
    """Starts a dispatcher on offers in a process of its own; what is at work at the end is killed."""
    started = []

    def start(*offers):
        started.append(rig.DispatchProcess.start(tmp_path / f"dispatch-{len(started)}", *offers))
        return started[-1]

    yield start
    for one in started:
        one.kill()
