"""The command line and the samples of Transfer2.5, as strict as the real ones: all is checked before a model is loaded."""

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

from .flags import Group, parse
from .problems import ValidationError
from .program import rank
from .schema import (
    FILE,
    FILE_OR_FOLDER,
    FOLDER,
    SWITCH,
    TEXT,
    TRUTH,
    Field,
    enum,
    integer,
    items,
    literal,
    number,
    optional,
    record,
    validated,
)

PROGRAM = "inference.py"
HINTS = ("edge", "vis", "depth", "seg")
"""The kinds of control, in the order of the multicontrol model."""
LEVELS = literal("very_low", "low", "medium", "high", "very_high")
DISTILLED = "edge/distilled"
NEGATIVE_PROMPT = (
    "The video captures a game playing, with bad crappy graphics and cartoonish frames. It represents a recording of old "
    "outdated games. The lighting looks very fake. The textures are very raw and basic. The geometries are very primitive. The "
    "images are very pixelated and of poor CG quality. There are many subtitles in the footage. Overall, the video is "
    "unrealistic at all."
)

CONTROL = {
    "control_path": optional(FILE),
    "control_weight": Field(number(ge=0, le=1), 1.0),
    "mask_path": optional(FILE),
    "mask_prompt": optional(TEXT),
}
CONTROLS = {
    "edge": record("EdgeConfig", {**CONTROL, "preset_edge_threshold": Field(LEVELS, "medium")}, forbids_others=False),
    "depth": record("DepthConfig", CONTROL, forbids_others=False),
    "vis": record("BlurConfig", {**CONTROL, "preset_blur_strength": Field(LEVELS, "medium")}, forbids_others=False),
    "seg": record("SegConfig", {**CONTROL, "control_prompt": optional(TEXT)}, forbids_others=False),
}
SAMPLE = {
    "name": Field(TEXT),
    "prompt_path": optional(FILE),
    "prompt": Field(TEXT),
    "negative_prompt": Field(TEXT, NEGATIVE_PROMPT),
    "seed": Field(integer(), 2025),
    "guidance": Field(integer(ge=0, le=7), 3),
    "video_path": Field(FILE),
    "max_frames": optional(integer(gt=0)),
    "context_frame_index": optional(integer(gt=0)),
    "image_context_path": optional(FILE),
    "num_conditional_frames": Field(literal(0, 1, 2), 1),
    "resolution": Field(TEXT, "720"),
    "sigma_max": optional(TEXT),
    "num_video_frames_per_chunk": Field(integer(gt=0), 93),
    "num_steps": Field(integer(gt=0), 35),
    "show_control_condition": Field(TRUTH, default=False),
    "show_input": Field(TRUTH, default=False),
    "keep_input_resolution": Field(TRUTH, default=True),
    **{hint: optional(kind) for hint, kind in CONTROLS.items()},
    "guided_generation_mask": optional(FILE_OR_FOLDER),
    "guided_generation_step_threshold": Field(integer(), 25),
    "guided_generation_foreground_labels": optional(items(integer())),
}
OVERRIDES = {key: optional(field.kind) for key, field in SAMPLE.items() if key not in ("name", *HINTS)}


def parse_arguments(argv: list[str] | None = None) -> tuple[list[Path], SimpleNamespace, dict[str, Any]]:
    """The spec files, the setup of the process, and the values that override those of all samples."""
    has_distilled = os.environ.get("COSMOS_EXPERIMENTAL_CHECKPOINTS") == "1"
    setup = {
        "output_dir": Field(FOLDER),
        "model": Field(literal("depth", "edge", "seg", "vis", *([DISTILLED] if has_distilled else [])), "edge"),
        "checkpoint_path": optional(TEXT),
        "experiment": optional(TEXT),
        "config_file": Field(TEXT, ""),
        "context_parallel_size": optional(integer(gt=0)),
        "disable_guardrails": Field(SWITCH, default=False),
        "offload_guardrail_models": Field(SWITCH, default=False),
        "keep_going": Field(SWITCH, default=True),
        "profile": Field(SWITCH, default=False),
        "benchmark": Field(SWITCH, default=False),
        "compile_tokenizer": Field(enum("none", "moderate", "aggressive"), "none"),
        "enable_parallel_tokenizer": Field(SWITCH, default=False),
        "parallel_tokenizer_grid": Field(items(integer(), count=2), [-1, -1]),
    }
    groups = [
        Group("args", "Args", {"input_files": Field(items(FOLDER))}, {"input_files": "-i"}),
        Group("setup", "SetupArguments", setup, {"output_dir": "-o"}),
        Group("overrides", "InferenceArgumentsOverrides", OVERRIDES),
    ]
    given = parse(PROGRAM, groups, sys.argv[1:] if argv is None else argv)
    values = {key: value for key, value in given["overrides"].items() if value is not None}
    return [Path(path) for path in given["args"]["input_files"]], SimpleNamespace(**given["setup"]), values


def read_samples(paths: list[Path], overrides: dict[str, Any]) -> tuple[list[SimpleNamespace], list[str]]:
    """The samples of all files, and the kinds of control that any of them has, in their order."""
    if not paths:
        refuse("Error: No inference parameter files")
    samples = [sample for path in paths for sample in _read_file(path, overrides)]
    if not samples:
        refuse("Error: No inference samples")
    names: set[str] = set()
    for sample in samples:
        if sample.name in names:
            refuse(f"Error: Inference samplename {sample.name} is not unique")
        names.add(sample.name)
    return samples, [hint for hint in HINTS if any(hint in hints_of(sample) for sample in samples)]


def _read_file(path: Path, overrides: dict[str, Any]) -> list[SimpleNamespace]:
    if path.suffix == ".json":
        objects = [json.loads(path.read_text())]
    elif path.suffix == ".jsonl":
        objects = [json.loads(text) for text in path.read_text().splitlines()]
    else:
        raise ValueError(f"Unsupported file extension: {path.suffix}")
    folder = Path.cwd()
    # What a spec names is relative to its own folder.
    os.chdir(path.parent)
    samples = []
    for line, given in enumerate(objects):
        try:
            samples.append(_sample(given | overrides))
        except ValidationError as error:
            refuse(f"Error validating parameters from '{path}' at line {line}\n{error}")
    os.chdir(folder)
    return samples


def _sample(given: dict[str, Any]) -> SimpleNamespace:
    if given.get("prompt") is None and given.get("prompt_path") is not None:
        given["prompt"] = Path(given["prompt_path"]).expanduser().absolute().read_text().strip()
    kind = record("InferenceArguments", SAMPLE, after=_check_controls)
    return SimpleNamespace(**validated("InferenceArguments", kind, given))


def _check_controls(values: dict[str, Any]) -> None:
    if not any(values[hint] for hint in HINTS):
        raise ValueError("No controls provided, please provide at least one control key (edge, blur, depth, seg)")
    if values["vis"] and values["image_context_path"]:
        raise ValueError(
            "vis control and image_context_path are both used to transfer style. "
            "Using these modes together leads to conflicts. Please only provide one"
        )


def hints_of(sample: SimpleNamespace) -> list[str]:
    return [hint for hint in HINTS if getattr(sample, hint) is not None]


def refuse(text: str) -> NoReturn:
    """End the process as for a wrong spec."""
    if rank() == 0:
        print(text, file=sys.stderr, flush=True)
    raise SystemExit(1)
