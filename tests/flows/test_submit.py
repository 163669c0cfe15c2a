"""The flow that queues is asked like the flow that carries out."""

from inspect import signature

from flows.pipeline import pipeline
from flows.submit import submit


def test_submit_takes_what_the_pipeline_takes_and_a_priority():
    parameters = dict(signature(submit.fn).parameters)

    assert parameters.pop("priority").default == 0
    assert parameters == dict(signature(pipeline.fn).parameters)
