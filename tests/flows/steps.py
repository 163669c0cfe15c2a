"""Calling flows, and asking the server what it knows of them."""

from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    LogFilter,
    LogFilterFlowRunId,
    TaskRunFilter,
)
from prefect.logging.handlers import APILogWorker

from flows.forms import InferenceSettings, PromptRequest
from tests.builders import Recorded, recorded


@contextmanager
def home_folder(folder: Path):
    """The home folder of the flows inside, for fixtures that live longer than a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COSMOS_HOME", str(folder))
        yield folder


def a_request(clip: Path, text: str = "a street at dusk", **values) -> PromptRequest:
    return PromptRequest(text=text, input=str(clip), **values)


def ask(params) -> InferenceSettings:
    return InferenceSettings(preview=params)


def call(flow, *arguments, **settings) -> tuple[object, Recorded]:
    """Call a flow as a user's script would; its final state, and all that is recorded then."""
    state = flow(*arguments, **settings, return_state=True)
    return state, recorded()


def flow_runs(*ids):
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(flow_run_filter=FlowRunFilter.model_validate({"id": {"any_": list(ids)}}))
    return {str(flow_run.id): flow_run for flow_run in found}


def task_names(flow_run_id) -> list[str]:
    with get_client(sync_client=True) as client:
        wanted = FlowRunFilter.model_validate({"id": {"any_": [flow_run_id]}})
        return [found.name for found in client.read_task_runs(flow_run_filter=wanted, task_run_filter=TaskRunFilter())]


def log_messages(flow_run_id) -> list[str]:
    """The log that Prefect keeps of a flow run."""
    APILogWorker.drain_all(timeout=10)
    wanted = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[UUID(str(flow_run_id))]))
    with get_client(sync_client=True) as client:
        return [log.message for log in client.read_logs(wanted, limit=200)]


def artifacts(flow_run_id):
    wanted = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[UUID(str(flow_run_id))]))
    with get_client(sync_client=True) as client:
        return client.read_artifacts(artifact_filter=wanted, limit=200)
