"""From what a caller wrote to prompts with their videos and to the requests of a stage."""

from collections import Counter
from collections.abc import Sequence

from cosmos_ops.errors import InputError
from cosmos_ops.intake import check_text, storable
from cosmos_ops.runs import Prompt
from cosmos_ops.store import Store
from flows.forms import PromptRequest, StageSettings
from flows.inputs import find_inputs
from flows.stage import Request, request_key
from flows.sweeps import ONE_VARIANT, Variant, varied

NAME_LENGTH_MAX = 200


def read_prompt(request: PromptRequest, store: Store) -> Prompt:
    """The prompt that a request asks for, with the videos that were found; not recorded yet.

    Raises:
        InputError: The text, the input or the prompt's id is no good.
    """
    if request.prompt_id:
        return store.prompt(request.prompt_id)
    problems: list[str] = []
    text, inputs = "", {}
    try:
        text = check_text(request.text)
    except InputError as error:
        problems.append(str(error))
    try:
        inputs = find_inputs(request)
    except InputError as error:
        problems += map(str, error.args)
    if problems:
        raise InputError(*problems)
    return Prompt(
        text=text,
        negative_text=storable(request.negative_text.strip()),
        name=storable(request.name.strip()[:NAME_LENGTH_MAX]),
        inputs=inputs,
    )


def read_video_prompt(request: PromptRequest, store: Store) -> Prompt:
    """As `read_prompt`, for work on a video that needs no text.

    Raises:
        InputError: The input or the prompt's id is no good.
    """
    if request.prompt_id or request.text.strip():
        return read_prompt(request, store)
    return Prompt(text="", name=storable(request.name.strip()[:NAME_LENGTH_MAX]), inputs=find_inputs(request))


def make_requests(
    prompts: Sequence[PromptRequest],
    store: Store,
    *,
    key: str,
    operation: str,
    family: str,
    settings: StageSettings,
    variants: Sequence[Variant] = ONE_VARIANT,
) -> list[Request]:
    """The requests of a stage, one for each prompt, each of its own settings and each variant of a sweep.

    What cannot be read carries its problem.

    Raises:
        ParamsError: A sweep names a parameter that is not there, or a value that it cannot take.
    """
    requests = []
    for place, wanted in zip(request_places([prompt.prompt_id for prompt in prompts]), prompts, strict=True):
        problem = None
        try:
            prompt = read_prompt(wanted, store)
        except InputError as error:
            prompt, problem = _unreadable(wanted), error
        chosen = [choice.params(operation, family) for choice in _choices(wanted, operation, settings)]
        for number, params in enumerate(varied(one, variant) for one in chosen for variant in variants):
            requests.append(Request(request_key(key, operation, place, number), prompt, params, problem=problem))
    return requests


def request_places(ids: Sequence[str]) -> list[str]:
    """What tells requests of one list apart: their id, or their place where they have none; the same id twice is numbered."""
    seen: Counter[str] = Counter()
    places = []
    for index, known in enumerate(ids):
        name = known or str(index)
        places.append(f"{name}.{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return places


def _choices(wanted: PromptRequest, operation: str, settings: StageSettings) -> Sequence[StageSettings]:
    return wanted.inference if operation == "inference" and wanted.inference else [settings]


def _unreadable(wanted: PromptRequest) -> Prompt:
    """A record of a prompt that cannot be used, so that the run which fails with it can be found."""
    text = storable(wanted.text)[:200]
    return Prompt(text=text, name=storable(wanted.name[:NAME_LENGTH_MAX]), negative_text="")
