"""The samples of a batch as cosmos-transfer2.5 reads them, and what our reader of its lines needs to know of them."""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePosixPath

from pydantic import JsonValue

from cosmos_ops.job import JobPaths, Sample, TextFile
from cosmos_ops.operations.operation import Preparation
from cosmos_ops.operations.transfer25_frames import chunk_count, is_read, used_frames
from cosmos_ops.operations.transfer25_params import InferenceTransfer25, complete
from cosmos_ops.params import active_controls, spec_values
from cosmos_ops.runs import VIDEO
from cosmos_ops.videos import VideoInfo

BATCH = PurePosixPath("batch.jsonl")
PLAN = PurePosixPath("plan.json")

_FILE_KEYS = {VIDEO: "video_path", "style_image": "image_context_path", "guided_mask": "guided_generation_mask"}


def prepare(_params: InferenceTransfer25, videos: Mapping[str, VideoInfo]) -> tuple[Preparation, ...]:
    """Videos that the program may not read become mp4."""
    return tuple(Preparation(role, role, "mp4") for role, video in videos.items() if not is_read(video))


def batch_file(samples: Sequence[Sample[InferenceTransfer25]], paths: JobPaths) -> TextFile:
    """One line for each sample, in ASCII: the program splits lines at more characters than JSON escapes in Unicode."""
    lines = [json.dumps(sample_object(sample, paths), allow_nan=False) for sample in samples]
    return TextFile(BATCH, "\n".join(lines) + "\n")


def plan_file(samples: Sequence[Sample[InferenceTransfer25]]) -> TextFile:
    """Chunks and steps of each run; the program does not read it."""
    plan = {sample.run.id: {"chunks": _chunks(sample), "steps": settled(sample).num_steps} for sample in samples}
    return TextFile(PLAN, json.dumps(plan) + "\n")


def sample_object(sample: Sample[InferenceTransfer25], paths: JobPaths) -> dict[str, JsonValue]:
    """The sample with its files where the process sees them."""
    params = settled(sample)
    spec: dict[str, JsonValue] = {"name": sample.run.id, "prompt": sample.prompt.text, **spec_values(params)}
    if frames_of(sample) == 1:
        # The program reflects frames until a chunk is full, for ever if there is only one.
        spec |= {"max_frames": 1, "num_video_frames_per_chunk": 1}
    for role, file in sample.inputs.items():
        seen = str(paths.input(file))
        if role in _FILE_KEYS:
            spec[_FILE_KEYS[role]] = seen
            continue
        control = spec[role.removesuffix("_mask")]
        assert isinstance(control, dict)
        control["mask_path" if role.endswith("_mask") else "control_path"] = seen
    return spec


def settled(sample: Sample[InferenceTransfer25]) -> InferenceTransfer25:
    """The parameters that really count."""
    return complete(sample.run.params, sample.prompt, sample.videos)


def frames_of(sample: Sample[InferenceTransfer25]) -> int:
    """How many frames the output has."""
    return used_frames(sample.videos[VIDEO].frame_count, sample.run.params.max_frames)


def has_mask(sample: Sample[InferenceTransfer25], control: str) -> bool:
    """Whether a control is limited to a part of the picture."""
    return f"{control}_mask" in sample.inputs or bool(getattr(sample.run.params, f"{control}_mask_prompt"))


def computed_models(params: InferenceTransfer25, roles: Collection[str]) -> set[str]:
    """The modes of the auxiliary models that compute what is not there as a file; `roles` are those of the files."""
    controls = active_controls(params)
    modes = {f"auto-{name}" for name in ("seg", "depth") if name in controls and name not in roles}
    if any(getattr(params, f"{name}_mask_prompt") for name in controls):
        modes.add("auto-seg")
    return modes


def _chunks(sample: Sample[InferenceTransfer25]) -> int:
    return chunk_count(frames_of(sample), sample.run.params.num_conditional_frames)
