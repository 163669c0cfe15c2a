"""The times of a job: kept of a real run from its start to its end, and marked where nobody watched."""

import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace

import pytest

from cosmos_ops.comparisons import comparison
from cosmos_ops.cost_keeping import learn, observations, timing_of
from cosmos_ops.errors import HostUnreachableError, StoreUnreachableError
from cosmos_ops.following import LEASE_S, Follower, Show
from cosmos_ops.homecoming import complete, fail
from cosmos_ops.intake import job_of, sample_of
from cosmos_ops.job import SampleProgress, host_folder
from cosmos_ops.names import new_id
from cosmos_ops.operations import find_operation, read_params
from cosmos_ops.operations.operation import needs_little
from cosmos_ops.planning import PUBLISHED
from cosmos_ops.planning.costs import CPU
from cosmos_ops.remote.local import LocalHost
from cosmos_ops.results import ResultsFolder
from cosmos_ops.runs import VIDEO, Prompt, RunStatus
from cosmos_ops.settings import Settings
from cosmos_ops.store import Store
from cosmos_ops.timekeeping import Timekeeper
from cosmos_ops.timing import SampleTiming
from cosmos_ops.workplace import Workplace

from .builders import a_clip, a_run, only
from .store import builders

OPERATION = find_operation("inference", "preview")


class UnsteadyStore(Store):
    """A store that does not take times while it is told so."""

    is_away = False

    def set_timing(self, job_id, timing):
        if self.is_away:
            raise StoreUnreachableError("the database does not answer")
        super().set_timing(job_id, timing)


class UnsteadyHost(LocalHost):
    """A host that starts a job and then does not answer, once."""

    is_away = True

    def start(self, name, container, *, folder, labels):
        super().start(name, container, folder=folder, labels=labels)
        if self.is_away:
            self.is_away = False
            raise HostUnreachableError("the answer was lost")


@contextmanager
def workplace(home, *, store=Store, host=LocalHost):
    results = ResultsFolder(Settings().outputs_folder)
    results.check()
    with store.open(Settings().store_url, read_params=read_params) as opened:
        yield Workplace(opened, results, host(home / "workspace"), owner="tests")


def opened_job(place, clip, *runs, text="a street", has_times=True):
    """A job with these runs, claimed, with what it is expected to take."""
    prompt = place.store.add_prompt(Prompt(text=text, inputs={VIDEO: clip}))
    recorded = [place.store.add_run(replace(run, prompt_id=prompt.id, owner=place.owner)) for run in runs]
    samples = [sample_of(OPERATION, run, prompt, {VIDEO: clip}, prepared=clip.parent) for run in recorded]
    job_id = new_id("jb")
    image = place.host.image("preview", "")
    job = job_of(OPERATION, job_id, samples, place.host.paths(host_folder(job_id)), image=image)
    needs = {sample.run.id: needs_little(sample.run.params, sample.videos) for sample in samples}
    timing = timing_of("preview", needs, controls=(), gpu_type=CPU, costs=PUBLISHED, is_warm=False) if has_times else None
    assert place.store.open_job(job, host=place.host.name, owner=place.owner, lease_s=LEASE_S, timing=timing)
    return job


def carried_out(place, job, **values):
    follower = Follower(place, job, is_stopping=lambda: False, **values)
    follower.stage_in()
    complete(follower)
    return place.store.job(job.id).timing


def statuses(place, job):
    return [place.store.run(item.run_id).status for item in job.items]


@pytest.fixture
def clip(tmp_path):
    return a_clip(tmp_path / "clip.mp4", frame_count=6)


def test_every_moment_of_a_run_that_was_followed_is_kept_and_they_are_in_order(home, clip):
    with workplace(home) as place:
        job = opened_job(place, clip, *(a_run(only("vis", seed=seed)) for seed in (1, 2, 3)))

        timing = carried_out(place, job)

        assert statuses(place, job) == [RunStatus.COMPLETED] * 3
        moments = [
            timing.staging_in_at,
            timing.staged_in_at,
            timing.started_at,
            *(moment for sample in timing.samples for moment in (sample.started_at, sample.ended_at)),
            timing.ended_at,
            timing.home_at,
        ]
        assert None not in moments
        assert moments == sorted(moments)
        assert [sample.run_id for sample in timing.samples] == [item.run_id for item in job.items]
        seconds = [sample.seconds for sample in timing.samples]
        assert all(one > 0 for one in seconds)
        assert timing.load_s > 0
        assert timing.load_s + sum(seconds) <= timing.seconds
        assert (timing.is_observed, timing.gpus) == (True, "")


def test_what_a_real_job_took_is_learnt_from_and_compared_with_what_was_expected(home, clip):
    with workplace(home) as place:
        job = opened_job(place, clip, a_run(only("vis")))
        timing = carried_out(place, job)

        learn(place.store)

        (known,) = place.store.costs().values()
        assert known["sample_count"] == 1
        (row,) = comparison(place.store.recent_jobs(limit=10))
        assert (row.job_id, row.predicted_s, row.took_s) == (job.id, timing.predicted_s, timing.seconds)


CHILD = """
import sys
from pathlib import Path
from cosmos_ops.following import Follower, Show
from cosmos_ops.job import SampleProgress
from tests.test_timekeeping import workplace

class Tells(Show):
    def event(self, event):
        if isinstance(event, SampleProgress):
            print("sampling", flush=True)

with workplace(Path(sys.argv[1])) as place:
    follower = Follower(place, place.store.job(sys.argv[2]).job, is_stopping=lambda: False, show=Tells())
    follower.stage_in()
    follower.compute()
"""


