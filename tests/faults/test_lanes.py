"""One stage on a server with several slots: batches that cannot share a process compute at the same time."""

import threading

import pytest

from flows.inference import inference
from tests.builders import a_clip, only, recorded
from tests.flows import steps

from . import rig

pytestmark = [pytest.mark.gpu_machines, pytest.mark.usefixtures("prefect_api", "home")]


def test_two_batches_compute_on_two_slots_at_the_same_time(server, tmp_path):
    rig.save_block(server, "gpu-a", slots=[[0], [1]])
    clip = a_clip(tmp_path / "clip.mp4", frame_count=4)
    requests = [
        steps.a_request(clip, f"order=wait {control}", inference=[steps.ask(only(control))]) for control in ("vis", "edge")
    ]
    seen = []

    def watch():
        rig.wait_until(lambda: len(rig.starts(server)) == 2, "both batches at work")
        seen.append(sorted(job.timing.gpus for job in open_jobs()))
        rig.let_model_go(server)

    watcher = threading.Thread(target=watch)
    watcher.start()
    inference(requests, host="gpu-a")
    watcher.join()

    assert seen == [["0", "1"]]
    assert recorded().statuses() == ["completed"] * 2


def open_jobs():
    from tests.builders import opened_store

    with opened_store() as store:
        return store.open_jobs()
