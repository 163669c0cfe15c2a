"""Who may do something to a job: its results are never replaced by those of a job that has lost the run."""
# ruff: noqa: ARG002

import threading
import time
from types import SimpleNamespace

import pytest

from cosmos_ops import homecoming, staging_out
from cosmos_ops.dispatching import dispatcher
from cosmos_ops.dispatching.assignments import Assignment
from cosmos_ops.dispatching.bench import Bench
from cosmos_ops.dispatching.dispatcher import LEASE, Dispatcher
from cosmos_ops.dispatching.lives import Lives
from cosmos_ops.dispatching.work import PlainCarrier
from cosmos_ops.errors import HostUnhealthyError, JobTakenOverError, ProcessKilledError, StoreUnreachableError
from cosmos_ops.following import LEASE_S, Follower
from cosmos_ops.job import ContainerExit, NotCompleted
from cosmos_ops.names import new_id
from cosmos_ops.results import ResultsFolder, gather
from cosmos_ops.runs import Prompt, Queueing, RunStatus
from cosmos_ops.sizes import Needs, SampleSize
from cosmos_ops.store import Store
from cosmos_ops.workplace import Records, Workplace
from tests.builders import a_run, opened_store
from tests.store.builders import a_job

ME, OTHER = "me", "another"


@pytest.fixture
def place(home, tmp_path):
    with opened_store() as store:
        results = ResultsFolder(tmp_path / "out")
        results.check()
        yield Records(store, results)


def a_claimed_job(place, *, owner=ME):
    """A job with one run of the shared queue."""
    prompt = place.store.add_prompt(Prompt("a street"))
    queueing = Queueing(Needs(SampleSize(frames=1)))
    run = place.store.add_run(a_run(prompt_id=prompt.id, request_key=new_id("rq"), queueing=queueing))
    job = a_job(run.id)
    assert place.store.open_job(job, host="gpu-a", owner=owner, lease_s=LEASE_S)
    return job, run


class Refusing:
    """A host that runs no job."""

    name = "gpu-a"
    slot_count = 1

    def find(self, labels):
        return []

    def check(self, container, inputs):
        raise HostUnhealthyError("no image")

    def remove_folder(self, folder):
        pass

    def remove(self, name):
        pass


class Computing(Refusing):
    """A host where the container of every job runs."""

    def __init__(self):
        self.attached = threading.Event()

    def find(self, labels):
        return [SimpleNamespace(is_started=True, labels={})]

    def start(self, *arguments, **values):
        self.attached.set()

    def gpu_figures(self, name):
        return ""

    def follow(self, *arguments, **values):
        return ContainerExit(0)


def following(place, job, host=None):
    return Follower(Workplace(place.store, place.results, host or Refusing(), ME), job, lambda: False)


def test_a_run_that_went_to_another_job_is_left_to_that(place):
    first, run = a_claimed_job(place)
    place.store.requeue([run.id], job_id=first.id)
    second = a_job(run.id)
    assert place.store.open_job(second, host="gpu-b", owner=ME, lease_s=LEASE_S)
    for job in (first, second):
        place.results.job_log(job.id).write_text(job.id)
    place.results.staging_folder(run).mkdir()
    (place.results.staging_folder(run) / "prompt.txt").write_text("the good result")
    made = gather(place.results, place.store.run(run.id), place.root_prompt(run.prompt_id), job=second, files={}, inputs={})
    place.store.finish(run.id, RunStatus.COMPLETED, outputs=made, job_id=second.id)

    follower = following(place, first)
    outcomes = {run.id: NotCompleted(ProcessKilledError("killed"))}
    homecoming.record(follower, outcomes, staging_out.bring_home(follower, outcomes))

    assert place.store.run(run.id).status is RunStatus.COMPLETED
    assert place.results.absolute(made.prompt).read_text() == "the good result"
    assert place.store.job(first.id).ended_at is not None


def test_who_has_lost_a_job_brings_nothing_home_and_records_nothing(place):
    job, run = a_claimed_job(place)
    follower = following(place, job)
    assert place.store.take_over(job.id, from_owner=ME, owner=OTHER, lease_s=LEASE_S)

    outcomes = {run.id: NotCompleted(ProcessKilledError("killed"))}
    for step in (lambda: staging_out.bring_home(follower, outcomes), lambda: homecoming.record(follower, outcomes, {})):
        with pytest.raises(JobTakenOverError, match=f"job {job.id} is carried out by another process now"):
            step()
    with pytest.raises(JobTakenOverError):
        follower.is_cancelled()

    assert place.store.run(run.id).status is RunStatus.RUNNING


def test_a_job_that_has_its_slot_is_followed_at_once_though_others_wait(place):
    """After the run store was away, say. The other one waits for that very slot."""
    job, _ = a_claimed_job(place)
    waiting, _ = a_claimed_job(place)
    assert place.store.wait_for_slot(job.id) == 0
    place.store.got_slot(job.id)
    assert place.store.wait_for_slot(waiting.id) == 0

    host = Computing()
    following_it = threading.Thread(target=following(place, job, host).compute, daemon=True)
    following_it.start()

    assert host.attached.wait(10.0)
    following_it.join(10.0)


def test_a_job_that_was_taken_over_before_it_had_started_may_be_refused(place):
    job, run = a_claimed_job(place)
    member = SimpleNamespace(host=Refusing(), name="gpu-a")
    lives = Lives(place, ME, lambda _: PlainCarrier(), lambda: False, Bench(), lambda: None, flow_run_id="")

    lives.begin(Assignment(("gpu-a", 0), (run.id,), job=job), member)

    until = time.monotonic() + 10.0
    while place.store.run(run.id).status is RunStatus.RUNNING:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert place.store.run(run.id).status is RunStatus.QUEUED


def test_a_lease_that_was_lost_while_the_store_was_away_is_noticed_at_once(place, monkeypatch):
    at_work = Dispatcher(place, ME, offers=lambda: (), carrier=None, is_stopping=lambda: False)
    steps = []
    monkeypatch.setattr(at_work, "_step", lambda: steps.append(1))
    assert place.store.hold(LEASE, owner=ME, lease_s=0.1)
    with monkeypatch.context() as patch:
        patch.setattr(Store, "hold", answers_nobody)
        assert not at_work._is_over()
    time.sleep(0.2)
    assert place.store.hold(LEASE, owner=OTHER, lease_s=dispatcher.LEASE_S)

    assert at_work._is_over()
    assert steps == []


def answers_nobody(*arguments, **values):
    raise StoreUnreachableError("the run store does not answer")
