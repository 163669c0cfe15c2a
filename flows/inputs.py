"""The input files of a request: those of its folder, those that it names, or the built-in city."""

from pathlib import Path

from cosmos_ops.errors import InputError
from cosmos_ops.intake import ADDRESS, check_file, find_videos
from cosmos_ops.media.cityscape import write_cityscape
from cosmos_ops.settings import Settings
from flows.forms import NO_INPUT, PromptRequest


def find_inputs(request: PromptRequest) -> dict[str, Path]:
    """The files of a request by role: those of its folder, and those that it names one by one.

    Raises:
        InputError: A file is not there, or there is no role of that name.
    """
    named: dict[str, Path] = {}
    problems: list[str] = []
    if ADDRESS.match(request.input):
        problems.append(f"{request.input} is an address; download the file, and name it here")
    for role, path in request.inputs.items():
        try:
            named[role] = check_file(role, path)
        except InputError as error:
            problems.append(str(error))
    if problems:
        raise InputError(*problems)
    if request.input == NO_INPUT or (named and not request.input):
        return named
    return {**find_videos(input_of(request)), **named}


def input_of(request: PromptRequest) -> Path:
    """The input video or folder; the built-in city where none is named."""
    return Path(request.input) if request.input else demo_city()


def demo_city() -> Path:
    """The folder of the built-in city, rendered when it is first asked for."""
    folder = Settings().demo_folder / "city"
    if not (folder / "color.mp4").exists():
        write_cityscape(folder)
    return folder
