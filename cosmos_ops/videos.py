"""What is known of a video file without decoding all of it; read by `cosmos_ops.media.probe`."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

CONTROL_NAMES = ("vis", "edge", "depth", "seg")
"""Controls that a prompt may bring as files: blurred colour, edges, depth, segmentation."""


@dataclass(frozen=True)
class VideoInfo:
    """Size, length and rate of a video as a player shows it (rotation applied)."""

    path: Path
    width_px: int
    height_px: int
    frame_count: int
    fps: Fraction
    """Average frames per second, exact: 24000/1001 stays 24000/1001."""
    duration_s: float
    has_audio: bool
    is_plain: bool = True
    """Whether every program reads the same frames from it: they stand upright and come at one rate."""
