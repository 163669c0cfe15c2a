"""Whatever people write comes back unchanged."""

from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cosmos_ops.names import new_id
from cosmos_ops.runs import Phase, Prompt, Run, RunFailure, RunOutputs, RunStatus

from .builders import TinyParams, a_prompt

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
