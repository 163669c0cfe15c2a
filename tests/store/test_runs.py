"""Runs: made once per request, listed by any filter, and changed only along the arrows of their status."""

import dataclasses

import pytest

from cosmos_ops.errors import InputError, ProcessStalledError, RecordNotFoundError, StoreError
from cosmos_ops.runs import Phase, RunFailure, RunOutputs, RunStatus
from cosmos_ops.store import RunFilter

from .builders import START, a_job, a_prompt, a_run, queued_runs

OPEN = {"host": "gpu1", "owner": "me", "lease_s": 60}


def ids(runs):
    return [run.id for run in runs]


def start(store, *run_ids):
    job = a_job(*run_ids)
    assert store.open_job(job, **OPEN)
    return job


def test_a_run_comes_back_as_it_was(store):
    prompt = store.add_prompt(a_prompt())
    parent = store.add_run(a_run(prompt.id))
    run = a_run(
        prompt.id,
        seed=7,
        parent_id=parent.id,
        flow_run_id="f1",
        status=RunStatus.FAILED,
        outputs=RunOutputs(log="a/log.txt"),
        failure=RunFailure.of(ProcessStalledError("no line\0 for 60 s")),
        started_at=START,
        ended_at=START,
    )
    assert store.add_run(run) == run
    assert store.run(run.id) == run


def test_a_request_that_is_made_twice_gets_the_first_run(store):
    prompt = store.add_prompt(a_prompt())
    first = store.add_run(a_run(prompt.id, request_key="k"))
    assert store.add_run(a_run(prompt.id, seed=2, request_key="k")) == first
    assert store.run_by_key("k") == first
    assert store.runs(limit=10) == [first]


def test_an_unknown_key_has_no_run(store):
    assert store.run_by_key("k") is None


def test_the_runs_of_a_request_are_those_whose_key_begins_with_it(store):
    prompt = store.add_prompt(a_prompt())
    keys = ["sub/1", "sub/2/then/1", "sub/", "sub", "sub0", "sub1/1", "Sub/1", "su/b/1", "sub%/1", "sub/ü"]
    runs = {key: store.add_run(a_run(prompt.id, request_key=key)) for key in keys}
    found = store.runs_of_request("sub")
    assert sorted(run.request_key for run in found) == ["sub/1", "sub/2/then/1", "sub/ü"]
    assert ids(found) == sorted(ids(found))
    assert store.runs_of_request("sub%") == [runs["sub%/1"]]
    assert store.runs_of_request("none") == []


def test_a_run_needs_its_prompt_and_its_parent(store):
    with pytest.raises(RecordNotFoundError, match="no prompt 'ps_gone'"):
        store.add_run(a_run("ps_gone"))
    prompt = store.add_prompt(a_prompt())
    with pytest.raises(RecordNotFoundError, match="no run 'rs_gone'"):
        store.add_run(a_run(prompt.id, parent_id="rs_gone"))
    assert store.runs(limit=10) == []


def test_runs_are_added_all_or_none(store):
    prompt = store.add_prompt(a_prompt())
    known = store.add_run(a_run(prompt.id, request_key="known"))
    new = [a_run(prompt.id, request_key=key) for key in ("a", "b")]

    with pytest.raises(RecordNotFoundError, match="no prompt 'ps_gone'"):
        store.add_runs([*new, a_run("ps_gone")])
    assert store.runs(limit=10) == [known]

    again = a_run(prompt.id, seed=2, request_key="known")
    assert store.add_runs([new[0], again, new[1], a_run(prompt.id, request_key="b")]) == [new[0], known, new[1], new[1]]
    assert set(ids(store.runs(limit=10))) == set(ids([known, *new]))


def test_an_id_belongs_to_one_request(store):
    run = queued_runs(store, 1)[0]
    with pytest.raises(StoreError, match=f"another request has the id '{run.id}'"):
        store.add_run(a_run(run.prompt_id, id=run.id))


def test_an_unknown_run_is_one_line_with_a_way_on(store):
    for ask in (lambda: store.run("rs_x"), lambda: store.finish("rs_x", RunStatus.FAILED)):
        with pytest.raises(RecordNotFoundError, match=r"^there is no run 'rs_x'; `cosmos runs list` shows what is there$"):
            ask()


def test_every_filter_finds_its_runs_and_no_others(store):
    prompt, other = store.add_prompt(a_prompt()), store.add_prompt(a_prompt())
    plain = store.add_run(a_run(prompt.id))
    upscale = store.add_run(a_run(prompt.id, operation="upscale", parent_id=plain.id))
    of_other = store.add_run(a_run(other.id))
    of_flow = store.add_run(a_run(prompt.id, flow_run_id="f1"))
    job = start(store, of_flow.id)
    for wanted, found in [
        (RunFilter(operation="upscale"), [upscale]),
        (RunFilter(prompt_id=other.id), [of_other]),
        (RunFilter(parent_id=plain.id), [upscale]),
        (RunFilter(flow_run_id="f1"), [of_flow]),
        (RunFilter(job_id=job.id), [of_flow]),
        (RunFilter(status=(RunStatus.RUNNING,)), [of_flow]),
        (RunFilter(status=(RunStatus.RUNNING, RunStatus.QUEUED), prompt_id=prompt.id), [of_flow, upscale, plain]),
        (RunFilter(family="preview", operation="upscale"), [upscale]),
        (RunFilter(family="cosmos3"), []),
    ]:
        assert set(ids(store.runs(wanted, limit=10))) == set(ids(found)), wanted
        assert sum(store.count_runs(wanted).values()) == len(found)


