"""The deployments: what `cosmos up` serves; `prefect.yaml` has the same set, and a test keeps them equal."""

from typing import Any

from prefect.flows import Flow

from flows.enhance import enhance
from flows.health import host_health
from flows.host_setup import host_setup
from flows.inference import inference
from flows.pipeline import pipeline
from flows.upkeep import reconcile
from flows.upscale import upscale

NAME = "default"
TAGS = ["cosmos"]
FLOWS: tuple[Flow[..., Any], ...] = (pipeline, enhance, inference, upscale, reconcile, host_setup, host_health)
"""The pipeline first: it is what most people look for."""

RECONCILE_EVERY_S = 300
HEALTH_EVERY_S = 900


def interval_s(flow: Flow[..., Any]) -> int | None:
    """How often a flow runs by itself; most wait to be asked."""
    return {reconcile.name: RECONCILE_EVERY_S, host_health.name: HEALTH_EVERY_S}.get(flow.name)
