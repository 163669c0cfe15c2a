"""Whatever people write comes back unchanged."""

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cosmos_ops.names import new_id
from cosmos_ops.runs import NextStage, Phase, Prompt, Queueing, Run, RunFailure, RunOutputs, RunStatus
from cosmos_ops.sizes import Needs, SampleSize
from cosmos_ops.timing import JobTiming, SampleTiming

from .builders import TinyParams, a_job, a_prompt, queued_runs

SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60)
words = texts.filter(bool)
moments = st.datetimes(min_value=datetime(1970, 1, 2), timezones=st.just(timezone.utc))
paths = st.builds(Path, st.just("/"), texts)
posix_paths = st.none() | texts.map(lambda text: f"outputs/{text}")

prompts = st.builds(
    Prompt,
    text=texts,
    negative_text=texts,
    name=texts,
    inputs=st.dictionaries(texts, paths, max_size=3),
    parent_id=st.none(),
    id=st.builds(new_id, st.just("ps")),
    created_at=moments,
)
seconds = st.floats(0, 1e9)
sizes = st.builds(
    SampleSize,
    frames=st.integers(1, 10_000),
    chunks=st.integers(1, 100),
    steps=st.integers(0, 100),
    calls_per_step=seconds,
    controls=st.integers(0, 4),
    pixels=seconds,
)
needs = st.builds(
    Needs,
    size=sizes,
    model=texts,
    parts=st.none() | st.integers(0, 4),
    gpu_count=st.integers(0, 8),
    memory_gb=seconds,
    is_widenable=st.booleans(),
    modes=st.lists(texts, max_size=3).map(tuple),
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)


def stages(then):
    params = st.dictionaries(texts, values, max_size=3)
    return st.lists(st.builds(NextStage, operation=texts, family=texts, params=params, then=then), max_size=2).map(tuple)


queueings = st.builds(Queueing, needs=needs, host=texts, then=stages(stages(st.just(()))))
timings = st.builds(
    JobTiming,
    model=texts,
    controls=st.lists(texts, max_size=3).map(tuple),
    parts=st.integers(0, 4),
    samples=st.lists(
        st.builds(
            SampleTiming,
            run_id=texts,
            size=sizes,
            predicted_s=st.none() | seconds,
            started_at=st.none() | moments,
            ended_at=st.none() | moments,
        ),
        max_size=3,
    ).map(tuple),
    gpu_type=texts,
    gpu_count=st.integers(0, 8),
    gpus=texts,
    is_warm=st.booleans(),
    predicted_load_s=st.none() | seconds,
    staging_in_at=st.none() | moments,
    staged_in_at=st.none() | moments,
    started_at=st.none() | moments,
    ended_at=st.none() | moments,
    home_at=st.none() | moments,
    is_observed=st.booleans(),
)
runs = st.builds(
    Run,
    prompt_id=st.just("ps_1"),
    operation=words,
    family=st.just("preview"),
    params=st.builds(TinyParams, seed=st.integers(0, 100), title=texts),
    request_key=st.builds(new_id, st.just("rq")),
    parent_id=st.none(),
    flow_run_id=st.none() | texts,
    status=st.sampled_from(RunStatus),
    phase=st.none() | st.sampled_from(Phase),
    job_id=st.none() | texts,
    queueing=st.none(),
    priority=st.just(0),
    breaks=st.integers(0, 100),
    breaks_alone=st.integers(0, 100),
    outputs=st.builds(RunOutputs, video=posix_paths, log=posix_paths, prompt_id=st.none() | texts),
    failure=st.none() | st.builds(RunFailure, kind=words, message=st.text(st.characters(exclude_categories=["Cs"]))),
    started_at=st.none() | moments,
    ended_at=st.none() | moments,
    id=st.builds(new_id, st.just("rs")),
    created_at=moments,
)


@SETTINGS
@given(prompt=prompts)
def test_prompts(store, prompt):
    store.add_prompt(prompt)
    assert store.prompt(prompt.id) == prompt


@SETTINGS
@given(run=runs)
def test_runs(store, run):
    store.add_prompt(a_prompt(id="ps_1"))
    store.add_run(run)
    assert store.run(run.id) == run


@SETTINGS
@given(run=runs, queueing=queueings, priority=st.integers(-(2**31), 2**31 - 1))
def test_runs_of_the_shared_queue(store, run, queueing, priority):
    run = replace(run, queueing=queueing, priority=priority)
    store.add_prompt(a_prompt(id="ps_1"))
    store.add_run(run)
    assert store.run(run.id) == run
    assert store.runs_of_ids([run.id]) == [run]


@SETTINGS
@given(timing=timings)
def test_times_of_jobs(store, timing):
    (run,) = queued_runs(store, 1)
    job = a_job(run.id)
    assert store.open_job(job, host="gpu1", owner="me", lease_s=60, timing=timing)
    assert store.job(job.id).timing == timing


@SETTINGS
@given(model=texts, gpu_type=texts, coefficients=st.dictionaries(texts, values, max_size=5))
def test_costs(store, model, gpu_type, coefficients):
    store.save_costs({(model, gpu_type): coefficients})
    assert store.costs()[model, gpu_type] == coefficients


@SETTINGS
@given(text=words, data=st.data())
def test_a_prompt_is_found_by_any_part_of_it(store, text, data):
    prompt = store.add_prompt(a_prompt(text))
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    assert prompt in store.prompts(limit=1000, search=text[start:end])


@pytest.mark.parametrize("text", ['O\'Brien "said"', "two\r\nlines\n", "{curly} %s %(x)s :name ?", "👩\u200d🚀 ﷽ \u202e", " "])
def test_texts_that_once_broke_somebody(store, text):
    prompt = store.add_prompt(a_prompt(text, name=text, negative_text=text, inputs={text: Path("/", text)}))
    assert store.prompt(prompt.id) == prompt
    assert store.prompts(limit=1, search=text) == [prompt]