def test_of_a_job_that_went_on_while_nobody_followed_it_only_what_was_seen_is_kept(home, tmp_path):
    clip = a_clip(tmp_path / "clip.mp4", frame_count=60, width=160, height=96)
    with workplace(home) as place:
        job = opened_job(place, clip, a_run(only("vis", "edge")), a_run(only("vis", seed=2)))
        command = [sys.executable, "-c", CHILD, str(home), job.id]
        with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as first:
            assert first.stdout.readline() == "sampling\n"
            first.kill()
        before = place.store.job(job.id).timing
        assert before.is_observed
        assert before.ended_at is None

        timing = carried_out(place, job, may_have_started=True)

        assert statuses(place, job) == [RunStatus.COMPLETED] * 2
        assert not timing.is_observed
        assert (timing.started_at, timing.samples[0].started_at) == (before.started_at, before.samples[0].started_at)
        assert before.started_at < timing.samples[0].ended_at <= timing.ended_at <= timing.home_at
        assert observations(place.store.recent_jobs(limit=10)) == []
        assert [row.error for row in comparison(place.store.recent_jobs(limit=10))] == [None]


def test_a_start_whose_answer_was_lost_is_no_known_start(home, clip):
    with workplace(home, host=UnsteadyHost) as place:
        job = opened_job(place, clip, a_run(only("vis")))

        timing = carried_out(place, job)

        assert statuses(place, job) == [RunStatus.COMPLETED]
        assert not timing.is_observed


def test_a_store_that_takes_no_times_does_not_harm_the_job_and_gets_them_later(home, clip):
    with workplace(home, store=UnsteadyStore) as place:
        store = place.store
        job = opened_job(place, clip, a_run(only("vis")))
        follower = Follower(place, job, is_stopping=lambda: False)
        store.is_away = True
        follower.stage_in()
        computation = follower.compute()
        assert store.job(job.id).timing.started_at is None
        store.is_away = False

        follower.times.home(follower.judge(computation).keys())

        timing = store.job(job.id).timing
        assert None not in (timing.staging_in_at, timing.started_at, timing.load_s, timing.seconds, timing.home_at)


def test_a_job_without_times_is_carried_out_as_ever(home, clip):
    with workplace(home) as place:
        job = opened_job(place, clip, a_run(only("vis")), has_times=False)

        assert carried_out(place, job) is None
        assert statuses(place, job) == [RunStatus.COMPLETED]


class Stops(Show):
    """Cancels the job at the first frame."""

    is_stopping = False

    def event(self, event):
        self.is_stopping = self.is_stopping or isinstance(event, SampleProgress)


def test_what_an_unfinished_sample_took_is_not_kept(home, tmp_path):
    clip = a_clip(tmp_path / "clip.mp4", frame_count=300, width=320, height=192)
    with workplace(home) as place:
        job = opened_job(place, clip, a_run(only("vis", "edge")))
        show = Stops()
        follower = Follower(place, job, is_stopping=lambda: show.is_stopping, show=show)
        follower.stage_in()

        complete(follower)

        timing = place.store.job(job.id).timing
        assert statuses(place, job) == [RunStatus.CANCELLED]
        assert timing.samples[0].ended_at is None
        assert timing.load_s < timing.seconds
        (observation,) = observations(place.store.recent_jobs(limit=10))
        assert observation.samples == ()
        assert [row.error for row in comparison(place.store.recent_jobs(limit=10))] == [None]


def test_a_job_that_never_got_a_container_has_no_times_of_one(home, clip):
    with workplace(home) as place:
        job = opened_job(place, clip, a_run(only("vis")))
        follower = Follower(place, job, is_stopping=lambda: True)

        assert not follower.compute().is_started
        fail(follower, HostUnreachableError("gone"))

        timing = place.store.job(job.id).timing
        assert (timing.started_at, timing.ended_at) == (None, None)
        assert timing.home_at is not None


def test_of_each_moment_the_first_time_counts(tmp_path):
    clock = builders.Clock()
    with builders.open_store(f"sqlite:///{tmp_path}/cosmos.db") as store:
        (run,) = builders.queued_runs(store, 1)
        job = builders.a_job(run.id)
        needs = {run.id: needs_little(run.params, {})}
        timing = timing_of("preview", needs, controls=(), gpu_type="", costs=PUBLISHED, is_warm=True)
        assert store.open_job(job, host="a", owner="b", lease_s=9, timing=timing)
        times = Timekeeper(store, job.id, now=clock)
        steps = [
            times.staging_in,
            times.staged_in,
            lambda: times.started(is_new=True),
            lambda: times.sample_started(run.id),
            lambda: times.sample_ended(run.id),
            times.ended,
            lambda: times.home({run.id}),
        ]

        for _ in range(2):
            for step in steps:
                clock.advance(1)
                step()
        times.lost()
        times.on("0,1")

        kept = store.job(job.id).timing
        at = [(moment - builders.START).total_seconds() for moment in (kept.staging_in_at, kept.staged_in_at, kept.started_at)]
        assert at == [1, 2, 3]
        assert kept.samples == (
            SampleTiming(run.id, timing.samples[0].size, timing.samples[0].predicted_s, *map(_after, (4, 5))),
        )
        assert (kept.ended_at, kept.home_at, kept.gpus) == (_after(6), _after(7), "0,1")
        assert kept.is_observed, "what is lost after the end changes nothing"
        assert (kept.load_s, kept.seconds, kept.predicted_load_s) == (1, 3, 1)


def _after(seconds):
    clock = builders.Clock()
    clock.advance(seconds)
    return clock.time
