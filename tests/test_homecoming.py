"""What goes wrong while a job comes home harms the run that it belongs to, and nothing else."""

from pathlib import Path

import pytest

from cosmos_ops import homecoming, results
from cosmos_ops.errors import (
    DiskFullError,
    HostUnhealthyError,
    OutOfMemoryError,
    ParamsError,
    ProcessKilledError,
    SampleBlockedError,
    TransferError,
)
from cosmos_ops.following import Follower
from cosmos_ops.homecoming import complete, fail, record
from cosmos_ops.job import NotCompleted, NotRun
from cosmos_ops.log import LineLog
from cosmos_ops.remote.local import LocalHost
from cosmos_ops.runs import RunStatus
from cosmos_ops.staging_out import bring_home
from cosmos_ops.upkeep import reconcile

from .builders import a_clip, a_run, only
from .test_timekeeping import opened_job, statuses, workplace

COMPLETED, FAILED, QUEUED = RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.QUEUED


@pytest.fixture
def clip(tmp_path):
    return a_clip(tmp_path / "clip.mp4", frame_count=4)


def a_job(place, clip, count=3):
    return opened_job(place, clip, *(a_run(only("vis", seed=seed)) for seed in range(count)))


def staged_in(place, job):
    follower = Follower(place, job, is_stopping=lambda: False)
    follower.stage_in()
    return follower


def run_of(place, job, index):
    return place.store.run(job.items[index].run_id)


def is_over(place, job):
    return place.store.job(job.id).ended_at is not None


def fail_once_placed(monkeypatch, run_id, error):
    """The final folder of a run cannot be made."""
    real = results._put_in_place

    def put_in_place(staging, final):
        if run_id in str(final):
            raise error
        real(staging, final)

    monkeypatch.setattr(results, "_put_in_place", put_in_place)


def abandoned(place, job):
    """The process that carried it out is gone."""
    assert place.store.take_over(job.id, from_owner=place.owner, owner="gone", lease_s=-5)


def test_a_broken_disk_fails_the_run_whose_files_it_refuses_and_keeps_them_on_the_host(home, clip, monkeypatch):
    with workplace(home) as place:
        job = a_job(place, clip)
        fail_once_placed(monkeypatch, job.items[0].run_id, OSError(5, "Input/output error"))

        complete(staged_in(place, job))

        assert statuses(place, job) == [FAILED, COMPLETED, COMPLETED]
        failure = run_of(place, job, 0).failure
        assert failure.kind == "OutputsFolderError"
        assert "Input/output error" in failure.message
        assert f"stay on host {place.host.name} in {job.host_folder}" in failure.message
        assert place.host.exists(job.host_folder)
        assert place.results.job_log(job.id).read_text(), "the only copy of its log"
        assert is_over(place, job)


def test_what_nobody_foresaw_fails_one_run_and_keeps_its_outputs(home, clip, monkeypatch):
    with workplace(home) as place:
        job = a_job(place, clip)
        real = homecoming.queue_what_follows

        def queue_what_follows(place, run, outputs):
            if run.id == job.items[1].run_id:
                raise ParamsError("the next stage has no parameter 'gone'")
            return real(place, run, outputs)

        monkeypatch.setattr(homecoming, "queue_what_follows", queue_what_follows)
        complete(staged_in(place, job))

        assert statuses(place, job) == [COMPLETED, FAILED, COMPLETED]
        assert run_of(place, job, 1).failure.message == "the next stage has no parameter 'gone'"
        assert place.results.absolute(run_of(place, job, 1).outputs.video).is_file()
        assert is_over(place, job)


