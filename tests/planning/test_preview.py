"""The preview of a plan: a record that JSON can hold, and lines that say the same."""

import json
import math

import pytest
from hypothesis import given

from cosmos_ops.planning import (
    PUBLISHED,
    described,
    lines,
    makespan_bound,
    one_by_one,
    plan,
    predecessor,
    rows,
    signature_text,
)
from cosmos_ops.planning.preview import duration
from tests.planning.samples import a_signature, a_slot, a_workload
from tests.planning.strategies import NOW_S, options, queues, slots, some


def preview(queue, on, **values):
    made = plan(queue, on, PUBLISHED, now_s=NOW_S, **values)
    baselines = [
        one_by_one(queue, on, PUBLISHED, now_s=NOW_S),
        predecessor(queue, on, PUBLISHED, now_s=NOW_S, settings_of=lambda run: run.signature),
    ]
    return made, described(made, queue, on, PUBLISHED, baselines, NOW_S)


@some
@given(queues, slots, options)
def test_the_record_says_what_the_plan_says(queue, on, how):
    made, record = preview(queue, on, options=how)

    assert json.loads(json.dumps(record)) == record
    assert [batch["runs"] for batch in record["batches"]] == [list(batch.run_ids) for batch in made.batches]
    assert [(batch["host"], batch["slot"]) for batch in record["batches"]] == [(b.host, b.index) for b in made.batches]
    assert len({batch["id"] for batch in record["batches"]}) == len(made.batches)
    assert all(batch["predicted_end_s"] > batch["predicted_start_s"] + batch["load_s"] for batch in record["batches"])
    assert math.isclose(sum(batch["gpu_s"] for batch in record["batches"]), record["gpu_s"], abs_tol=0.1)
    assert record["makespan_s"] == max((batch["predicted_end_s"] for batch in record["batches"]), default=0)
    assert record["makespan_bound_s"] == round(makespan_bound(queue, on, PUBLISHED, NOW_S), 3)
    assert record["waiting"] == made.waiting
    assert len(rows(record)) == len(made.batches)
    assert all(reason in "\n".join(lines(record)) for reason in made.waiting.values())


def test_a_batch_is_described_by_all_of_its_settings_and_by_those_that_tell_it_apart():
    queue = [a_workload(a_signature(process=(("num_steps", steps), ("fps", 24)))) for steps in (20, 35)]

    _, record = preview(queue, [a_slot("rack", 3)])

    assert [batch["signature"] for batch in record["batches"]] == [
        "inference transfer25 edge num_steps=20 fps=24",
        "inference transfer25 edge num_steps=35 fps=24",
    ]
    assert [batch["differs"] for batch in record["batches"]] == [{"num_steps": 20}, {"num_steps": 35}]
    assert [(row["slot"], row["signature"]) for row in rows(record)] == [
        ("rack 3", "inference transfer25 edge num_steps=20"),
        ("rack 3", "inference transfer25 edge num_steps=35"),
    ]


def test_the_costs_are_those_that_were_used():
    _, record = preview([a_workload()], [a_slot(gpu_type="B200"), a_slot("b", gpu_type="H20")])

    (costs,) = record["costs"]
    assert (costs["model"], costs["gpu_type"]) == ("transfer25", "B200")
    assert costs["call_s"] == PUBLISHED.of("transfer25", "B200").call_s
    assert {"error", "load_error", "sample_count"} <= costs.keys()


def test_the_lines_say_the_sums_and_what_is_saved():
    queue = [a_workload() for _ in range(16)] + [a_workload(memory_gb=100.0) for _ in range(2)]
    on = [a_slot(index=number) for number in range(2)]

    _, record = preview(queue, on)
    said = "\n".join(lines(record))

    alone = record["baseline_gpu_s"]["one container per run"]
    assert "batch  slot  starts" in said
    assert f"16 runs in 2 batches, done after {duration(record['makespan_s'])}" in said
    assert f"saves {1 - record['gpu_s'] / alone:.0%} of the {alone:,.0f} GPU seconds of one container per run" in said
    assert "GPU seconds of predecessor's rule" in said
    assert "transfer25 on H100: published and assumed figures" in said
    assert "2 runs wait: it needs 100 GB" in said


def test_nothing_to_do_is_said():
    _, record = preview([], [a_slot()])

    assert lines(record) == ["nothing to do"]
    assert (record["batches"], record["gpu_s"], record["makespan_s"], record["makespan_bound_s"]) == ([], 0, 0, 0)


@pytest.mark.parametrize(
    ("process", "text"),
    [
        ((), "inference cosmos3 any controls"),
        ((("guidance", 5.0), ("distilled", True), ("sigma", None)), "any controls guidance=5.0 distilled=true sigma=null"),
        ((("negative_prompt", ""), ("size", "720")), 'any controls negative_prompt="" size=720'),
        ((("negative_prompt", "a b" * 40),), f'negative_prompt="{("a b" * 40)[:39]}...'),
    ],
)
def test_a_signature_in_one_line(process, text):
    assert text in signature_text(a_signature(family="cosmos3", process=process).with_controls(()))


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0:00:00"), (59.6, "0:01:00"), (3725, "1:02:05"), (90_000, "25:00:00")])
def test_durations_are_readable(seconds, text):
    assert duration(seconds) == text
