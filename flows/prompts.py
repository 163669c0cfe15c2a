"""From what a caller wrote to prompts with their videos and to the requests of a stage."""

from collections.abc import Sequence
from pathlib import Path

from cosmos_ops.errors import InputError
from cosmos_ops.intake import check_text, find_videos
from cosmos_ops.media.cityscape import write_cityscape
from cosmos_ops.params import Params
from cosmos_ops.runs import Prompt
from cosmos_ops.settings import Settings
from cosmos_ops.store import Store
from flows.requests import PromptRequest, StageSettings
from flows.stage import Request, request_key

NAME_LENGTH_MAX = 200


def read_prompt(request: PromptRequest, store: Store) -> Prompt:
    """The prompt that a request asks for, with the videos that were found; not recorded yet.

    Raises:
        InputError: The text, the input or the prompt's id is no good.
    """
    if request.prompt_id:
        return store.prompt(request.prompt_id)
    text = check_text(request.text)
    folder = Path(request.input) if request.input else demo_city()
    return Prompt(
        text=_storable(text),
        negative_text=_storable(request.negative_text.strip()),
        name=_storable(request.name.strip()[:NAME_LENGTH_MAX]),
        inputs=find_videos(folder),
    )


def make_requests(
    prompts: Sequence[PromptRequest], store: Store, *, key: str, operation: str, family: str, settings: StageSettings
) -> list[Request]:
    """The requests of a stage, one for each prompt and each of its own settings; what cannot be read carries its problem."""
    requests = []
    for index, wanted in enumerate(prompts):
        problem = None
        try:
            prompt = read_prompt(wanted, store)
        except InputError as error:
            prompt, problem = _unreadable(wanted), error
        for number, chosen in enumerate(_choices(wanted, operation, settings)):
            params: Params = chosen.params(operation, family)
            place = wanted.prompt_id or index
            requests.append(Request(request_key(key, operation, place, number), prompt, params, problem=problem))
    return requests


def demo_city() -> Path:
    """The folder of the built-in city, rendered when it is first asked for."""
    folder = Settings().demo_folder / "city"
    if not (folder / "color.mp4").exists():
        write_cityscape(folder)
    return folder


def _choices(wanted: PromptRequest, operation: str, settings: StageSettings) -> Sequence[StageSettings]:
    return wanted.inference if operation == "inference" and wanted.inference else [settings]


def _unreadable(wanted: PromptRequest) -> Prompt:
    """A record of a prompt that cannot be used, so that the run which fails with it can be found."""
    text = _storable(wanted.text)[:200]
    return Prompt(text=text, name=_storable(wanted.name[:NAME_LENGTH_MAX]), negative_text="")


def _storable(text: str) -> str:
    # No database keeps NUL or halves of surrogate pairs in a text; they mean nothing in a prompt.
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