@pytest.mark.parametrize(
    ("error", "status"), [(SampleBlockedError("no faces"), RunStatus.BLOCKED), (OutOfMemoryError("much"), FAILED)]
)
def test_a_full_disk_does_not_hide_why_a_run_did_not_complete(error, status, home, clip, monkeypatch):
    with workplace(home) as place:
        job = a_job(place, clip, count=1)
        follower = staged_in(place, job)
        follower.compute()
        fail_once_placed(monkeypatch, job.items[0].run_id, OSError(28, "No space left on device"))
        outcomes = {job.items[0].run_id: NotCompleted(error)}

        record(follower, outcomes, bring_home(follower, outcomes))

        run = run_of(place, job, 0)
        assert (run.status, run.failure.kind) == (status, type(error).__name__)
        assert place.results.job_log(job.id).is_file(), "the only copy of its log"


def test_a_cancelled_run_stays_cancelled_when_the_host_refuses_something_then(home, tmp_path, monkeypatch):
    with workplace(home) as place:
        job = a_job(place, a_clip(tmp_path / "long.mp4", frame_count=300, width=320, height=192), count=1)
        follower = staged_in(place, job)
        place.store.request_stop([job.items[0].run_id])
        real, calls = LocalHost.read, []

        def read(self, path):
            calls.append(path)
            if len(calls) == 1:
                raise TransferError("refused")
            return real(self, path)

        monkeypatch.setattr(LocalHost, "read", read)
        with pytest.raises(TransferError) as refused:
            complete(follower)
        fail(follower, refused.value)

        assert statuses(place, job) == [RunStatus.CANCELLED]


def test_a_log_that_finds_no_place_keeps_no_run_from_the_queue(home, clip, monkeypatch):
    with workplace(home) as place:
        job = a_job(place, clip)
        follower = staged_in(place, job)
        outcomes = {**follower.judge(follower.compute()), job.items[2].run_id: NotRun()}

        def full(self, run_id, job_id):
            raise DiskFullError("No space left")

        monkeypatch.setattr(results.ResultsFolder, "keep_log", full)
        record(follower, outcomes, bring_home(follower, outcomes))

        assert statuses(place, job) == [COMPLETED, COMPLETED, QUEUED]
        assert place.results.job_log(job.id).is_file(), "the only copy of its log"


def test_a_whole_log_that_finds_no_place_costs_nothing_that_came_home_before(home, clip, monkeypatch):
    def full(target, content):
        raise DiskFullError(f"No space left for {target}")

    with workplace(home) as place:
        job = a_job(place, clip)
        monkeypatch.setattr(results, "write_file", full)

        complete(staged_in(place, job))

        assert statuses(place, job) == [COMPLETED] * 3
        assert is_over(place, job)
        assert "Finished" in place.results.job_log(job.id).read_text(), "the only whole copy of its log"


def test_a_torn_line_of_the_gpu_log_costs_nothing(home, clip):
    with workplace(home) as place:
        job = a_job(place, clip)
        follower = staged_in(place, job)
        place.results.gpu_log(job.id).write_text("1700000000.10,0, 5, 100, 1000, 40, 90\n1700000005.1700000010.10,0, 5, 100\n")

        complete(follower)

        assert statuses(place, job) == [COMPLETED] * 3


class Keeping(LocalHost):
    """A host that removes no container."""

    kept = ""

    def remove(self, name):
        if self.kept in name:
            raise HostUnhealthyError("docker refuses")
        super().remove(name)


def test_nothing_after_the_end_of_a_job_can_fail_it(home, clip, monkeypatch):
    unlink = Path.unlink

    def refuse(self, *arguments, **values):
        if self.suffix == ".log":
            raise PermissionError(13, "somebody reads it", str(self))
        unlink(self, *arguments, **values)

    with workplace(home) as place:
        job = a_job(place, clip)
        follower = staged_in(place, job)
        monkeypatch.setattr(Path, "unlink", refuse)
        complete(follower)
        assert (statuses(place, job), is_over(place, job)) == ([COMPLETED] * 3, True)

    with workplace(home, host=Keeping) as place:
        job = a_job(place, clip)
        complete(staged_in(place, job))
        assert (statuses(place, job), is_over(place, job)) == ([COMPLETED] * 3, True)


