"""Request files: YAML, JSON or JSONL with what the pipeline takes over the API; `docs/requests.md` describes them."""

import difflib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from cosmos_ops.errors import InputError
from cosmos_ops.intake import ADDRESS
from cosmos_ops.operations import FAMILIES, OPERATIONS, family_for
from cosmos_ops.params import SHOWN_LENGTH_MAX
from cosmos_ops.settings import Settings
from flows.forms import (
    NO_INPUT,
    STAGES,
    EnhanceSettings,
    Family,
    InferenceSettings,
    PromptRequest,
    Stage,
    Sweep,
    UpscaleSettings,
)
from flows.inputs import find_inputs

FILE_BYTES_MAX = 50_000_000
SHORT_FORM = tuple(name for name in PromptRequest.model_fields if name != "inference")
"""Of a request with one prompt these may stand beside `family`, without the list `prompts`."""


class PipelineRequest(BaseModel):
    """What the flow `pipeline` takes: prompts with their inputs, stages, families, parameters and sweeps."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompts: Annotated[list[PromptRequest], Field(min_length=1)]
    stages: Annotated[list[Stage], Field(min_length=1)] = list(STAGES)
    family: Family = "preview"
    families: dict[Stage, Family] = {}
    enhance: EnhanceSettings = EnhanceSettings()
    inference: InferenceSettings = InferenceSettings()
    upscale: UpscaleSettings = UpscaleSettings()
    sweep: Sweep = {}
    zipped: Sweep = {}
    host: str = "auto"


def read_requests(path: Path) -> list[PipelineRequest]:
    """The requests of a file; paths in it are relative to its folder.

    Raises:
        InputError: The file cannot be read, or a request is not valid; one line that has all problems, each with its path.
    """
    found = _parsed(path)
    many = found if isinstance(found, list) else [found]
    if not many:
        raise InputError(f"{path}: there is no request in it")
    requests, problems = [], []
    for number, data in enumerate(many, 1):
        name = f"request {number}: " if len(many) > 1 else ""
        try:
            requests.append(PipelineRequest.model_validate(normalised(data, path.absolute().parent)))
        except ValidationError as error:
            problems += [f"{name}{problem}" for problem in [*problems_of(error), *_file_problems(data, path.absolute().parent)]]
        except InputError as error:
            problems += [f"{name}{problem}" for problem in error.args]
    if problems:
        raise InputError(*(f"{path}: {problem}" for problem in problems))
    return requests


def normalised(data: Any, folder: Path) -> dict[str, Any]:
    """A request as the API has it: short forms written out, paths absolute.

    Raises:
        InputError: It is no object, or its family cannot do what it asks for.
    """
    if not isinstance(data, Mapping):
        raise InputError(f"a request is an object with `prompts`, not {type(data).__name__}")
    request = dict(data)
    if "prompts" not in request and any(name in request for name in SHORT_FORM):
        request["prompts"] = [{name: request.pop(name) for name in SHORT_FORM if name in request}]
    family = request.get("family", "preview")
    for stage in STAGES:
        if stage in request:
            request[stage] = _by_family(request[stage], stage, _mapping(request.get("families")).get(stage, family))
    if isinstance(request.get("prompts"), list):
        request["prompts"] = [_prompt(prompt, folder, request, family) for prompt in request["prompts"]]
    return request


def _file_problems(data: Any, folder: Path) -> list[str]:
    """What is wrong with the files of a request whose other values are wrong."""
    problems = []
    for number, prompt in enumerate(_mapping(normalised(data, folder)).get("prompts") or []):
        named = {name: value for name in ("input", "inputs") if (value := _mapping(prompt).get(name))}
        if not named:
            continue
        with suppress(ValidationError):
            wanted = PromptRequest.model_validate(named)
            try:
                find_inputs(wanted)
            except InputError as error:
                problems += [f"prompts[{number}]: {problem}" for problem in error.args]
    return problems


def problems_of(error: ValidationError) -> list[str]:
    """Each problem of a validation with its path."""
    problems = []
    for problem in error.errors(include_url=False, include_context=False):
        path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in problem["loc"]).removeprefix(".")
        if problem["type"] == "extra_forbidden" and (sentence := _unknown(problem["loc"])):
            problems.append(f"{path}: {sentence}")
            continue
        given = problem.get("input")
        is_said = isinstance(given, bool | int | float | str) and "unknown parameter" not in problem["msg"]
        shown = f", not {repr(given)[:SHOWN_LENGTH_MAX]}" if is_said else ""
        problems.append(f"{path}: {problem['msg'].removeprefix('Value error, ')}{shown}")
    return problems


def _parsed(path: Path) -> Any:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise InputError(f"{path} has {path.stat().st_size:,} bytes; a request file has at most {FILE_BYTES_MAX:,}")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    try:
        if path.suffix.lower() == ".jsonl":
            return [_line(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        return _json(text) if path.suffix.lower() == ".json" else YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InputError(f"{path} is no YAML: line {line}: {' '.join(str(error.problem).split())}") from error
    except (ValueError, YAMLError) as error:
        raise InputError(
            f"{path} is no {path.suffix.removeprefix('.').upper() or 'YAML'}: {' '.join(str(error).split())}"
        ) from error


def _line(number: int, text: str) -> Any:
    try:
        return _json(text)
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from error


def _json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_without_duplicates)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} is there twice")
    return found


def _unknown(place: tuple[int | str, ...]) -> str:
    """What to say of a key that nobody knows: of a request, of a prompt, or of the parameters of a stage."""
    name = str(place[-1])
    if len(place) == 2 and place[0] in STAGES:
        return f"no such family, or it has no {place[0]}; families that have it: {', '.join(_able(str(place[0])))}"
    known = list(PipelineRequest.model_fields if len(place) == 1 else PromptRequest.model_fields if len(place) == 3 else ())
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    return f"there is no such key; {hint}" if known else ""


def _able(operation: str) -> list[str]:
    return [known.family for known in OPERATIONS if known.name == operation]


def _by_family(settings: Any, stage: str, family: Any) -> Any:
    """Parameters that stand there without a family belong to that of the stage."""
    if not isinstance(settings, Mapping) or not settings or all(name in FAMILIES for name in settings):
        return settings
    return {family_for(stage, str(family), Settings().fallback_families): dict(settings)}


def _prompt(prompt: Any, folder: Path, request: Mapping[str, Any], family: Any) -> Any:
    if not isinstance(prompt, Mapping):
        return prompt
    full = dict(prompt)
    if isinstance(full.get("input"), str) and full["input"] not in ("", NO_INPUT):
        full["input"] = _beside(folder, full["input"])
    if isinstance(full.get("inputs"), Mapping):
        full["inputs"] = {role: _beside(folder, path) for role, path in full["inputs"].items()}
    if "inference" in full:
        own = full["inference"] if isinstance(full["inference"], list) else [full["inference"]]
        chosen = _mapping(request.get("families")).get("inference", family)
        full["inference"] = [_by_family(one, "inference", chosen) for one in own]
    return full


def _beside(folder: Path, path: Any) -> Any:
    """A path relative to the folder of the file; an address, and what is no text, stays to be refused as it is."""
    return str(folder / Path(path).expanduser()) if isinstance(path, str) and not ADDRESS.match(path) else path


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
