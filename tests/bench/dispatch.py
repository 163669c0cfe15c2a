"""A real dispatch: 64 runs of 5 signatures on two simulated servers with two slots each, through Prefect's flows.

The simulated model takes the published seconds, scaled. What it costs is learnt from 30 other runs first. The lower bound is
worked out with the seconds that the model really takes, and with those that were learnt.
"""

import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from loguru import logger
from prefect.testing.utilities import prefect_test_harness

from cosmos_ops.comparisons import comparison, median_error
from cosmos_ops.cost_keeping import known_costs
from cosmos_ops.dispatching.prospect import prospect, slots_now
from cosmos_ops.planning import CostModel, Plan, PlanOptions, Slot, Workload, plan
from cosmos_ops.planning.baselines import one_by_one
from cosmos_ops.planning.bounds import makespan_bound
from cosmos_ops.planning.workloads_of_runs import workload_of
from cosmos_ops.runs import RunStatus
from cosmos_ops.store import JobRecord
from cosmos_ops.timekeeping import utc_now
from cosmos_ops.timelines import busy_share, headline, last_start_s, makespan_s, timeline, write_picture
from flows.dispatch import dispatch, offers
from flows.submit import submit
from flows.workplace import records
from tests.bench import dispatch_rig as rig
from tests.bench import waking

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "dispatch.png"
BATCH_MINUTES_MAX = 10
"""Two hours, scaled."""
LEARNT_RUNS_MAX = 2
"""Runs of a batch while costs are learnt, for more than a few loads."""
BUSY_MIN, OVER_BOUND_MAX = 0.95, 1.08


def main() -> None:
    """Print all figures."""
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    with rig.machines() as machines, tempfile.TemporaryDirectory() as folder:
        with home(Path(folder) / "dispatch"), prefect_test_harness(server_startup_timeout=120):
            rig.save_hosts(machines, rig.environment())
            learn(Path(folder))
            measured(Path(folder)).show()
        for machine in machines:
            machine.make_clean()
        with home(Path(folder) / "waking"):
            waking.show(machines, Path(folder))


@contextmanager
def home(folder: Path):
    """A Cosmos home folder of this part alone."""
    os.environ["COSMOS_HOME"] = str(folder)
    folder.mkdir()
    yield
    del os.environ["COSMOS_HOME"]


def learn(folder: Path) -> None:
    """A first dispatch, with costs that are off by the scale."""
    submit(rig.requests(rig.LEARNT_FROM, folder), stages=["inference"], family=rig.FAMILY)
    dispatch(batch_runs_max=LEARNT_RUNS_MAX)
    with records() as place:
        count = sum(run.status is RunStatus.COMPLETED for run in place.store.runs(limit=1000))
        before = median_error(comparison(place.store.recent_jobs(limit=100)))
        costs = known_costs(place.store).of(rig.FAMILY, rig.GPU)
    print(
        f"learnt from {count} runs, all seconds a {rig.SCALE:g}th of the published ones "
        f"(median error before: {100 * before:.0f} %): "
        f"a pass {1000 * costs.call_s:.0f} ms (true {1000 * rig.scaled().call_s:.0f}), "
        f"load of one part {costs.load_s(1, is_warm=False):.1f} s cold, {costs.load_s(1, is_warm=True):.1f} s warm "
        f"(true {rig.scaled().load_s(1, is_warm=False):.1f}, {rig.scaled().load_s(1, is_warm=True):.1f})"
    )


