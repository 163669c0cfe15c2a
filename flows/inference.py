"""Inference: prompts with their control videos become videos; runs that can share a loaded model share one container."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.cancellation import root_flow_run, stop_what_is_left
from flows.forms import DEMO_PROMPTS, Family, InferenceSettings, PromptRequest, Sweep
from flows.naming import flow_run_name
from flows.prompts import make_requests
from flows.request_files import PipelineRequest
from flows.stage import conclude, stage
from flows.submit import queued
from flows.sweeps import variants
from flows.workplace import records


@flow(name="inference", flow_run_name=flow_run_name, on_cancellation=[stop_what_is_left])
def inference(
    prompts: list[PromptRequest] = DEMO_PROMPTS,
    family: Family = "preview",
    settings: InferenceSettings = InferenceSettings(),  # noqa: B008
    sweep: Sweep = {},  # noqa: B006
    zipped: Sweep = {},  # noqa: B006
    host: str = "auto",
    queue: bool = False,
    priority: int = 0,
) -> list[str] | State[Any]:
    """Make videos from prompts and control videos.

    Args:
        prompts: The prompts with their input videos.
        family: The family of models that does the work.
        settings: What to ask of each family; only the card of the chosen one counts.
        sweep: Parameters and the values that they take, such as {"seed": [1, 2, 3]}; every combination gives a run.
        zipped: The same with values that belong together by their place; the lists are equally long.
        host: Name of a host (`cosmos host list`), or auto for a healthy one that has the family, else this machine.
        queue: Whether the runs only go into the shared queue, from which a dispatch carries them out on all hosts.
        priority: In the queue; runs of a higher one go first.
    """
    if queue:
        request = PipelineRequest(
            prompts=prompts,
            stages=["inference"],
            family=family,
            inference=settings,
            sweep=sweep,
            zipped=zipped,
            host=host,
        )
        with records() as place:
            return queued(place, request, priority)
    with stage("inference", family, host) as work:
        requests = make_requests(
            prompts,
            work.place.store,
            key=root_flow_run(),
            operation="inference",
            family=work.family,
            settings=settings,
            variants=variants(sweep, zipped),
        )
        runs = work.carry_out(requests)
        return conclude(work.place, "inference", runs)
