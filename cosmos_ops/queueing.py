"""The shared queue: runs are put into it, and what is to follow a run is put into it when that run has completed."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from cosmos_ops.errors import InputError, VideoUnreadableError
from cosmos_ops.intake import check_request, completed, used_videos
from cosmos_ops.media.probe import probe
from cosmos_ops.operations import find_operation, read_params
from cosmos_ops.operations.operation import Operation
from cosmos_ops.params import Params
from cosmos_ops.planning.workloads_of_runs import ANY_HOST
from cosmos_ops.runs import VIDEO, NextStage, Queueing, Run, RunFailure, RunOutputs, RunStatus
from cosmos_ops.sizes import Needs
from cosmos_ops.videos import VideoInfo
from cosmos_ops.workplace import Records


def admitted(
    place: Records,
    run: Run[Any],
    videos: Mapping[str, Path],
    *,
    host: str = ANY_HOST,
    then: tuple[NextStage, ...] = (),
    problem: InputError | None = None,
) -> Run[Any]:
    """A run made ready for the shared queue, which it enters with `Store.add_runs`; one that cannot be met is a failed one.

    Args:
        place: Store and results; the prompt of the run is recorded, nothing else is.
        run: The run as it was asked for.
        videos: Role to file.
        host: Name of the only host that may do it, or auto.
        then: What follows when it has completed.
        problem: What is wrong with it, if that is known already.
    """
    operation, prompt = find_operation(run.operation, run.family), place.store.prompt(run.prompt_id)
    if problem is None:
        run = replace(run, params=completed(operation, run.params, prompt, videos))
        try:
            check_request(operation, run.params, prompt.text, videos)
        except InputError as error:
            problem = error
    run = replace(run, queueing=Queueing(needs_of(operation, run.params, videos), host=host, then=then))
    if problem is not None:
        run = replace(run, status=RunStatus.FAILED, failure=RunFailure.of(problem), ended_at=datetime.now(timezone.utc))
    return run


def needs_of(operation: Operation[Any], params: Params, videos: Mapping[str, Path]) -> Needs:
    """What a run needs of a machine; files that cannot be read say nothing."""
    infos: dict[str, VideoInfo] = {}
    for role, path in used_videos(operation, params, videos).items():
        with suppress(VideoUnreadableError):
            infos[role] = probe(path, takes_pictures=operation.takes_pictures)
    return operation.needs(params, infos)


def queue_what_follows(place: Records, run: Run[Any], outputs: RunOutputs) -> list[Run[Any]]:
    """Put what is to follow a run into the queue; called when all that it left is at home, before it counts as completed.

    Returns:
        The runs that follow; those of a run that makes a picture, which nobody can upscale, are left out.
    """
    if run.queueing is None:
        return []
    following = []
    for number, stage in enumerate(run.queueing.then):
        if outputs.prompt_id is not None:
            prompt_id, parent_id, videos = outputs.prompt_id, None, dict(place.store.prompt(outputs.prompt_id).inputs)
        elif outputs.video is not None:
            prompt_id, parent_id, videos = run.prompt_id, run.id, {VIDEO: place.results.absolute(outputs.video)}
        else:
            continue
        wanted = Run(
            prompt_id=prompt_id,
            operation=stage.operation,
            family=stage.family,
            params=read_params(stage.operation, stage.family, stage.params),
            request_key=f"{run.request_key}/{stage.operation}.{number}",
            parent_id=parent_id,
            priority=run.priority,
        )
        following.append(admitted(place, wanted, videos, host=run.queueing.host, then=stage.then))
    return place.store.add_runs(following)