@dataclass(frozen=True)
class Measured:
    """A dispatch and what was known before it."""

    runs: Sequence[Workload]
    slots: Sequence[Slot]
    fitted: CostModel
    planned: Plan
    began: datetime
    jobs: Sequence[JobRecord]

    def show(self) -> None:
        """Print what it comes to, and draw it."""
        shown = timeline(self.jobs, label=signature_of)
        whole_s = (max(ended(job) for job in self.jobs) - self.began).total_seconds()
        busy = busy_share(shown, end_s=last_start_s(shown))
        true_s, fitted_s = (
            makespan_bound(self.runs, self.slots, costs, self.began.timestamp()) for costs in (rig.true_costs(), self.fitted)
        )
        write_picture(shown, PICTURE)
        print(f"dispatch: {headline(shown)} ({os.cpu_count()} cores, load average {os.getloadavg()[1]:.1f})")
        print(f"    GPUs busy until the queue is empty: {100 * busy:.1f} % ({verdict(busy > BUSY_MIN)}: above 95 %)")
        print(
            f"    until the last process has ended, since the flow began {whole_s:.1f} s, since staging in began "
            f"{makespan_s(shown):.1f} s; lower bound by the true seconds {true_s:.1f} s, by the learnt ones {fitted_s:.1f} s: "
            f"{whole_s / true_s:.3f} and {whole_s / fitted_s:.3f} ({verdict(whole_s <= OVER_BOUND_MAX * true_s)}: 1.08)"
        )
        self._show_loads()
        self._show_plan_quality(true_s)
        self._show_errors()
        self._show_gaps()
        self._show_lost(shown_s=whole_s)
        self._show_one_by_one(whole_s)

    def _show_loads(self) -> None:
        planned = sorted((batch.host, signature_text(batch, self.runs)) for batch in self.planned.batches)
        done = sorted((job.host, signature_of(job)) for job in self.jobs)
        same = "each on the host that was planned" if planned == done else f"planned {planned}, happened {done}"
        print(
            f"    loads: {len(planned)} planned at the start, {len(done)} happened ({verdict(len(planned) == len(done))}); {same}"
        )

    def _show_plan_quality(self, true_s: float) -> None:
        best = plan(self.runs, self.slots, rig.true_costs(), now_s=self.began.timestamp(), options=options())
        learnt_s, best_s = (((one.end_s or 0.0) - self.began.timestamp()) for one in (self.planned, best))
        print(
            f"    the plan at the start ends after {learnt_s:.1f} s by the learnt seconds; one by the true seconds after "
            f"{best_s:.1f} s, {best_s / true_s:.3f} of the bound"
        )

    def _show_errors(self) -> None:
        rows = comparison(self.jobs)
        errors = ", ".join(f"{100 * row.error:+.1f}" for row in rows if row.error is not None)
        median = 100 * (median_error(rows) or 0)
        print(f"    predicted against measured: median error {median:.1f} % of {len(rows)} batches ({errors})")

    def _show_gaps(self) -> None:
        gaps = self.gaps
        seconds = sorted(gap.seconds for gap in gaps)
        late = [gap for gap in gaps if not gap.was_ready]
        each = ", ".join(f"{gap.seconds:.2f}{'' if gap.was_ready else ' (not staged in yet)'}" for gap in gaps)
        p95 = statistics.quantiles(seconds, n=20, method="inclusive")[18]
        print(
            f"    idle between two batches of a slot: p50 {statistics.median(seconds):.2f} s, p95 {p95:.2f} s, {len(gaps)} gaps, "
            f"{len(gaps) - len(late)} with the next batch staged in before the last one ended: {each}"
        )

    @property
    def gaps(self) -> list["Gap"]:
        """From the end of each container to the start of the next one on its slot."""
        lanes: dict[tuple[str, str], list[JobRecord]] = defaultdict(list)
        for job in self.jobs:
            lanes[job.host, job.timing.gpus].append(job)
        return [
            Gap(before, after)
            for lane in lanes.values()
            for before, after in zip(in_order(lane), in_order(lane)[1:], strict=False)
        ]

    def _show_lost(self, shown_s: float) -> None:
        """Where the seconds of the slots went that neither a load nor a sample needed by the true seconds."""
        first: dict[tuple[str, str], datetime] = {}
        last: dict[tuple[str, str], datetime] = {}
        for job in in_order(self.jobs):
            first.setdefault((job.host, job.timing.gpus), started(job))
            last[job.host, job.timing.gpus] = ended(job)
        true = rig.scaled()
        late_s = sum((moment - self.began).total_seconds() for moment in first.values())
        idle_s = sum(gap.seconds for gap in self.gaps)
        over_s = sum(shown_s - (moment - self.began).total_seconds() for moment in last.values())
        loads_s = sum((job.timing.load_s or 0) - true.load_s(job.timing.parts, is_warm=job.timing.is_warm) for job in self.jobs)
        samples = [sample for job in self.jobs for sample in job.timing.samples]
        samples_s = sum((sample.seconds or 0) - true.sample_s(sample.size) for sample in samples)
        ends_s = sum(
            (ended(job) - max(sample.ended_at for sample in job.timing.samples if sample.ended_at)).total_seconds()
            for job in self.jobs
        )
        between_s = sum(
            (job.timing.seconds or 0) - (job.timing.load_s or 0) - sum(sample.seconds or 0 for sample in job.timing.samples)
            for job in self.jobs
        )
        print(
            f"    slot seconds lost, of {len(first) * shown_s:.0f}: before the first batch {late_s:.1f}, "
            f"between batches {idle_s:.1f}, after the last batch {over_s:.1f}, "
            f"loads longer than true {loads_s:.1f}, samples longer than true {samples_s:.1f}, "
            f"from the last sample to the end of the process {ends_s:.1f}, between samples {between_s - ends_s:.1f}"
        )

    def _show_one_by_one(self, whole_s: float) -> None:
        rule = one_by_one(self.runs, self.slots, rig.true_costs(), now_s=self.began.timestamp())
        gap_s = statistics.median(gap.seconds for gap in self.gaps)
        their_s = rule.end_s - self.began.timestamp() + gap_s * (len(self.runs) / len(self.slots) - 1)
        mine_s = sum(job.timing.seconds or 0 for job in self.jobs)
        print(
            f"    one container per run, by the true seconds and with as long a gap: {their_s:.1f} s ({their_s / whole_s:.2f}x), "
            f"{rule.gpu_seconds:.0f} GPU seconds against {mine_s:.0f}, {len(self.runs)} loads against {len(self.jobs)}, "
            f"idle between containers {gap_s * (len(self.runs) - len(self.slots)):.0f} s against "
            f"{sum(gap.seconds for gap in self.gaps):.0f} s"
        )


