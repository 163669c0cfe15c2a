"""Killed processes and cancelled flow runs, brought about at the first frame that is reported.

- a killed process is replaced once, in a new job
- a cancelled flow run leaves its runs cancelled and no process behind
- what was complete before a cancellation is kept
"""

from uuid import UUID

import psutil
import pytest
from prefect import runtime
from prefect.client.orchestration import get_client
from prefect.states import Cancelling

from flows import cancellation
from flows.inference import inference
from flows.observer import Observer, observed_by
from flows.pipeline import pipeline
from tests.builders import a_clip, kill_model_processes, left_over, only, process_groups

from . import steps


class AtFirstFrame(Observer):
    """Does something when a run reports its first frame, for so many jobs."""

    def __init__(self, what, *, times):
        self.what, self.left, self.jobs = what, times, set()

    def progressed(self, *_):
        job = self.what.job()
        if self.left and job not in self.jobs:
            self.jobs.add(job)
            self.left -= 1
            self.what()


class Kill:
    def __init__(self, home):
        self.home = home

    def job(self):
        return tuple(process_groups(self.home))

    def __call__(self):
        kill_model_processes(self.home)


class Cancel:
    """Cancels a flow run as the UI does; `flow_run` picks which."""

    def __init__(self, home, flow_run):
        self.home, self.flow_run, self.groups = home, flow_run, []

    def job(self):
        return "all"

    def __call__(self):
        self.groups = process_groups(self.home)
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(UUID(str(self.flow_run())), Cancelling())


@pytest.fixture
def long_clip(tmp_path):
    return a_clip(tmp_path / "long.mp4", frame_count=400, width=320, height=192)


@pytest.fixture
def short_clip(tmp_path):
    return a_clip(tmp_path / "short.mp4", frame_count=2, width=64, height=48)


def test_a_killed_process_is_replaced_and_the_run_completes(prefect_api, home, tmp_path):
    clip = a_clip(tmp_path / "clip.mp4", frame_count=200, width=160, height=96)

    with observed_by(AtFirstFrame(Kill(home), times=1)):
        state, found = steps.call(inference, [steps.a_request(clip)])

    assert state.is_completed(), state.message
    assert found.statuses() == ["completed"]
    assert found.video(found.runs[0])[2] == 200
    names = steps.task_names(state.state_details.flow_run_id)
    assert len([name for name in names if name.startswith("compute")]) == 2
    assert left_over(home) == []


def test_a_run_whose_process_is_killed_twice_fails_and_says_so(prefect_api, home, tmp_path):
    clip = a_clip(tmp_path / "clip.mp4", frame_count=200, width=160, height=96)
    killer = AtFirstFrame(Kill(home), times=9)

    with observed_by(killer):
        state, found = steps.call(inference, [steps.a_request(clip)])

    assert len(killer.jobs) == 2
    assert state.is_failed()
    assert found.statuses() == ["failed"]
    assert found.runs[0].failure.kind == "ProcessKilledError"
    assert "somebody outside killed the process" in state.message
    assert found.file(found.runs[0], "log").is_file()
    assert left_over(home) == []


class BreakDown:
    def job(self):
        return "all"

    def __call__(self):
        raise ZeroDivisionError("nobody thought of this")


def test_an_error_that_nobody_expected_ends_runs_and_processes_and_keeps_the_log(prefect_api, home, long_clip):
    with observed_by(AtFirstFrame(BreakDown(), times=1)):
        state, found = steps.call(inference, [steps.a_request(long_clip)])

    assert state.is_failed()
    assert found.statuses() == ["failed"]
    assert found.runs[0].failure.kind == "UnexpectedError"
    assert "ZeroDivisionError: nobody thought of this" in found.runs[0].failure.message
    assert "started" in found.file(found.runs[0], "log").read_text()
    assert left_over(home) == []


def cancelled(flow, requests, home, monkeypatch, flow_run):
    monkeypatch.setattr(cancellation, "POLL_S", 0.2)
    cancel = Cancel(home, flow_run)
    with observed_by(AtFirstFrame(cancel, times=1)):
        state, found = steps.call(flow, requests)
    assert cancel.groups, "nothing was computing"
    return state, found, cancel.groups


def lives(process_id):
    try:
        return psutil.Process(process_id).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_cancelling_ends_runs_and_processes_and_keeps_what_was_complete(prefect_api, home, long_clip, short_clip, monkeypatch):
    requests = [
        steps.a_request(long_clip, inference=[steps.ask(only("edge"))]),
        steps.a_request(short_clip, inference=[steps.ask(only("vis"))]),
    ]

    state, found, groups = cancelled(inference, requests, home, monkeypatch, lambda: runtime.flow_run.id)

    assert state.is_cancelled(), state
    assert found.statuses() == ["cancelled", "cancelled"]
    assert found.file(found.runs[0], "log").is_file()
    assert found.runs[0].outputs.video is None
    assert not any(lives(group) for group in groups)
    assert left_over(home) == []
    (seen,) = steps.flow_runs(found.runs[0].flow_run_id).values()
    assert seen.state.is_cancelled()


def test_cancelling_the_pipeline_cancels_the_stage_at_work_and_starts_no_other(prefect_api, home, long_clip, monkeypatch):
    requests = [steps.a_request(long_clip, inference=[steps.ask(only("edge"))])]

    state, found, groups = cancelled(pipeline, requests, home, monkeypatch, lambda: runtime.flow_run.root_flow_run_id)

    assert [(run.operation, run.status.value) for run in found.runs] == [("enhance", "completed"), ("inference", "cancelled")]
    assert state.is_cancelled(), state
    assert not any(lives(group) for group in groups)
    assert left_over(home) == []
