"""How much work a video is for cosmos-transfer2.5, and what it needs of a machine."""

from collections.abc import Mapping

from cosmos_ops.operations.transfer25_frames import CHUNK, aspect_ratio, chunk_count, used_frames
from cosmos_ops.operations.transfer25_params import InferenceTransfer25, complete
from cosmos_ops.operations.transfer25_process import modes_of
from cosmos_ops.params import active_controls
from cosmos_ops.runs import VIDEO, Prompt
from cosmos_ops.sizes import USUAL_PIXELS, Needs, SampleSize
from cosmos_ops.videos import VideoInfo

SIZES: Mapping[str, tuple[tuple[int, int], tuple[int, int], tuple[int, int]]] = {
    "1080": ((1024, 1024), (1440, 1056), (1920, 1056)),
    "1024": ((1024, 1024), (1280, 1024), (1280, 768)),
    "720": ((960, 960), (960, 704), (1280, 704)),
    "512": ((512, 512), (640, 512), (640, 384)),
    "480": ((480, 480), (640, 480), (768, 432)),
    "480p": ((640, 640), (640, 480), (832, 480)),
    "720p": ((960, 960), (960, 720), (1280, 720)),
    "720robocasa": ((720, 720), (960, 720), (1280, 720)),
    "256": ((256, 256), (320, 256), (320, 192)),
}
"""What the model makes for each resolution: square, 4:3 or 3:4, 16:9 or 9:16."""

CALLS = 2
"""With the text and without it. NVIDIA's times of the distilled model are those of two passes a step as well."""
MULTI_PARTS = 4
"""The networks of all controls are loaded as soon as a run has two."""
WEIGHTS_GB = 49.0
WORKING_GB = 16.4
"""Shared by the GPUs: one needs 65.4 GB in all (`docs/inference.md`), each of eight 50 to 52 (issue 17)."""
MORE_CONTROLS_GB = 2.0
"""Three networks more, each 4 of the 28 blocks of 2 billion weights."""


def needs(params: InferenceTransfer25, videos: Mapping[str, VideoInfo]) -> Needs:
    """What a run needs."""
    full, video, controls = complete(params, Prompt(""), videos), videos[VIDEO], active_controls(params)
    frames = used_frames(video.frame_count, params.max_frames)
    chunks = chunk_count(frames, params.num_conditional_frames)
    is_multi = len(controls) > 1
    return Needs(
        size=SampleSize(
            frames=frames,
            chunks=chunks,
            steps=full.num_steps,
            calls_per_step=CALLS,
            controls=len(controls),
            pixels=_pixels(params.resolution, video) / USUAL_PIXELS * (1 / CHUNK if frames == 1 else 1),
        ),
        parts=MULTI_PARTS if is_multi else 1,
        gpu_count=params.num_gpus,
        memory_gb=WEIGHTS_GB + MORE_CONTROLS_GB * is_multi + WORKING_GB / params.num_gpus,
        modes=modes_of([(params, videos)]),
    )


def _pixels(resolution: str, video: VideoInfo) -> int:
    square, narrow, wide = SIZES[resolution]
    shape = aspect_ratio(video.width_px, video.height_px)
    width, height = square if shape == "1:1" else narrow if shape in ("4:3", "3:4") else wide
    return width * height
