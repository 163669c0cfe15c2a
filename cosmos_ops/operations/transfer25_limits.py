"""How long cosmos-transfer2.5 may be silent, from the slowest times that are published, with much to spare."""

from collections.abc import Sequence

from cosmos_ops.job import Sample
from cosmos_ops.operations.transfer25_params import InferenceTransfer25
from cosmos_ops.operations.transfer25_spec import computed_models, settled
from cosmos_ops.runs import VIDEO, Phase

QUIET_S = 1800.0
LOADING_S = 3600.0
"""About 40 GB are read, from a disk that may be shared, and the tokenizer may be compiled."""
STEP_S = 66.0
"""A step at 720 on one H20 in NVIDIA's older table (2326.6 s for 35); newer ones say 20 s."""
SPARE = 10.0
DISTILLED_STEP_S = 45.0
"""A step of the distilled model on one H20 (176.4 s for 4), which shows no bar: its chunks are silent as a whole."""
FRAME_S = 3.0
"""A frame of depth, segmentation, guardrail or face blur on a slow GPU."""
MEGAPIXELS = {"1080": 2.03, "1024": 1.31, "720": 0.92, "720p": 0.92, "720robocasa": 0.92}
"""Of the sizes that are not smaller than half of 720."""


def stall_limit_s(samples: Sequence[Sample[InferenceTransfer25]]) -> float:
    """Seconds without a line that are allowed at the end of a sample, when all its frames are joined, checked and saved."""
    return QUIET_S + FRAME_S * _frames(samples)


def stall_limits_s(samples: Sequence[Sample[InferenceTransfer25]]) -> dict[str, float]:
    """The same for other phases."""
    params = [sample.run.params for sample in samples]
    # Attention grows with the square of the pixels.
    step_s = max(STEP_S * (MEGAPIXELS.get(one.resolution, 0.92) / 0.92) ** 2 for one in params)
    steps = max(settled(sample).num_steps for sample in samples)
    sampling_s = DISTILLED_STEP_S * steps * step_s / STEP_S if params[0].distilled else step_s
    models = max(len(computed_models(sample.run.params, sample.inputs)) for sample in samples)
    return {
        Phase.LOADING.value: LOADING_S,
        Phase.PREPROCESSING.value: QUIET_S + FRAME_S * _frames(samples) * (1 + models),
        Phase.SAMPLING.value: max(QUIET_S, SPARE * sampling_s),
    }


def _frames(samples: Sequence[Sample[InferenceTransfer25]]) -> int:
    """Frames of the longest input: the auxiliary models work on all of them, whatever is used."""
    return max(sample.videos[VIDEO].frame_count for sample in samples)
