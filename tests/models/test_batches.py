"""A batch of 8 in which sample 3 goes wrong, on every family: nothing is lost, and nothing is taken for something else."""

from collections import Counter

import pytest

from cosmos_ops.runs import RunStatus
from tests.builders import a_clip, recorded
from tests.faults.rig import assert_clean

from . import rig

pytestmark = pytest.mark.gpu_machines


@pytest.mark.parametrize("family", rig.FAMILIES)
def test_one_that_the_guardrail_blocks(family, server, tmp_path):
    clip = a_clip(tmp_path / "clip.mp4", frame_count=25)

    runs = rig.run_batch(family, rig.a_batch(clip, {3: "block"}))

    assert {number: run.status for number, run in runs.items()} == {
        number: RunStatus.BLOCKED if number == 3 else RunStatus.COMPLETED for number in range(1, 9)
    }
    assert runs[3].failure.kind == "SampleBlockedError"
    assert not runs[3].failure.retry_helps
    assert all(recorded().file(run, "log").read_text() for run in runs.values())
    assert all(recorded().video(run)[2] == 25 for number, run in runs.items() if number != 3)
    assert_clean(server, may_resume=False)


@pytest.mark.parametrize("family", rig.FAMILIES)
def test_one_that_breaks_the_process(family, server, tmp_path):
    clip = a_clip(tmp_path / "clip.mp4", frame_count=25)

    runs = rig.run_batch(family, rig.a_batch(clip, {3: "crash"}))

    assert Counter(run.status for run in runs.values()) == {RunStatus.COMPLETED: 7, RunStatus.FAILED: 1}
    assert runs[3].status is RunStatus.FAILED
    assert "device-side assert" in runs[3].failure.message
    # The first two are not computed again; those after it were never begun.
    assert runs[1].job_id == runs[2].job_id == runs[3].job_id
    assert len({runs[number].job_id for number in range(4, 9)} | {runs[1].job_id}) == 2


@pytest.mark.parametrize("family", rig.FAMILIES)
def test_a_container_that_is_killed_at_one(family, server, tmp_path):
    clip = a_clip(tmp_path / "clip.mp4", frame_count=25)

    with rig.killed_at(server, 3):
        runs = rig.run_batch(family, rig.a_batch(clip, {3: "wait"}))

    assert {run.status for run in runs.values()} == {RunStatus.COMPLETED}
    assert len(runs) == 8
    assert runs[1].job_id == runs[2].job_id != runs[3].job_id
