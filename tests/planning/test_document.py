"""The page about batching shows what the planner does: its worked example is computed here."""

from pathlib import Path

import pytest

from cosmos_ops.planning import PUBLISHED, Goal, PlanOptions, SampleSize, plan
from cosmos_ops.planning.published import CONTROL_SHARE
from tests.planning.samples import a_signature, a_slot, a_workload

PAGE = (Path(__file__).parents[2] / "docs" / "batching.md").read_text(encoding="utf-8")


def example():
    """10 videos with one control, distilled, 121 frames; 4 with two controls and 35 steps, 93 frames; two H100."""
    edge = SampleSize(frames=121, chunks=2, steps=4, calls_per_step=1, controls=1)
    both = SampleSize(frames=93, chunks=1, steps=35, calls_per_step=2, controls=2)
    queue = [a_workload(a_signature("edge", process=(("distilled", True),)), size=edge) for _ in range(10)]
    queue += [a_workload(a_signature("edge", "vis", process=(("distilled", False),)), size=both, parts=4) for _ in range(4)]
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
    lines.append("| one sample | " + " | ".join(f"{known.sample_s(run.size):.0f} s" for run in (queue[0], queue[-1])) + " |")
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
    ],
)
def test_the_page_names_the_limits(words):
    assert words in PAGE
