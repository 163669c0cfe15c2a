"""The times of jobs on a server: which GPUs they had, and whether somebody saw all that happened."""

import pytest

from cosmos_ops.following import Show
from cosmos_ops.job import SampleStarted
from cosmos_ops.remote.ssh_host import SSHHost
from cosmos_ops.runs import RunStatus
from tests.builders import a_clip, a_run, only
from tests.remote.servers import a_spec
from tests.test_timekeeping import carried_out, opened_job, statuses, workplace

from . import rig

pytestmark = pytest.mark.gpu_machines


@pytest.fixture
def place(server, home, tmp_path):
    spec = a_spec(server, tmp_path, images={"preview": rig.IMAGE}, slots=((2, 3),), workspace=str(server.workspace / "cosmos"))
    with workplace(home, host=lambda _: SSHHost(spec)) as found:
        yield found
        found.host.close()


@pytest.fixture
def clip(tmp_path):
    return a_clip(tmp_path / "clip.mp4", frame_count=2, width=64, height=48)


def test_a_job_on_a_server_is_observed_and_has_the_gpus_of_its_slot(place, clip):
    job = opened_job(place, clip, a_run(only("vis")), a_run(only("vis", seed=2)))

    timing = carried_out(place, job)

    assert statuses(place, job) == [RunStatus.COMPLETED] * 2
    assert (timing.gpus, timing.is_observed) == ("2,3", True)
    assert None not in (timing.load_s, timing.seconds, *(sample.seconds for sample in timing.samples))


class CutsTheLine(Show):
    """Stops sshd at the first sample, starts it again once it is missed, and lets the model go on when it answers."""

    def __init__(self, machine):
        self.machine, self.heard = machine, []

    def event(self, event):
        if isinstance(event, SampleStarted):
            self.machine.stop_sshd()
            self.machine.kill_connections()

    def news(self, text):
        self.heard.append(text)
        if text.startswith("Lost contact"):
            self.machine.start_sshd()
        elif text.endswith("answers again"):
            rig.let_model_go(self.machine)


def test_a_job_whose_server_was_away_for_a_while_is_not_observed(place, server, clip):
    show = CutsTheLine(server)
    job = opened_job(place, clip, a_run(only("vis")), text="a street order=wait")

    timing = carried_out(place, job, show=show)

    assert statuses(place, job) == [RunStatus.COMPLETED]
    assert any(text.endswith("answers again") for text in show.heard)
    assert not timing.is_observed
    assert timing.started_at <= timing.samples[0].started_at <= timing.samples[0].ended_at <= timing.ended_at
