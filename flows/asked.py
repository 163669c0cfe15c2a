"""What a request asks for, worked out without recording anything: for the dry run, and to find all problems beforehand."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from cosmos_ops.errors import InputError
from cosmos_ops.intake import check_request, completed
from cosmos_ops.operations import family_for, find_operation
from cosmos_ops.params import Params
from cosmos_ops.runs import VIDEO, Prompt, Run
from cosmos_ops.settings import Settings
from cosmos_ops.store import Store
from flows.forms import STAGES, StageSettings
from flows.prompts import read_prompt, read_video_prompt
from flows.request_files import PipelineRequest
from flows.sweeps import ONE_VARIANT, Variant, variants, varied


@dataclass(frozen=True)
class Asked:
    """One run that a request asks for."""

    path: str
    """Where in the request."""
    run: Run
    prompt: Prompt
    videos: dict[str, Path]
    stands_in: str = ""
    """Of a stage after another one: what its inputs stand in for, until that has run."""
    after: int = 0
    """How many stages come before it, whose outputs it works on."""


@dataclass(frozen=True)
class Answer:
    """All that a request asks for, and what is wrong with it."""

    asked: tuple[Asked, ...]
    problems: tuple[str, ...]


def ask(requests: list[PipelineRequest], store: Store) -> Answer:
    """Work out the runs of requests, with ids that only count; every problem has its path."""
    asked: list[Asked] = []
    problems: list[str] = []
    for place, request in enumerate(requests, 1):
        name = f"request {place}: " if len(requests) > 1 else ""
        for found in _runs(request, store):
            if isinstance(found, str):
                problems.append(name + found)
            else:
                asked.append(replace(found, path=name + found.path, run=replace(found.run, id=f"rs_{len(asked) + 1:04d}")))
    return Answer(tuple(asked), tuple(dict.fromkeys(problems)))


def _runs(request: PipelineRequest, store: Store) -> Iterator[Asked | str]:
    """Runs and problems, stage by stage."""
    try:
        families = {
            stage: family_for(stage, request.families.get(stage, request.family), Settings().fallback_families)
            for stage in STAGES
            if stage in request.stages
        }
        choices = variants(request.sweep, request.zipped)
    except InputError as error:
        yield from error.args
        return
    if "inference" not in families and (request.sweep or request.zipped):
        yield "sweep: it changes parameters of inference, which is not among the stages"
    for stage, family in families.items():
        chosen: StageSettings = getattr(request, stage)
        for number, wanted in enumerate(request.prompts):
            own = list(wanted.inference) if stage == "inference" and wanted.inference else [chosen]
            try:
                prompt = (read_video_prompt if stage == "upscale" else read_prompt)(wanted, store)
            except InputError as error:
                yield from (f"prompts[{number}]: {problem}" for problem in error.args)
                continue
            if stage == "upscale" and "inference" in request.stages and VIDEO not in prompt.inputs:
                # Nothing can stand in for the video that is yet to be made.
                continue
            for settings in own:
                for variant in choices if stage == "inference" else ONE_VARIANT:
                    yield from _run(f"prompts[{number}]", stage, family, prompt, settings, variant, request)


def _run(
    path: str, stage: str, family: str, prompt: Prompt, settings: StageSettings, variant: Variant, request: PipelineRequest
) -> Iterator[Asked | str]:
    operation = find_operation(stage, family)
    videos = {VIDEO: prompt.inputs[VIDEO]} if stage == "upscale" and VIDEO in prompt.inputs else dict(prompt.inputs)
    try:
        given: Params = varied(settings.params(stage, family), variant)
        params = completed(operation, given, prompt, videos)
        check_request(operation, params, prompt.text, videos)
    except InputError as error:
        yield from (f"{path}: {stage} by {family}: {problem}" for problem in error.args)
        return
    run = Run(prompt.id, stage, family, params, request_key=path)
    yield Asked(path, run, prompt, videos, _stands_in(request, stage), _after(request, stage))


def _stands_in(request: PipelineRequest, stage: str) -> str:
    """An enhanced text, or a video that is still to be made, is not there in a dry run."""
    if stage == "inference" and "enhance" in request.stages:
        return "the original text stands in for the enhanced one"
    if stage == "upscale" and "inference" in request.stages:
        return "the input video stands in for the output of inference"
    return ""


def _after(request: PipelineRequest, stage: str) -> int:
    if stage == "upscale" and "inference" in request.stages:
        return 1 + _after(request, "inference")
    return int(stage == "inference" and "enhance" in request.stages)
