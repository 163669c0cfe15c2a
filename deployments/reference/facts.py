"""What no code can tell of the families: what they are, what they have been measured to need, and who says so."""

from collections.abc import Mapping
from dataclasses import dataclass

from cosmos_ops.operations.cosmos3_shape import CHUNK_MAX, CHUNK_WSM
from cosmos_ops.operations.transfer1_process import CLIP_FRAMES
from cosmos_ops.operations.transfer25_frames import CHUNK
from cosmos_ops.operations.transfer25_params import DISTILLED_STEPS


@dataclass(frozen=True)
class Facts:
    """The facts of one family."""

    what: str
    memory: str
    memory_source: str
    guardrail: str = ""


@dataclass(frozen=True)
class Result:
    """What one operation of a family makes."""

    portions: str
    """What is made at a time."""
    size: str
    rate: str = ""
    """Frames per second for an input of 29.97, where no parameter sets them."""


NOTHING = Facts("", "", "")
UNKNOWN = Result("", "")

FACTS: Mapping[str, Facts] = {
    "preview": Facts(
        what="classical video processing on a CPU, a rehearsal without a neural model ([preview.md](preview.md))",
        memory="none",
        memory_source="it uses no GPU",
        guardrail="a list of words, always on",
    ),
    "cosmos3": Facts(
        what="NVIDIA Cosmos 3 by `cosmos-framework` 1.2.2: Nano (16B), Super (64B) and Edge (4B)",
        memory="Nano 32 GB (34 measured), Super 128 GB, so 4 to 8 GPUs of 80 GB",
        memory_source="FAQ of cosmos-framework",
        guardrail="the program never screens with controls",
    ),
    "transfer25": Facts(
        what="NVIDIA cosmos-transfer2.5 v1.5.0, 2B",
        memory="65.4 GB with one control; 50 to 52 GiB on each of 8 GPUs",
        memory_source="`docs/inference.md` and issue 17 of cosmos-transfer2.5",
    ),
    "transfer1": Facts(
        what="NVIDIA Cosmos-Transfer1, 7B, with its 4K upscaler and its prompt upsampler (Pixtral 12B)",
        memory="no official figure; 80 GB do, 48 GB do not; distilled with all offloads 32 GB do, 24 GB do not",
        memory_source="issues 143, 189, 192 and 205 of cosmos-transfer1",
        guardrail="always on, it cannot be turned off",
    ),
}
"""By family."""

RESULTS: Mapping[tuple[str, str], Result] = {
    ("inference", "preview"): Result("a frame", "that of the input", "29.97"),
    ("upscale", "preview"): Result("a frame", "`factor` times as wide and high", "29.97"),
    ("inference", "cosmos3"): Result(
        f"with controls chunks of at most {CHUNK_MAX} frames (wsm {CHUNK_WSM}) that overlap by `num_conditional_frames`; "
        "without controls the whole video",
        "`resolution`, in the nearest of five aspect ratios",
    ),
    ("inference", "transfer25"): Result(
        f"chunks of {CHUNK} frames that overlap by `num_conditional_frames`; distilled: one chunk, {DISTILLED_STEPS} steps",
        "that of the input, or with `keep_input_resolution` off that of `resolution`",
        "29",
    ),
    ("inference", "transfer1"): Result(
        f"clips of {CLIP_FRAMES} frames that overlap by 1",
        "the nearest of 960x960, 960x704, 704x960, 1280x704 and 704x1280",
    ),
    ("upscale", "transfer1"): Result(
        f"pieces of at most {CLIP_FRAMES} frames that overlap by 8, joined here",
        "three times as wide and high as the nearest of the sizes above",
    ),
}
"""By operation and family."""
