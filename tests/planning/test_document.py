"""The pages about batching and the queue say what planner and dispatcher do: the worked example is computed here."""

from fractions import Fraction
from pathlib import Path

import pytest

from cosmos_ops import cost_keeping, settling
from cosmos_ops.dispatching import assignments, bench, company, leftovers
from cosmos_ops.following import LEASE_S
from cosmos_ops.operations import find_operation
from cosmos_ops.planning import PUBLISHED, Goal, PlanOptions, plan
from cosmos_ops.planning.batches import BATCH_SIZE_MAX
from cosmos_ops.planning.improvement import RUNS_MAX
from cosmos_ops.planning.published import CONTROL_SHARE
from cosmos_ops.planning.workloads_of_runs import workload_of
from cosmos_ops.runs import Queueing
from cosmos_ops.settings import Settings
from cosmos_ops.videos import VideoInfo
from deployments.catalog import DISPATCH_EVERY_S
from tests.builders import a_run
from tests.planning.samples import a_slot

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "batching.md").read_text(encoding="utf-8")
QUEUE = (DOCS / "queue.md").read_text(encoding="utf-8")


VIDEO_93 = VideoInfo(Path("/videos/a.mp4"), 1280, 704, 93, Fraction(24), 93 / 24, has_audio=False)


def example():
    """10 videos with one control by the distilled model; 4 with two controls by the full one; each of 93 frames; two H100."""
    operation = find_operation("inference", "transfer25")

    def queued(**values):
        params = operation.params.read(values)
        return workload_of(a_run(params, family="transfer25", queueing=Queueing(operation.needs(params, {"video": VIDEO_93}))))

    queue = [queued(edge_weight=1.0, distilled=True) for _ in range(10)]
    queue += [queued(edge_weight=1.0, vis_weight=1.0) for _ in range(4)]
    return queue, [a_slot("rack", 0), a_slot("rack", 1)]


def made(goal):
    queue, slots = example()
    return plan(queue, slots, PUBLISHED, now_s=0.0, options=PlanOptions(goal=goal))


def plan_table(goal):
    lines = ["| slot | starts | controls | runs | load | ends |", "| --- | --- | --- | --- | --- | --- |"]
    lines += [
        f"| {batch.host} {batch.index} | {batch.start_s:.0f} s | {', '.join(batch.signature.controls)} | {len(batch.run_ids)} "
        f"| {batch.load_s:.0f} s | {batch.end_s:.0f} s |"
        for batch in made(goal).batches
    ]
    return "\n".join(lines)


def goals_table():
    lines = ["| goal | batches | last one ends | GPU seconds |", "| --- | --- | --- | --- |"]
    plans = {goal: made(goal) for goal in Goal}
    lines += [f"| `{goal.value}` | {len(p.batches)} | {p.end_s:.0f} s | {p.gpu_seconds:.0f} |" for goal, p in plans.items()]
    return "\n".join(lines)


def coefficients_table():
    queue, _ = example()
    known = PUBLISHED.of("transfer25", "H100")
    lines = ["| | edge, distilled | edge and vis |", "| --- | --- | --- |"]
    parts = (1, 4)
    lines.append("| start and load, cold | " + " | ".join(f"{known.load_s(n, is_warm=False):.0f} s" for n in parts) + " |")
    lines.append("| start and load, warm | " + " | ".join(f"{known.load_s(n, is_warm=True):.0f} s" for n in parts) + " |")
    lines.append("| one sample | " + " | ".join(f"{known.sample_s(run.size):.1f} s" for run in (queue[0], queue[-1])) + " |")
    return "\n".join(lines)


@pytest.mark.parametrize(
    "table", [coefficients_table(), plan_table(Goal.BALANCED), goals_table()], ids=["coefficients", "plan", "goals"]
)
def test_the_worked_example_is_what_the_planner_does(table):
    assert table in PAGE, f"put this into docs/batching.md:\n{table}"


def test_the_page_names_what_a_control_adds():
    for family, share in CONTROL_SHARE.items():
        assert f"{family} {share:.0%}" in PAGE


@pytest.mark.parametrize(
    "words",
    [
        f"{PlanOptions().batch_seconds_max / 3600:.0f} hours",
        f"{PlanOptions().batch_runs_max} runs",
        f"{PlanOptions().aging_s / 3600:.0f} hours of waiting",
        f"at least {assignments.LEAD_MIN_S:.0f} s and at most {assignments.LEAD_MAX_S / 60:.0f} min before that end",
        f"as long as a warm load of that model takes, and at least {company.HOMECOMING_S:.0f} s",
        f"ready for {leftovers.RECALL_AFTER_S:.0f} s or more",
        f"within {cost_keeping.WARM_FOR.total_seconds() / 3600:.0f} hours",
        f"the newest {cost_keeping.JOBS_LEARNT_FROM} batches",
        f"at most {BATCH_SIZE_MAX} to a batch",
        f"Up to {RUNS_MAX} runs",
    ],
)
def test_the_page_names_the_limits(words):
    assert words in " ".join(PAGE.split())


@pytest.mark.parametrize(
    "words",
    [
        f"Every {PlanOptions().aging_s / 3600:.0f} hours of waiting",
        f"each of at most {PlanOptions().batch_seconds_max / 3600:.0f} hours",
        f"`batch_minutes_max` ({PlanOptions().batch_seconds_max / 60:.0f})",
        f"`batch_runs_max` ({PlanOptions().batch_runs_max})",
        f"Every {DISPATCH_EVERY_S / 60:.0f} minutes",
        f"`COSMOS_HOST_GIVE_UP_S` seconds ({Settings.model_fields['host_give_up_s'].default:.0f})",
        f"for {bench.BENCH_MIN_S:.0f} s, after each further refusal for twice as long, at most {bench.BENCH_MAX_S / 60:.0f} min",
        f"after {LEASE_S:.0f} s without a sign of life",
    ],
)
def test_the_page_of_the_queue_names_the_limits(words):
    assert words in " ".join(QUEUE.split())


def test_the_page_of_the_queue_says_how_often_a_run_may_break_its_process():
    assert settling.BREAKS_ALONE_MAX == 2
    assert "breaks its process twice while it is alone" in QUEUE
