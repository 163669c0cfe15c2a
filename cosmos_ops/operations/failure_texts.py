"""What the model programs print when a request or the memory was the reason.

The other reasons are in `model_file_failure_texts` and `host_failure_texts`.
"""

import re
from dataclasses import dataclass
from typing import Literal

from cosmos_ops.errors import (
    CosmosError,
    EnvironmentBrokenError,
    GPUMemoryError,
    OutOfMemoryError,
    SampleBlockedError,
    SpecRefusedError,
)

T1, T25, C3 = ("transfer1",), ("transfer25",), ("cosmos3",)
ALL = T1 + T25 + C3

Weight = Literal["cause", "symptom", "aside"]
"""A cause is why the process failed; a symptom often follows from another failure; after an aside the process goes on."""


@dataclass(frozen=True)
class Failure:
    """One text, or several, of one kind of failure."""

    kind: str
    families: tuple[str, ...]
    pattern: re.Pattern[str]
    error: type[CosmosError]
    remedy: str
    """What to do next: the second half of a sentence."""
    weight: Weight = "cause"
    more_lines: int = 0
    """So many of the lines that follow belong to the text."""


def texts(*patterns: str) -> re.Pattern[str]:
    """One pattern for several texts; each is searched for in a line."""
    return re.compile("|".join(patterns))


_REWORD = "change the prompt or the negative prompt; a harmless word may have been taken for a harmful one"
_OTHER_SEED = "another seed or prompt may pass"
_LESS_GPU_MEMORY = (
    "use a smaller or shorter video or a GPU with more memory, switch offloading on where the model has it, "
    "and see with nvidia-smi that nothing else uses the GPU; more GPUs do not split the weights"
)
_MORE_MEMORY = "allow the container more memory, or use fewer GPUs: each of their processes loads the model"
_SPEC = "correct the parameters, since the same request fails again"
_MEDIA = "see that each video, control and mask is there, can be played and is an mp4, png or jpg"

_BLOCKED = (
    Failure(
        "guardrail-text",
        T1,
        texts(r"Input text prompt \d+ is not safe", r"All prompts failed safety checks"),
        SampleBlockedError,
        _REWORD,
        "aside",
    ),
    Failure(
        "guardrail-text",
        T25,
        texts(r"Guardrail blocked generation\. (?:P|Negative p)rompt"),
        SampleBlockedError,
        _REWORD,
        "aside",
    ),
    Failure("guardrail-text", C3, texts(r"Guardrail blocked prompt '"), SampleBlockedError, _REWORD),
    Failure(
        "guardrail-video",
        T1,
        texts(r"Generated video \d+ is not safe", r"All generated videos failed safety checks"),
        SampleBlockedError,
        _OTHER_SEED,
        "aside",
    ),
    Failure("guardrail-video", T25 + C3, texts(r"Guardrail blocked (?:video|output)"), SampleBlockedError, _OTHER_SEED),
    # The guardrail itself says so of a text and of a video alike.
    Failure(
        "guardrail",
        ALL,
        texts(r"GUARDRAIL BLOCKED", r"Guardrail blocked generation for entire batch"),
        SampleBlockedError,
        f"{_REWORD}, and {_OTHER_SEED}",
        "aside",
    ),
    # What follows where the program does not expect a block.
    Failure(
        "guardrail",
        T1,
        texts(r"cannot unpack non-iterable NoneType object"),
        SampleBlockedError,
        f"the guardrail gave back nothing: {_REWORD}, and {_OTHER_SEED}",
        "symptom",
    ),
)

_MEMORY = (
    Failure(
        "cuda-oom",
        ALL,
        texts(
            r"CUDA out of memory",
            r"torch(?:\.cuda)?\.OutOfMemoryError",
            r"(?i:CUDA error: out of memory|Cuda failure (?:\d+ )?'out of memory')",
            r"CUBLAS_STATUS_ALLOC_FAILED",
            # The prompt upsampler of transfer1 runs in vLLM.
            r"No available memory for the cache blocks",
            r"less than desired GPU memory utilization",
        ),
        GPUMemoryError,
        _LESS_GPU_MEMORY,
    ),
    Failure(
        "host-oom",
        ALL,
        texts(r"(?:\b|_Array)MemoryError\b", r"DefaultCPUAllocator: ", r"Cannot allocate memory", r"std::bad_alloc"),
        OutOfMemoryError,
        _MORE_MEMORY,
    ),
    Failure(
        "host-oom",
        ALL,
        texts(r"exitcode\s*: -9\b", r"Signal 9 \(SIGKILL\)", r"killed by signal: Killed"),
        OutOfMemoryError,
        _MORE_MEMORY,
        "symptom",
    ),
)

