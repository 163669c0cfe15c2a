"""Enhance: prompts gain sentences on light, weather, camera and materials; each becomes a child of its original."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.cancellation import root_flow_run, stop_what_is_left
from flows.forms import DEMO_PROMPTS, EnhanceSettings, Family, PromptRequest
from flows.naming import flow_run_name
from flows.prompts import make_requests
from flows.stage import conclude, stage


@flow(name="enhance", flow_run_name=flow_run_name, on_cancellation=[stop_what_is_left])
def enhance(
    prompts: list[PromptRequest] = DEMO_PROMPTS,
    family: Family = "preview",
    settings: EnhanceSettings = EnhanceSettings(),  # noqa: B008
    host: str = "auto",
) -> list[str] | State[Any]:
    """Enhance prompts.

    Args:
        prompts: The prompts to enhance.
        family: The family of models that does the work.
        settings: What to ask of each family; only the card of the chosen one counts.
        host: Name of a host (`cosmos host list`), or auto for a healthy one that has the family, else this machine.
    """
    with stage("enhance", family, host) as work:
        requests = make_requests(
            prompts, work.place.store, key=root_flow_run(), operation="enhance", family=work.family, settings=settings
        )
        runs = work.carry_out(requests)
        return conclude(work.place, "enhance", runs)
