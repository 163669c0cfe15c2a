"""Upscale: the videos of earlier runs, or any video files, become larger."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from cosmos_ops.errors import InputError
from cosmos_ops.intake import find_videos
from cosmos_ops.params import Params
from cosmos_ops.runs import VIDEO, Prompt, RunStatus
from cosmos_ops.store import RunFilter, Store
from flows.cancellation import root_flow_run, stop_what_is_left
from flows.forms import Family, UpscaleSettings
from flows.naming import flow_run_name
from flows.prompts import request_places
from flows.stage import Request, conclude, request_key, stage


@flow(name="upscale", flow_run_name=flow_run_name, on_cancellation=[stop_what_is_left])
def upscale(
    sources: list[str] = [],  # noqa: B006
    family: Family = "preview",
    settings: UpscaleSettings = UpscaleSettings(),  # noqa: B008
    host: str = "auto",
) -> list[str] | State[Any]:
    """Upscale videos.

    Args:
        sources: Completed runs (rs_...), prompts with a video (ps_...), or video files; none for the latest completed inference.
        family: The family of models that does the work.
        settings: What to ask of each family; only the card of the chosen one counts.
        host: Name of a host (`cosmos host list`), or auto for a healthy one that has the family, else this machine.
    """
    with stage("upscale", family, host) as work:
        chosen = sources or [_latest(work.place.store)]
        params = settings.params("upscale", work.family)
        requests = [
            _request(source, request_key(root_flow_run(), "upscale", place), work.place.store, params)
            for place, source in zip(request_places(chosen), chosen, strict=True)
        ]
        return conclude(work.place, "upscale", work.carry_out(requests))


def _latest(store: Store) -> str:
    runs = store.runs(RunFilter(operation="inference", status=(RunStatus.COMPLETED,)), limit=1)
    if not runs:
        raise InputError("there is no completed inference run to upscale; name a run or a video file in `sources`")
    return runs[0].id


def _request(source: str, key: str, store: Store, params: Params) -> Request:
    try:
        if source.startswith("ps_"):
            prompt = store.prompt(source)
            return Request(key, replace(prompt, inputs={VIDEO: prompt.inputs[VIDEO]} if VIDEO in prompt.inputs else {}), params)
        if not source.startswith("rs_"):
            return Request(key, Prompt(text="", name=Path(source).stem[:200], inputs=find_videos(Path(source))), params)
        parent = store.run(source)
    except InputError as error:
        return Request(key, Prompt(text="", name=Path(source).stem[:200]), params, problem=error)
    problem = None
    if parent.outputs.video is None:
        problem = InputError(f"run {source} ({parent.operation}, {parent.status.value}) left no video to upscale")
    return Request(key, store.prompt(parent.prompt_id), params, parent_id=parent.id, problem=problem)
