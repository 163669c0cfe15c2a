"""Submit: runs go into the shared queue, which a dispatch drains on all hosts; the flow ends once they are recorded."""

from prefect import flow, get_run_logger

from cosmos_ops.errors import InputError, RunsFailedError
from cosmos_ops.runs import Run, RunStatus
from cosmos_ops.workplace import Records
from flows.cancellation import root_flow_run, this_flow_run
from flows.forms import (
    DEMO_PROMPTS,
    STAGES,
    EnhanceSettings,
    Family,
    InferenceSettings,
    PromptRequest,
    Stage,
    Sweep,
    UpscaleSettings,
)
from flows.naming import flow_run_name
from flows.queueing import queue_requests
from flows.request_files import PipelineRequest
from flows.waking import wake_dispatch
from flows.workplace import records


@flow(name="submit", flow_run_name=flow_run_name)
def submit(
    prompts: list[PromptRequest] = DEMO_PROMPTS,
    stages: list[Stage] = list(STAGES),  # noqa: B006
    family: Family = "preview",
    families: dict[Stage, Family] = {},  # noqa: B006
    enhance: EnhanceSettings = EnhanceSettings(),  # noqa: B008
    inference: InferenceSettings = InferenceSettings(),  # noqa: B008
    upscale: UpscaleSettings = UpscaleSettings(),  # noqa: B008
    sweep: Sweep = {},  # noqa: B006
    zipped: Sweep = {},  # noqa: B006
    host: str = "auto",
    priority: int = 0,
) -> list[str]:
    """Put runs into the shared queue; `dispatch` carries them out on all hosts, each stage as soon as the one before is done.

    Args:
        prompts: The prompts with their input videos; the built-in demo if you leave them as they are.
        stages: The stages to run, in the order enhance, inference, upscale.
        family: The family of models that does the work.
        families: Another family for single stages, such as {"upscale": "transfer1"}.
        enhance: Settings of prompt enhancement.
        inference: Settings of inference; a prompt may have its own.
        upscale: Settings of upscaling.
        sweep: Inference parameters and the values that they take, such as {"seed": [1, 2, 3]}; every combination gives a run.
        zipped: The same with values that belong together by their place; the lists are equally long.
        host: Name of the only host that may do it, or auto for any.
        priority: Runs of a higher one go first.
    """
    if not stages:
        raise InputError("there is no stage to run; choose at least one of enhance, inference and upscale")
    request = PipelineRequest(
        prompts=prompts,
        stages=stages,
        family=family,
        families=families,
        enhance=enhance,
        inference=inference,
        upscale=upscale,
        sweep=sweep,
        zipped=zipped,
        host=host,
    )
    with records() as place:
        return queued(place, request, priority)


def queued(place: Records, request: PipelineRequest, priority: int) -> list[str]:
    """Queue a request as the flow run that we are in, and tell how that went.

    Returns:
        Ids of the runs.

    Raises:
        RunsFailedError: Some cannot be met; the others are in the queue.
    """
    runs = queue_requests(place, {root_flow_run(): request}, priority=priority, flow_run_id=this_flow_run())
    good = [run for run in runs if run.status is not RunStatus.FAILED]
    logger = get_run_logger()
    for run in good:
        logger.info("Queued %s %s by %s", run.operation, run.id, run.family)
    if good:
        wake_dispatch(place.store, len(good))
    if bad := [run for run in runs if run.status is RunStatus.FAILED]:
        raise RunsFailedError(f"{len(bad)} of {len(runs)} runs cannot be met: {'; '.join(map(_why, bad))}")
    return [run.id for run in runs]


def _why(run: Run) -> str:
    return f"{run.operation} {run.id}: {run.failure.message if run.failure else 'no reason was recorded'}"
