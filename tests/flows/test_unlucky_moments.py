"""What is refused at an unlucky moment of a flow harms no other run, and nothing that is complete counts as failed."""

import logging
import sys
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace

import pytest

from cosmos_ops import following, homecoming, results
from cosmos_ops.errors import HostUnhealthyError, InputError, StoreUnreachableError
from cosmos_ops.following import Follower
from cosmos_ops.owners import this_process
from cosmos_ops.remote.host import JOB_LABEL
from cosmos_ops.remote.local import LocalHost
from cosmos_ops.runs import RunStatus
from cosmos_ops.settings import Settings
from cosmos_ops.staging_out import gather
from cosmos_ops.store import Store
from flows import cancellation, dispatch_report, stage, tasks
from flows.dispatch import dispatch
from flows.inference import inference
from flows.observer import Observer, observed_by
from flows.pipeline import pipeline
from flows.submit import submit
from tests.builders import a_clip, a_run, left_over, only, opened_store
from tests.test_timekeeping import opened_job, statuses, workplace

from . import steps

pytestmark = pytest.mark.usefixtures("prefect_api")
NOT_WAITED_FOR = {"records"}
"""Who opens the store; before anything is recorded a flow may end with the reason."""


@pytest.fixture
def clip(tmp_path):
    return a_clip(tmp_path / "clip.mp4", frame_count=2)


def requests(clip, count=4):
    """Two batches of runs."""
    controls = [only("edge"), only("vis")]
    return [
        steps.a_request(clip, f"street {number}", inference=[steps.ask(controls[number % 2])], name=f"street {number}")
        for number in range(count)
    ]


def caller():
    """The function of ours that asks the store."""
    frame = sys._getframe(2)
    while frame is not None:
        path, name = frame.f_code.co_filename, frame.f_code.co_name
        is_ours = ("/cosmos_ops/" in path or "/flows/" in path) and "/store/" not in path and "/tests/" not in path
        if is_ours and name not in ("<lambda>", "<listcomp>", "<dictcomp>", "when_it_answers", "_patiently"):
            return f"{path.rpartition('/')[2]} {name}"
        frame = frame.f_back
    return ""


def test_a_store_that_is_away_once_wherever_it_is_asked_costs_nothing(home, clip, monkeypatch):
    monkeypatch.setattr(following, "ASK_S", 0.01)
    for task in (tasks.stage_in, tasks.compute, tasks.stage_out, tasks.record):
        monkeypatch.setattr(task, "retry_delay_seconds", [0.01] * tasks.RETRIES)
    places: set[tuple[str, str]] = set()

    def away_once(name, method):
        def asked(self, *arguments, **values):
            place = (name, caller())
            if place not in places and place[1] and place[1].split()[1] not in NOT_WAITED_FOR:
                places.add(place)
                raise StoreUnreachableError(f"away for {place}")
            return method(self, *arguments, **values)

        return asked

    for name in dir(Store):
        method = getattr(Store, name)
        if callable(method) and not name.startswith("_") and name not in ("open", "close", "runs_of_request", "runs", "prompt"):
            monkeypatch.setattr(Store, name, away_once(name, method))
    state, _ = steps.call(inference, requests(clip))
    monkeypatch.undo()

    with steps.home_folder(home), opened_store() as store:
        counts = Counter(run.status for run in store.runs(limit=100))
        assert store.open_jobs() == []
    assert counts == {RunStatus.COMPLETED: 4}
    assert len(places) > 20, sorted(places)
    assert state.is_completed(), state.message
    assert left_over(home) == []


def test_a_job_that_can_neither_be_followed_nor_ended_leaves_the_others_alone(home, clip, monkeypatch):
    follow, names = LocalHost.follow, []

    def refuse_first(self, name, **values):
        names.append(name)
        if name == names[0]:
            raise HostUnhealthyError("docker refuses")
        return follow(self, name, **values)

    def refuse(self, name, *, grace_s):
        raise HostUnhealthyError("docker refuses to stop")

    monkeypatch.setattr(LocalHost, "follow", refuse_first)
    monkeypatch.setattr(LocalHost, "stop", refuse)
    state, found = steps.call(inference, requests(clip))

    assert state.is_failed()
    counts = Counter(found.statuses())
    assert counts["completed"] == 2, counts
    assert counts["queued"] == 0, counts


