"""Everything at once, at random: killed containers, cut connections and a killed dispatcher; each run gets its end once."""

import random
import time

import docker
import pytest

from cosmos_ops.owners import this_process
from cosmos_ops.runs import RunStatus
from cosmos_ops.upkeep import remove_unowned
from cosmos_ops.workplace import Workplace
from tests.builders import CONTROLS
from tests.faults.rig import assert_clean

from . import rig
from .rig import all_starts, an_offer, queue

pytestmark = pytest.mark.gpu_machines

RUNS = 60
SEED = 5
ATTACKED_S = 20.0
ALWAYS_CUT_S = (0.5, 3.0)


def kill_a_container(machine, chance):
    running = [found for found in rig.containers(machine) if found["State"] == "running"]
    if running:
        try:
            machine.docker.api.kill(chance.choice(running)["Id"])
        except docker.errors.APIError:
            # It ended by itself meanwhile.
            return


class Referee:
    """Remembers how often the model had begun to work on each run when that was seen to be complete."""

    def __init__(self, place, servers):
        self._place, self._servers = place, servers
        self.at_completion = {}

    def look(self):
        completed = [run.id for run in self._place.store.runs(limit=1000) if run.status is RunStatus.COMPLETED]
        counted = all_starts(self._servers)
        for run_id in completed:
            self.at_completion.setdefault(run_id, counted[run_id])


def test_whatever_happens_every_run_gets_its_end_once(servers, place, clip, dispatch, process, tmp_path):
    chance = random.Random(SEED)
    for number in range(RUNS):
        queue(place, clip, 1, text=f"street {number}", controls=chance.sample(CONTROLS, chance.choice((1, 1, 2))))
    offers = [an_offer(server, tmp_path, sample_s=0.3) for server in servers]
    first, referee = process(*offers), Referee(place, servers)
    rig.wait_until(lambda: len(all_starts(servers)) > 3, "the first runs at work")

    second, began = None, time.monotonic()
    while time.monotonic() < began + ATTACKED_S:
        chance.choice((kill_a_container, lambda machine, _: machine.kill_connections()))(chance.choice(servers), chance)
        if second is None and time.monotonic() > began + ATTACKED_S / 2:
            first.kill()
            second = dispatch(*offers)
        referee.look()
        time.sleep(chance.uniform(*ALWAYS_CUT_S))
    until = time.monotonic() + rig.LIMIT_S
    while second.answer is None and time.monotonic() < until:
        referee.look()
        time.sleep(0.2)
    answer = second.wait(0.0)
    referee.look()

    runs = place.store.runs(limit=1000)
    assert (len(runs), answer.waiting) == (RUNS, {})
    failed = [run for run in runs if run.status is not RunStatus.COMPLETED]
    assert {(run.status, run.failure.kind, run.breaks_alone) for run in failed} <= {(RunStatus.FAILED, "ProcessKilledError", 1)}
    assert {run_id: all_starts(servers)[run_id] for run_id in referee.at_completion} == referee.at_completion
    assert place.store.open_jobs() == []
    for server, offer in zip(servers, offers, strict=True):
        host = offer.connect()
        # What the first one had ended and not cleaned up when it was killed.
        remove_unowned(Workplace(place.store, place.results, host, this_process()))
        host.close()
        assert_clean(server, may_resume=True)
