"""A run store that is away for a while: what computes goes on, and is recorded when the store is back."""

import time

import pytest

from cosmos_ops.operations import read_params
from cosmos_ops.runs import NextStage
from cosmos_ops.settings import Settings
from cosmos_ops.store import RunFilter, Store
from tests.faults.rig import assert_clean, let_model_go
from tests.store.conftest import postgresql  # noqa: F401

from . import rig
from .rig import all_starts, an_offer, done, is_at_work, queue

pytestmark = pytest.mark.gpu_machines

AWAY_S = 5.0


@pytest.fixture
def place(home, postgresql):  # noqa: F811
    with Store.open(postgresql.new_database(), read_params=read_params) as store:
        yield rig.opened_records(store, Settings().outputs_folder)


def test_what_ends_while_the_store_is_away_is_recorded_when_it_is_back(servers, place, postgresql, clip, dispatch, tmp_path):  # noqa: F811
    quick = queue(place, clip, 1, then=(NextStage("upscale", "preview", {}),))
    held = queue(place, clip, 1, text="order=wait")
    waiting = queue(place, clip, 2, controls=("edge",), text="order=wait")
    at_work = dispatch(an_offer(servers[0], tmp_path))
    rig.wait_until(lambda: is_at_work(servers[0], held[0], waiting[0]), "both slots at work")

    with postgresql.away():
        let_model_go(servers[0])
        rig.wait_until(lambda: is_at_work(servers[0], *held, *waiting), "the last sample, while the store is away")
        let_model_go(servers[0])
        time.sleep(AWAY_S)
    at_work.wait()

    upscales = place.store.runs(RunFilter(parent_id=quick[0].id), limit=10)
    assert len(upscales) == 1
    runs = [*quick, *held, *waiting, *upscales]
    assert done(place, runs)
    assert all_starts(servers) == {run.id: 1 for run in runs}
    assert_clean(servers[0], may_resume=False)


def test_nothing_is_begun_twice_when_the_store_goes_at_any_moment(servers, place, postgresql, clip, dispatch, tmp_path):  # noqa: F811
    controls = ("vis", "edge", "depth", "seg")
    runs = [run for control in controls for run in queue(place, clip, 3, controls=(control,))]
    at_work = dispatch(an_offer(servers[0], tmp_path, load_s=0.5, sample_s=0.5))
    for count in (1, 4, 8):
        rig.wait_until(lambda count=count: len(all_starts(servers)) >= count, f"{count} runs at work")
        with postgresql.away():
            time.sleep(1.0)
    at_work.wait()

    assert done(place, runs)
    assert all_starts(servers) == {run.id: 1 for run in runs}
    assert_clean(servers[0], may_resume=False)