@dataclass(frozen=True)
class Gap:
    """Two batches of a slot, one after the other."""

    before: JobRecord
    after: JobRecord

    @property
    def seconds(self) -> float:
        return (started(self.after) - ended(self.before)).total_seconds()

    @property
    def was_ready(self) -> bool:
        staged = self.after.timing.staged_in_at
        return staged is not None and staged <= ended(self.before)


def measured(folder: Path) -> Measured:
    """Queue the runs, plan them as `cosmos plan --queued` does, and let a dispatch carry them out."""
    began = time.perf_counter()
    ids = submit(rig.requests(rig.MEASURED, folder), stages=["inference"], family=rig.FAMILY)
    print(f"submit: {len(ids)} runs queued in {time.perf_counter() - began:.1f} s")
    with records() as place:
        runs = place.store.runs_of_ids(ids)
        modes = frozenset((run.family, mode) for run in runs for mode in run.queueing.needs.modes)
        there, _ = slots_now(place.store, offers, modes)
        slots = [slot for slot in there if rig.FAMILY in slot.families]
        assert len(slots) == len(rig.NAMES) * len(rig.SLOTS)
        fitted = known_costs(place.store)
        began_at = utc_now()
        planned = prospect(place.store, runs, slots, options=options(), now_s=began_at.timestamp()).plan
        dispatch(batch_minutes_max=BATCH_MINUTES_MAX)
        done = place.store.runs_of_ids(ids)
        assert {run.status for run in done} == {RunStatus.COMPLETED}, [run.failure for run in done if run.failure]
        jobs = [job for job in place.store.recent_jobs(limit=200) if job.created_at >= began_at - timedelta(seconds=1)]
    return Measured([workload_of(run) for run in runs], slots, fitted, planned, began_at, in_order(jobs))


def options() -> PlanOptions:
    return PlanOptions(batch_seconds_max=60.0 * BATCH_MINUTES_MAX)


def signature_of(job: JobRecord) -> str:
    """What tells the batches of this benchmark apart."""
    return named(job.timing.controls, job.timing.samples[0].size.steps)


def signature_text(batch, runs: Sequence[Workload]) -> str:
    steps = next(run.size.steps for run in runs if run.run_id == batch.run_ids[0])
    return named(batch.signature.controls, steps)


def named(controls: Sequence[str], steps: int) -> str:
    """Only the distilled model takes so few steps here."""
    return " ".join([rig.FAMILY, "+".join(controls), *(["distilled"] if steps < 10 else [])])


def in_order(jobs: Sequence[JobRecord]) -> list[JobRecord]:
    return sorted(jobs, key=started)


def started(job: JobRecord) -> datetime:
    assert job.timing is not None
    assert job.timing.started_at is not None
    return job.timing.started_at


def ended(job: JobRecord) -> datetime:
    assert job.timing is not None
    assert job.timing.ended_at is not None
    return job.timing.ended_at


def verdict(is_met: bool) -> str:
    return "met" if is_met else "NOT met"
