"""The page of the families, asked of their operations: `python -m deployments.reference models > docs/models.md`."""

from collections.abc import Iterator
from typing import Any

from cosmos_ops.checkpoints import DEFAULT_MODES, MANIFEST, Checkpoint
from cosmos_ops.errors import InputError
from cosmos_ops.operations import FAMILIES, OPERATIONS, family_for, find_operation
from cosmos_ops.operations.operation import Operation
from cosmos_ops.params import PerProcess, PerRun, Prepared, parameters
from cosmos_ops.remote.family_images import FAMILY_IMAGES
from cosmos_ops.settings import Settings
from deployments.reference import probing
from deployments.reference.facts import FACTS, NOTHING, RESULTS, UNKNOWN
from deployments.reference.tables import table
from flows.forms import STAGES

INTRODUCTION = """\
# Families of models

What each family can do, what it needs, and what its runs share. `python -m deployments.reference models > docs/models.md`
writes this page by asking the operations themselves, with imaginary videos; do not edit it.
[parameters.md](parameters.md) has every parameter, [requests.md](requests.md) shows how to ask for something.

None of the GPU families has been run with its weights on a GPU so far. Their command lines, spec files, lines and outputs are
written from the source of the programs, and tested against simulated programs that read the same source a second time.
"""
OPERATIONS_TEXT = """\
## What each family can do

Where a family cannot do a stage, the pipeline asks the one named here instead (`COSMOS_FALLBACK_FAMILIES`, see
[requests.md](requests.md)).
"""
CONTROLS_TEXT = """\
## Controls

Where a control comes from if its weight is above 0. *File*: give one. *Made on this machine*: computed here, before anything
is sent. *Computed on the host*: by the model's program, from the input video. A file that is given always goes first.
"""
LENGTH_TEXT = """\
## Length, size and rate

Frames of the input video that are accepted with the default parameters; the rate is that of the output for an input of 29.97
frames per second.
"""
SHARING_TEXT = """\
## What runs of one process share

Runs share a process, and with it one load of the model, if all parameters of the process are equal, and where the third column
says so, their set of controls. What is prepared on this machine may differ, as may everything that belongs to the run.
"""
GUARDRAIL_TEXT = """\
## GPUs, memory and guardrail

The number of GPUs is the parameter `num_gpus`; a slot of the host must have as many. Memory figures are of others, none was
measured by us.
"""
IMAGES_TEXT = """\
## Images

`cosmos host setup` builds them on the host, from the source at a pinned commit. The room is what docker needs for it.
"""
FILES_TEXT = """\
## Model files

What a run needs, by what it does: `always` and each mode that applies. Revisions that are no commit are those of the first
download. Gated: the account of the token has to accept the licence on huggingface.co first. Without a choice the set-up takes
"""
SILENCE_TEXT = """\
## How long a process may be silent

A process that prints nothing for longer counts as stalled, is stopped and tried once more. These are the minutes for one video
of 121 frames of 1280x720 with the default parameters; longer videos and larger ones may be silent for longer.
"""


def models_page() -> str:
    """The page in Markdown."""
    return "\n".join(
        [
            INTRODUCTION,
            OPERATIONS_TEXT,
            table(("family", "what it is", *STAGES), [_abilities(family) for family in FAMILIES]),
            "",
            CONTROLS_TEXT,
            table(("control", *_making()), list(_sources())),
            "",
            LENGTH_TEXT,
            table(("operation", "frames", "made in", "size", "rate"), [_length(known) for known in _with_video()]),
            "",
            SHARING_TEXT,
            table(("operation", "each run has its own", "controls", "of the process", "prepared here"), list(_sharing())),
            "",
            GUARDRAIL_TEXT,
            table(("family", "GPUs", "memory of a GPU", "says", "guardrail"), [_needs(family) for family in FAMILIES]),
            "",
            IMAGES_TEXT,
            table(
                ("family", "name", "source", "base image", "driver at least", "room"),
                [_image(family) for family in FAMILY_IMAGES],
            ),
            "",
            FILES_TEXT + _default_modes() + ".\n",
            table(("family", "mode", "repository", "files", "revision", "licence", "gated"), list(_files())),
            "",
            SILENCE_TEXT,
            table(("operation", "by phase", "otherwise"), [_silence(known) for known in OPERATIONS]),
            "",
        ]
    )


def _abilities(family: str) -> list[str]:
    return [f"`{family}`", FACTS.get(family, NOTHING).what, *(_ability(family, stage) for stage in STAGES)]


