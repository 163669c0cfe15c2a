"""The pipeline: enhance -> regroup -> inference -> regroup -> upscale over a list of prompts; any stage can be left out."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from cosmos_ops.errors import InputError
from cosmos_ops.runs import VIDEO, Run, RunStatus
from cosmos_ops.workplace import Records
from flows.cancellation import is_over, root_flow_run, stop_what_is_left
from flows.enhance import enhance as enhance_flow
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
from flows.inference import inference as inference_flow
from flows.naming import flow_run_name, work_title
from flows.prompts import read_video_prompt, request_places
from flows.stage import attempts, conclude, request_key, runs_of
from flows.upscale import upscale as upscale_flow
from flows.workplace import records


@flow(name="pipeline", flow_run_name=flow_run_name, on_cancellation=[stop_what_is_left])
def pipeline(
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
) -> list[str] | State[Any]:
    """Make videos from prompts: enhance the text, run inference, upscale the result.

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
        host: Name of a host (`cosmos host list`), or auto for a healthy one that has the family, else this machine.
    """
    if not stages:
        raise InputError("there is no stage to run; choose at least one of enhance, inference and upscale")
    with records() as place:
        # Prefect fills in braces of a name; those of ours are meant.
        title = work_title().replace("{", "{{").replace("}", "}}")
        runs: list[Run] = []
        wanted = prompts
        if "enhance" in stages:
            state = enhance_flow.with_options(flow_run_name=f"enhance: {title}")(
                prompts, family=families.get("enhance", family), settings=enhance, host=host, return_state=True
            )
            runs, wanted = _made(place, state), _enhanced(place, prompts)
        if "inference" in stages and wanted and not is_over():
            state = inference_flow.with_options(flow_run_name=f"inference: {title}")(
                wanted,
                family=families.get("inference", family),
                settings=inference,
                sweep=sweep,
                zipped=zipped,
                host=host,
                return_state=True,
            )
            runs = [*runs, *_made(place, state)]
        if "upscale" in stages and not is_over() and (sources := _videos(place, runs, wanted, stages)):
            state = upscale_flow.with_options(flow_run_name=f"upscale: {title}")(
                sources, family=families.get("upscale", family), settings=upscale, host=host, return_state=True
            )
            runs = [*runs, *_made(place, state)]
        return conclude(place, "pipeline", runs)


def _made(place: Records, state: State[Any]) -> list[Run]:
    """The runs of a stage; a stage that could not begin at all ends the pipeline with its error."""
    runs = runs_of(place, str(state.state_details.flow_run_id))
    if not runs:
        state.result()
    return runs


def _enhanced(place: Records, prompts: Sequence[PromptRequest]) -> list[PromptRequest]:
    """The enhanced prompts with the settings of their originals; those that failed are left out."""
    enhanced = []
    places = request_places([prompt.prompt_id for prompt in prompts])
    for name, prompt in zip(places, prompts, strict=True):
        runs = attempts(place.store, request_key(root_flow_run(), "enhance", name))
        if runs and runs[-1].outputs.prompt_id is not None:
            enhanced.append(PromptRequest(prompt_id=runs[-1].outputs.prompt_id, inference=prompt.inference))
    return enhanced


def _videos(place: Records, runs: Sequence[Run], prompts: Sequence[PromptRequest], stages: Sequence[Stage]) -> list[str]:
    """What is upscaled: the videos of inference, or the input videos where inference is left out."""
    if "inference" in stages:
        # Inference may make a picture; that is not upscaled.
        made = [run for run in runs if run.operation == "inference" and run.status is RunStatus.COMPLETED]
        return [run.id for run in made if run.outputs.video is not None]
    return [_recorded(place, prompt, number) for number, prompt in enumerate(prompts)]


def _recorded(place: Records, prompt: PromptRequest, number: int) -> str:
    """The id of a prompt whose video is upscaled as it is; the same when Prefect runs the flow run again."""
    if prompt.prompt_id:
        return prompt.prompt_id
    try:
        found = read_video_prompt(prompt, place.store)
    except InputError:
        # The upscale stage finds the same and records a failed run that says so.
        return prompt.inputs.get(VIDEO, prompt.input)
    known = hashlib.sha256(f"{root_flow_run()}/{number}".encode()).hexdigest()[:16]
    return place.store.add_prompt(replace(found, id=f"ps_{known}")).id
