"""The deployments: what `cosmos up` serves; `prefect.yaml` has the same set, and a test keeps them equal."""

from typing import Any, cast

from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.events import DeploymentEventTrigger
from prefect.flows import Flow

from flows.dispatch import dispatch
from flows.enhance import enhance
from flows.health import host_health
from flows.host_setup import host_setup
from flows.inference import inference
from flows.pipeline import pipeline
from flows.submit import submit
from flows.upkeep import reconcile
from flows.upscale import upscale
from flows.waking import EVENT

NAME = "default"
TAGS = ["cosmos"]
FLOWS: tuple[Flow[..., Any], ...] = (
    pipeline,
    submit,
    enhance,
    inference,
    upscale,
    dispatch,
    reconcile,
    host_setup,
    host_health,
)
"""The pipeline first: it is what most people look for."""

DISPATCH_EVERY_S = 300
"""The safety net; most of the time an event starts it."""
RECONCILE_EVERY_S = 300
HEALTH_EVERY_S = 900
DISPATCH_TRIGGER = "dispatch when runs are queued"


def interval_s(flow: Flow[..., Any]) -> int | None:
    """How often a flow runs by itself; most wait to be asked."""
    every = {dispatch.name: DISPATCH_EVERY_S, reconcile.name: RECONCILE_EVERY_S, host_health.name: HEALTH_EVERY_S}
    return every.get(flow.name)


def deployment_of(flow: Flow[..., Any]) -> RunnerDeployment:
    """The deployment of a flow, as `cosmos up` serves it."""
    is_dispatch = flow.name == dispatch.name
    # A second dispatch would find the first one at work and do nothing; it is not even started.
    limit = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
    made = flow.to_deployment(
        NAME,
        tags=TAGS,
        description=flow.description,
        interval=interval_s(flow),
        concurrency_limit=limit if is_dispatch else None,
        triggers=[DeploymentEventTrigger(name=DISPATCH_TRIGGER, expect={EVENT})] if is_dispatch else None,
    )
    return cast(RunnerDeployment, made)
