"""Flow runs of our deployments over Prefect's API: started, and followed to their end."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import ObjectNotFound
from prefect.states import Scheduled

from cosmos_ops.errors import InputError, RunsFailedError
from flows.naming import NAME_TAG

POLL_S = 2.0


def start(deployment: str, parameters: dict[str, Any], *, name: str | None) -> FlowRun:
    """Start a flow run of a deployment.

    Raises:
        InputError: The server does not have the deployment.
    """
    with get_client(sync_client=True) as client:
        try:
            found = client.read_deployment_by_name(deployment)
        except ObjectNotFound as error:
            raise InputError(f"the server has no deployment {deployment}; `cosmos up` serves it") from error
        return client.create_flow_run_from_deployment(
            found.id, parameters=parameters, state=Scheduled(), name=name, tags=[f"{NAME_TAG}{name}"] if name else []
        )


def follow(flow_runs: Sequence[FlowRun], say: Callable[[str], None]) -> None:
    """Wait until all have ended.

    Raises:
        RunsFailedError: Some did not complete.
    """
    bad: list[str] = []
    with get_client(sync_client=True) as client:
        for flow_run in flow_runs:
            while True:
                state = client.read_flow_run(flow_run.id).state
                if state is not None and state.is_final():
                    break
                time.sleep(POLL_S)
            say(f"flow run {flow_run.name}: {state.name}" + (f": {state.message}" if state.message else ""))
            if not state.is_completed():
                bad.append(str(flow_run.name))
    if bad:
        raise RunsFailedError(f"{len(bad)} of {len(flow_runs)} flow runs did not complete: {', '.join(bad)}")