def test_a_result_that_is_moved_away_at_once_is_no_failure(home, clip):
    class Takes(Observer):
        def ended(self, run):
            if run.outputs.contact_sheet is not None:
                (Settings().outputs_folder / run.outputs.contact_sheet).unlink()

    with observed_by(Takes()):
        state, found = steps.call(inference, requests(clip))

    assert state.is_completed(), state.message
    assert found.statuses() == ["completed"] * 4


@pytest.mark.parametrize("every_s", [0.0, 600.0])
def test_a_picture_of_a_dispatch_that_cannot_be_written_is_no_failure(every_s, home, clip, monkeypatch):
    monkeypatch.setattr(dispatch_report, "PICTURE_EVERY_S", every_s)
    submit(requests(clip))
    (Settings().outputs_folder / "dispatches").write_text("a file in the place of the folder")

    state, found = steps.call(dispatch)

    assert state.is_completed(), state.message
    assert set(found.statuses()) == {"completed"}


@pytest.mark.parametrize("content", [b"a street\x00 at night", b"a caf\xe9 at night"])
def test_an_enhanced_text_that_no_database_keeps_costs_no_other_run(content, home, clip, monkeypatch):
    spoilt = []

    def spoil_first(place, run, *arguments, **values):
        outputs = gather(place, run, *arguments, **values)
        if outputs.prompt is not None and (not spoilt or run.id in spoilt):
            spoilt.append(run.id)
            place.absolute(outputs.prompt).write_bytes(content)
        return outputs

    monkeypatch.setattr("cosmos_ops.staging_out.gather", spoil_first)
    state, found = steps.call(pipeline, requests(clip), stages=["enhance", "inference"])

    assert spoilt
    assert state.is_completed(), state.message
    assert found.statuses() == ["completed"] * 8
    assert any(prompt.text in ("a street at night", "a caf\ufffd at night") for prompt in found.prompts.values())


FLOW_RUN = "00000000-0000-0000-0000-000000000001"


@contextmanager
def this_machine(home):
    with workplace(home, host=lambda _: LocalHost(Settings().workspace_folder)) as place:
        yield replace(place, owner=this_process())


def a_job_of_the_flow(place, clip, seed):
    return opened_job(place, clip, a_run(only("vis", "edge", seed=seed), flow_run_id=FLOW_RUN))


def test_one_job_that_cannot_be_ended_keeps_no_other_container_alive(home, clip, tmp_path, monkeypatch):
    long = a_clip(tmp_path / "long.mp4", frame_count=900, width=480, height=272)
    with this_machine(home) as place:
        jobs = [a_job_of_the_flow(place, one, seed) for seed, one in enumerate((clip, long))]
        for job in jobs:
            Follower(place, job, is_stopping=lambda: False).stage_in()
            place.host.start(job.container_name, job.container, folder=job.host_folder, labels={JOB_LABEL: job.id})
        prompt_id = place.store.run(jobs[0].items[0].run_id).prompt_id
        waits = place.store.add_run(a_run(only("vis"), prompt_id=prompt_id, flow_run_id=FLOW_RUN, owner=place.owner))
        judge = Follower.judge

        def break_off_once(self, computation):
            if self.job.id == jobs[0].id:
                raise ZeroDivisionError("nobody thought of this")
            return judge(self, computation)

        monkeypatch.setattr(Follower, "judge", break_off_once)
        cancellation.fail_runs(place, FLOW_RUN, ValueError("broken"))

        assert statuses(place, jobs[1]) == [RunStatus.FAILED]
        assert place.store.run(waits.id).status is RunStatus.FAILED
        assert not [one for one in place.host.find({JOB_LABEL: jobs[1].id}) if one.exit is None]


def test_a_host_that_nobody_knows_any_more_keeps_nothing_else_from_being_cancelled(home, clip):
    with this_machine(home) as place:
        place.host.name = "forgotten"
        lost = a_job_of_the_flow(place, clip, 1)
        place.host.name = "local"
        job = a_job_of_the_flow(place, clip, 2)

        cancellation.cancel_runs(place, FLOW_RUN)

        assert statuses(place, job) == [RunStatus.CANCELLED]
        assert statuses(place, lost) == [RunStatus.RUNNING]