def test_one_job_that_cannot_be_looked_after_leaves_the_others_alone(home, clip, monkeypatch):
    with workplace(home) as place:
        jobs = [a_job(place, clip, count=1) for _ in range(3)]
        for job in jobs:
            staged_in(place, job).compute()
            abandoned(place, job)
        real = homecoming.record

        def record_but_one(follower, outcomes, home):
            if follower.job.id == jobs[0].id:
                raise ZeroDivisionError("nobody thought of this")
            real(follower, outcomes, home)

        with monkeypatch.context() as patch:
            patch.setattr(homecoming, "record", record_but_one)
            found = reconcile(place, waits=False)

        assert {run.id for run in found.brought_home} == {job.items[0].run_id for job in jobs[1:]}
        assert [statuses(place, job) for job in jobs] == [[RunStatus.RUNNING], [COMPLETED], [COMPLETED]]
        abandoned(place, jobs[0])
        assert len(reconcile(place, waits=False).brought_home) == 1
        assert statuses(place, jobs[0]) == [COMPLETED]


def test_a_container_that_cannot_be_removed_leaves_the_others_alone(home, clip):
    with workplace(home, host=Keeping) as place:
        over, left = a_job(place, clip, count=1), a_job(place, clip, count=1)
        for job in (over, left):
            staged_in(place, job).compute()
        place.store.end_job(over.id)
        abandoned(place, left)
        place.host.kept = over.id

        assert len(reconcile(place, waits=False).brought_home) == 1
        assert statuses(place, left) == [COMPLETED]


def test_a_log_outlives_a_disk_that_takes_nothing_for_a_while(tmp_path):
    path = tmp_path / "folder" / "job.log"
    path.parent.write_text("a file in the place of the folder")
    with LineLog(path) as log:
        log.add("first")
        log.add("second")
        path.parent.unlink()
        log.add("third")
        log.add("fourth")

    assert path.read_text() == "\n[2 lines are missing here: the disk took none]\nthird\nfourth\n"

    with LineLog(path) as log:
        log.add("fifth")
        log.add("sixth")
    assert path.read_text() == "fifth\nsixth\n"

    with LineLog(Path("/dev/full")) as log:
        log.add("first")


def test_a_gap_at_the_end_of_a_log_is_said(tmp_path):
    path = tmp_path / "folder" / "job.log"
    path.parent.write_text("a file in the place of the folder")
    with LineLog(path) as log:
        log.add("first")
        path.parent.unlink()

    assert path.read_text() == "\n[1 lines are missing here: the disk took none]\n"


def test_a_job_whose_log_finds_no_place_computes_to_its_end(home, clip, monkeypatch):
    with workplace(home) as place:
        job = a_job(place, clip)
        follower = staged_in(place, job)
        place.results.job_log(job.id).mkdir()

        computation = follower.compute()

        assert computation.exit.code == 0
        assert follower.last_lines
        assert {type(one).__name__ for one in follower.judge(computation).values()} == {"Completed"}


def test_a_job_that_fails_while_nothing_can_be_written_ends_with_the_reason(home, clip):
    with workplace(home) as place:
        job = a_job(place, clip, count=1)
        place.results.job_log(job.id).mkdir()

        fail(Follower(place, job, is_stopping=lambda: False), ProcessKilledError("no image"))

        assert (statuses(place, job), run_of(place, job, 0).failure.message) == ([FAILED], "no image")
        assert is_over(place, job)


def test_a_run_that_was_to_end_is_cancelled_though_its_job_could_not_start(home, clip):
    with workplace(home) as place:
        job = a_job(place, clip, count=2)
        place.store.request_stop([job.items[0].run_id])

        fail(Follower(place, job, is_stopping=lambda: False), HostUnhealthyError("no image"))

        assert statuses(place, job) == [RunStatus.CANCELLED, FAILED]