def _ability(family: str, stage: str) -> str:
    try:
        able = family_for(stage, family, Settings.model_fields["fallback_families"].default)
    except InputError:
        return "no"
    return "yes" if able == family else f"no, `{able}` does it"


def _making() -> list[str]:
    return [f"`{known.family}`" for known in OPERATIONS if known.name == "inference"]


def _sources() -> Iterator[list[str]]:
    making = [known for known in OPERATIONS if known.name == "inference"]
    for control in dict.fromkeys(control for known in making for control in probing.controls(known)):
        yield [
            f"`{control}`",
            *(probing.source_of(known, control) if control in probing.controls(known) else "" for known in making),
        ]
    yield ["input video", *("needed" if probing.needs_video(known) else "not if each control has a file" for known in making)]
    yield ["other files", *(", ".join(f"`{role}`" for role in probing.other_files(known)) for known in making)]


def _with_video() -> list[Operation[Any]]:
    return [known for known in OPERATIONS if known.name != "enhance"]


def _named(operation: Operation[Any]) -> str:
    return f"{operation.name}, `{operation.family}`"


def _length(operation: Operation[Any]) -> list[str]:
    result = RESULTS.get((operation.name, operation.family), UNKNOWN)
    fewest, most = probing.frame_limits(operation)
    frames = f"{fewest} to {most:,}" if most else f"{fewest} or more"
    return [_named(operation), frames, result.portions, result.size, probing.output_rate(operation) or result.rate]


def _sharing() -> Iterator[list[str]]:
    for known in OPERATIONS:
        by_place = {kind: _names(known, kind) for kind in (PerRun, PerProcess, Prepared)}
        controls = "" if not probing.controls(known) else "may differ" if known.params.shares_controls else "equal"
        yield [_named(known), by_place[PerRun], controls, by_place[PerProcess], by_place[Prepared]]


def _names(operation: Operation[Any], kind: type) -> str:
    return ", ".join(item.name for item in parameters(operation.params) if isinstance(item.placement, kind))


def _needs(family: str) -> list[str]:
    facts, made = FACTS.get(family, NOTHING), find_operation("inference", family)
    counts = probing.gpu_counts(made)
    gpus = "none" if counts == (0,) else ", ".join(map(str, counts))
    return [f"`{family}`", gpus, facts.memory, facts.memory_source, _guardrail(made)]


def _guardrail(operation: Operation[Any]) -> str:
    text = FACTS.get(operation.family, NOTHING).guardrail
    switch = operation.params.model_fields.get("guardrails")
    if switch is None:
        return text
    return f"switch `guardrails`, {'on' if switch.default else 'off'} unless told otherwise" + (f"; {text}" if text else "")


def _image(family: str) -> list[str]:
    image = FAMILY_IMAGES[family]
    source = f"[{image.repository}](https://github.com/{image.repository}/tree/{image.commit}) at `{image.commit[:12]}`"
    bases = "; or ".join(f"`{base}`" for base in image.drivers)
    return [f"`{family}`", f"`{image.tag}`", source, bases, "; ".join(image.drivers.values()), f"{image.size_gb:g} GB"]


def _default_modes() -> str:
    return "; ".join(f"`{family}`: {', '.join(modes)}" for family, modes in DEFAULT_MODES.items())


def _files() -> Iterator[list[str]]:
    for family, modes in MANIFEST.items():
        for mode, needed in modes.items():
            for source in dict.fromkeys(one.source for one in needed):
                yield [f"`{family}`", f"`{mode}`", *_of_one_source([one for one in needed if one.source == source])]
            if not needed:
                yield [f"`{family}`", f"`{mode}`", "none: the image brings them", "", "", "", ""]


def _of_one_source(files: list[Checkpoint]) -> list[str]:
    one = files[0]
    names = ", ".join("all" if file.file == "*" else f"`{file.file}`" for file in files)
    revision = f"`{one.revision[:8]}`" if one.is_pinned else f"`{one.revision}`"
    link = f"[{one.repository}](https://huggingface.co/{one.repository})"
    return [link, names, revision, one.licence, "gated" if one.is_gated else ""]


def _silence(operation: Operation[Any]) -> list[str]:
    job = probing.job(operation)
    phases = ", ".join(f"{phase} {limit_s / 60:.0f}" for phase, limit_s in job.stall_limits_s.items())
    return [_named(operation), phases, f"{job.stall_limit_s / 60:.0f}"]