def test_no_picture_is_worth_a_run(home, clip, monkeypatch):
    def refuse(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(results, "write_thumbnail", refuse)
    state, found = steps.call(inference, requests(clip, count=1))

    assert state.is_completed(), state.message
    assert found.file(found.runs[0], "video").is_file()


class NotCancelled:
    """Nobody cancels anything."""

    def is_cancelled(self):
        return False


@pytest.mark.parametrize("is_lost", [False, True])
def test_jobs_that_are_taken_up_while_the_store_goes_away_are_all_found(is_lost, home, clip, monkeypatch):
    monkeypatch.setattr(following, "ASK_S", 0.01)
    take_over, calls = Store.take_over, []

    def away_once(self, job_id, **values):
        calls.append(job_id)
        if len(calls) == 2 and not is_lost:
            raise StoreUnreachableError("away")
        answer = take_over(self, job_id, **values)
        if len(calls) == 2:
            raise StoreUnreachableError("the answer was lost")
        return answer

    with this_machine(home) as place:
        jobs = [a_job_of_the_flow(place, clip, seed) for seed in range(2)]
        for job in jobs:
            assert place.store.take_over(job.id, from_owner=place.owner, owner="gone", lease_s=-5)
        runs = [place.store.run(job.items[0].run_id) for job in jobs]
        monkeypatch.setattr(Store, "take_over", away_once)
        monkeypatch.setattr(stage, "get_run_logger", lambda: logging.getLogger(__name__))

        found = list(stage.Stage("inference", "preview", place, NotCancelled())._jobs_left_open(runs))

        assert [one.job.id for one in found] == [job.id for job in jobs]


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_request_that_is_no_good_is_recorded_once_though_the_store_goes_away(is_lost, home, clip, monkeypatch):
    monkeypatch.setattr(following, "ASK_S", 0.01)
    finish, calls = Store.finish, []

    def away_once(self, *arguments, **values):
        calls.append(arguments)
        if len(calls) == 1 and not is_lost:
            raise StoreUnreachableError("away")
        answer = finish(self, *arguments, **values)
        if len(calls) == 1:
            raise StoreUnreachableError("the answer was lost")
        return answer

    monkeypatch.setattr(Store, "finish", away_once)
    monkeypatch.setattr(stage.Stage, "_problem", lambda *_: InputError("these parameters make no sense"))
    _, found = steps.call(inference, requests(clip, count=1))

    assert [run.failure and run.failure.message for run in found.runs] == ["these parameters make no sense"]


def test_a_store_that_is_waited_for_is_said_once_and_makes_no_host_suspect(home, clip, monkeypatch):
    monkeypatch.setattr(following, "ASK_S", 0.01)
    begin, calls = tasks.lanes_on, []

    def away(*arguments):
        calls.append(arguments)
        if len(calls) < 10:
            raise StoreUnreachableError("the run store does not answer")
        return begin(*arguments)

    def refuse(self, *arguments, **values):
        raise HostUnhealthyError("no room")

    tries = []

    def fail(follower, error):
        tries.append(error)
        if len(tries) < 10:
            raise StoreUnreachableError("the run store does not answer")
        homecoming.fail(follower, error)

    monkeypatch.setattr(tasks, "lanes_on", away)
    monkeypatch.setattr(LocalHost, "check", refuse)
    monkeypatch.setattr(stage, "fail", fail)
    state, found = steps.call(inference, requests(clip, count=1))

    assert found.statuses() == ["failed"]
    flow_run_id = state.state_details.flow_run_id
    assert len([name for name in steps.task_names(flow_run_id) if name.startswith("regroup")]) == 1
    assert len([line for line in steps.log_messages(flow_run_id) if "It is waited for" in line]) == 2
    with opened_store() as store:
        assert store.faults("local", within_s=600) == ["no room"]


def test_what_cannot_be_learnt_from_is_passed_over(home, clip, monkeypatch):
    def learn(store):
        raise StoreUnreachableError("no such column")

    monkeypatch.setattr(stage, "learn", learn)
    state, _ = steps.call(inference, requests(clip, count=1))

    assert state.is_completed(), state.message