_MEDIA_FILES = (
    Failure(
        "nothing-segmented",
        ("transfer1", "transfer25"),
        texts(r"No boxes detected\. Exiting"),
        SpecRefusedError,
        "name objects that are to be seen in the video in the prompt of the segmentation, or give a seg file",
    ),
    Failure(
        "frames-mismatch",
        T25,
        texts(r"No input frames; cannot pad"),
        SpecRefusedError,
        "give controls and masks that have as many frames as the video",
    ),
    Failure(
        "media",
        T1,
        texts(
            r"line \d+, in _load_frame\b",
            r"Failed to load video frames from",
            r"TypeError: .*(?:os\.PathLike|expected str).* not '?NoneType",
        ),
        SpecRefusedError,
        _MEDIA,
    ),
    Failure("media", T25, texts(r"Path does not point to a file"), SpecRefusedError, _MEDIA),
    Failure(
        "media",
        C3,
        texts(r"Missing pre-computed control input", r"Invalid vision extension", r"Unsupported media extension"),
        SpecRefusedError,
        _MEDIA,
    ),
    Failure(
        "media",
        ALL,
        texts(
            r"(?:FileNotFoundError|No such file).*(?:/cosmos/inputs/|\.(?i:mp4|mov|avi|mkv|webm|jpe?g|png|npz)\b)",
            r"moov atom not found",
            r"Invalid data found when processing input",
        ),
        SpecRefusedError,
        _MEDIA,
    ),
)

_SPECS = (
    Failure(
        "index-32-bit",
        T1,
        texts(r"must fit into 32-bit index math"),
        SpecRefusedError,
        "upscale at most 121 frames at once: cut the video and join the results",
    ),
    Failure(
        "patch-mismatch",
        T1,
        texts(r"Sizes of tensors must match except in dimension 1"),
        EnvironmentBrokenError,
        "update the program in the image: its upscaling is older than the fix of this",
    ),
    Failure(
        "region-chunk",
        T1,
        texts(r"Temporal dimension \d+ is not divisible by chunk_length"),
        SpecRefusedError,
        "use a video of at least 121 frames with regional prompts",
    ),
    Failure("spec", T25, texts(r"Error validating parameters from"), SpecRefusedError, _SPEC, more_lines=4),
    Failure(
        "spec",
        C3,
        texts(r"Error validating parameters from", r"ValidationError: \d+ validation error"),
        SpecRefusedError,
        _SPEC,
        more_lines=4,
    ),
    Failure(
        "spec",
        T25 + C3,
        texts(r"Parsing error", r"Unrecognized options", r"Required options"),
        SpecRefusedError,
        _SPEC,
        more_lines=2,
    ),
    Failure(
        "spec",
        T1,
        texts(r"Invalid hint_key", r"Must have 'input_video'", r"Control weight for", r"JSONDecodeError", r"^\w+\.py: error: "),
        SpecRefusedError,
        _SPEC,
    ),
    Failure(
        "spec",
        T25,
        texts(
            r"^Error: .* is not unique",
            r"Unsupported file extension",
            r"JSONDecodeError",
            r"KeyError: ModelKey",
            r"KeyError: '\d+p?'",
        ),
        SpecRefusedError,
        _SPEC,
    ),
    Failure(
        "spec",
        C3,
        texts(
            r"transfer inference requires at least one control hint",
            r"Extra inputs are not permitted",
            r"Batching is not supported for transfer inference",
            r"JSONDecodeError",
        ),
        SpecRefusedError,
        _SPEC,
    ),
)

REQUEST_FAILURES = (*_BLOCKED, *_MEMORY, *_MEDIA_FILES, *_SPECS)
