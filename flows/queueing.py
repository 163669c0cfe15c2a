"""From a request to runs in the shared queue: the first stage of each prompt, which carries along what is to follow."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cosmos_ops.errors import InputError
from cosmos_ops.operations import family_for
from cosmos_ops.queueing import admitted
from cosmos_ops.runs import VIDEO, NextStage, Prompt, Run
from cosmos_ops.settings import Settings
from cosmos_ops.workplace import Records
from flows.forms import StageSettings
from flows.prompts import make_requests, read_video_prompt
from flows.request_files import PipelineRequest
from flows.stage import Request, request_key
from flows.sweeps import ONE_VARIANT, Variant, variants


@dataclass(frozen=True)
class Wanted:
    """A run of the first stage, and what follows it."""

    operation: str
    family: str
    request: Request
    then: tuple[NextStage, ...] = ()


def queue_requests(
    place: Records, requests: Mapping[str, PipelineRequest], *, priority: int = 0, flow_run_id: str | None = None
) -> list[Run[Any]]:
    """Record the runs of the first stage of requests in the shared queue; a run that cannot be met is recorded as failed.

    Args:
        place: Store and results.
        requests: What is asked for, each under a key that tells it from all others; the same again records nothing twice.
        priority: Higher goes first.
        flow_run_id: The flow run that asks for it.

    Raises:
        InputError: The family lacks a stage, or the sweep is no good; nothing was recorded.
    """
    wanted = [(one, request.host) for key, request in requests.items() for one in _Reader(place, request, key).wanted()]
    # All at the same moment: a slot that has nothing to do would begin a batch with the first ones alone.
    return place.store.add_runs([_admitted(place, one, host, priority, flow_run_id) for one, host in wanted])


def _admitted(place: Records, wanted: Wanted, host: str, priority: int, flow_run_id: str | None) -> Run[Any]:
    request = wanted.request
    prompt = place.store.add_prompt(request.prompt)
    run = Run(
        prompt_id=prompt.id,
        operation=wanted.operation,
        family=wanted.family,
        params=request.params,
        request_key=request.key,
        flow_run_id=flow_run_id,
        priority=priority,
    )
    return admitted(place, run, prompt.inputs, host=host, then=wanted.then, problem=request.problem)


class _Reader:
    """Reads a request stage by stage."""

    def __init__(self, place: Records, request: PipelineRequest, key: str) -> None:
        fallbacks = Settings().fallback_families
        self._place = place
        self._request = request
        self._key = key
        self._families = {
            stage: family_for(stage, request.families.get(stage, request.family), fallbacks) for stage in request.stages
        }
        self._variants = variants(request.sweep, request.zipped) if "inference" in request.stages else ONE_VARIANT

    def wanted(self) -> Iterator[Wanted]:
        """The runs of the first stage, each with what follows it."""
        if "enhance" in self._families:
            yield from self._enhancements()
        elif "inference" in self._families:
            for request in self._requests("inference", self._variants):
                yield Wanted("inference", self._families["inference"], request, self._upscaling())
        if "upscale" in self._families and "inference" not in self._families:
            yield from self._upscales()

    def _enhancements(self) -> Iterator[Wanted]:
        for number, request in enumerate(self._requests("enhance")):
            then: tuple[NextStage, ...] = ()
            if "inference" in self._families:
                choices = self._requests("inference", self._variants, only=number)
                then = tuple(_next("inference", self._families["inference"], one, self._upscaling()) for one in choices)
            yield Wanted("enhance", self._families["enhance"], request, then)

    def _upscales(self) -> Iterator[Wanted]:
        family = self._families["upscale"]
        params = self._request.upscale.params("upscale", family)
        for number, asked in enumerate(self._request.prompts):
            problem = None
            try:
                prompt = read_video_prompt(asked, self._place.store)
            except InputError as error:
                prompt, problem = Prompt(text="", name=asked.name[:200]), error
            inputs = {VIDEO: prompt.inputs[VIDEO]} if VIDEO in prompt.inputs else {}
            own = replace(prompt, inputs=inputs) if not asked.prompt_id else prompt
            yield Wanted("upscale", family, Request(request_key(self._key, "upscale", number), own, params, problem=problem))

    def _upscaling(self) -> tuple[NextStage, ...]:
        if "upscale" not in self._families:
            return ()
        family = self._families["upscale"]
        params = self._request.upscale.params("upscale", family)
        return (NextStage("upscale", family, params.model_dump(mode="json")),)

    def _requests(self, operation: str, choices: Sequence[Variant] = ONE_VARIANT, *, only: int | None = None) -> list[Request]:
        settings: StageSettings = getattr(self._request, operation)
        prompts = self._request.prompts if only is None else self._request.prompts[only : only + 1]
        return make_requests(
            prompts,
            self._place.store,
            key=self._key,
            operation=operation,
            family=self._families[operation],  # type: ignore[index]
            settings=settings,
            variants=choices,
        )


def _next(operation: str, family: str, request: Request, then: tuple[NextStage, ...]) -> NextStage:
    return NextStage(operation, family, request.params.model_dump(mode="json"), then)