@pytest.mark.parametrize("status", [(), (RunStatus.QUEUED,), (RunStatus.QUEUED, RunStatus.FAILED, RunStatus.CANCELLED)])
def test_pages_join_to_all_runs_newest_first(store, status):
    prompt = store.add_prompt(a_prompt())
    statuses = [RunStatus.QUEUED, RunStatus.FAILED]
    for n in range(7):
        store.add_run(a_run(prompt.id, id=f"rs_{n}", status=statuses[n % 2] if len(status) != 1 else RunStatus.QUEUED))
    pages = [store.runs(RunFilter(status=status), limit=3)]
    while pages[-1]:
        pages.append(store.runs(RunFilter(status=status), limit=3, before=pages[-1][-1].id))
    assert [ids(page) for page in pages] == [["rs_6", "rs_5", "rs_4"], ["rs_3", "rs_2", "rs_1"], ["rs_0"], []]


def test_a_page_of_no_length_is_refused(store):
    with pytest.raises(InputError, match="at least 1"):
        store.runs(limit=-1)


def test_counts_name_every_status(store):
    runs = queued_runs(store, 3)
    store.finish(runs[0].id, RunStatus.BLOCKED)
    counts = store.count_runs()
    assert set(counts) == set(RunStatus)
    assert {status: n for status, n in counts.items() if n} == {RunStatus.QUEUED: 2, RunStatus.BLOCKED: 1}
    assert sum(store.count_runs(RunFilter(status=(RunStatus.BLOCKED,))).values()) == 1


def test_a_finished_run_keeps_its_start_and_loses_its_phase(store, clock):
    run = queued_runs(store, 1)[0]
    start(store, run.id)
    clock.advance(90)
    assert store.finish(run.id, RunStatus.COMPLETED, outputs=RunOutputs(video="a.mp4"))
    run = store.run(run.id)
    assert (run.status, run.phase, run.duration_s) == (RunStatus.COMPLETED, None, 90)
    assert str(run.outputs.video) == "a.mp4"


def test_a_queued_run_can_be_cancelled(store):
    run = queued_runs(store, 1)[0]
    assert store.finish(run.id, RunStatus.CANCELLED)
    assert store.run(run.id).started_at is None


def test_late_events_change_nothing(store, clock):
    run = queued_runs(store, 1)[0]
    start(store, run.id)
    store.finish(run.id, RunStatus.CANCELLED)
    cancelled = store.run(run.id)
    clock.advance(5)
    assert not store.finish(run.id, RunStatus.COMPLETED, outputs=RunOutputs(video="a.mp4"))
    store.set_phase([run.id], Phase.SAMPLING)
    assert store.requeue([run.id]) == 0
    assert not store.open_job(a_job(run.id), **OPEN)
    assert store.run(run.id) == cancelled


def test_a_run_cannot_finish_in_a_status_that_is_not_final(store):
    run = queued_runs(store, 1)[0]
    with pytest.raises(ValueError, match="no final status"):
        store.finish(run.id, RunStatus.RUNNING)


def test_only_running_runs_have_a_phase(store):
    running, queued = queued_runs(store, 2)
    start(store, running.id)
    store.set_phase([running.id, queued.id, "rs_unknown"], Phase.SAMPLING)
    assert store.run(running.id).phase is Phase.SAMPLING
    assert store.run(running.id).started_at == START
    assert store.run(queued.id).phase is None


def test_a_requeued_run_is_as_good_as_new_and_keeps_its_owner(store):
    running, queued = queued_runs(store, 2)
    start(store, running.id)
    assert store.requeue([running.id, queued.id]) == 1
    assert store.run(running.id) == dataclasses.replace(running, owner="me")


def test_an_event_of_a_job_that_lost_the_run_changes_nothing(store):
    run = queued_runs(store, 1)[0]
    lost = start(store, run.id)
    store.requeue([run.id], job_id=lost.id)
    start(store, run.id)
    running = store.run(run.id)
    assert not store.finish(run.id, RunStatus.FAILED, job_id=lost.id)
    store.set_phase([run.id], Phase.STAGING_OUT, job_id=lost.id)
    assert store.requeue([run.id], job_id=lost.id) == 0
    assert store.run(run.id) == running


def test_a_running_run_belongs_to_the_process_that_opened_its_job(store):
    run = queued_runs(store, 1)[0]
    start(store, run.id)
    store.set_phase([run.id], Phase.SAMPLING)
    assert store.run(run.id).owner == "me"
