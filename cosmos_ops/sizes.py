"""How much work a run is and what it needs of a machine, as its family knows it; planning turns this into seconds."""

from dataclasses import dataclass

USUAL_PIXELS = 1280 * 720
"""Of a frame; what `SampleSize.pixels` is relative to."""


@dataclass(frozen=True)
class SampleSize:
    """How much work one sample is, whatever it runs on; the family that makes it knows the numbers."""

    frames: int
    chunks: int = 1
    """Pieces of the video that the model makes one after the other; a begun piece costs as much as a full one."""
    steps: int = 1
    calls_per_step: float = 1.0
    """Passes through the model in one step."""
    controls: int = 0
    """Controls that the model computes with, those of weight 0 included."""
    pixels: float = 1.0
    """Size of what one call works on: pixels of a frame relative to 1280 x 720, times frames of a chunk relative to the usual."""


@dataclass(frozen=True)
class Needs:
    """What a run needs."""

    size: SampleSize
    model: str = ""
    """Whose coefficients count, such as `cosmos3/super`; empty: the family's."""
    parts: int | None = None
    """Parts of the model to load beside its base; None: one for each control of the signature."""
    gpu_count: int = 1
    memory_gb: float = 0.0
    """Memory that it needs on each GPU."""
    memory_per_part_gb: float = 0.0
    """What each part more adds to that, in a batch with more controls than the run has."""
    is_widenable: bool = False
    """Whether its result stays exactly the same when the process has further controls, which it then gets at weight 0."""
    modes: tuple[str, ...] = ()
    """What the process does with its model files, which says which of them the host must have (`cosmos_ops.checkpoints`)."""
