"""What a Cosmos 3 sample works on and how large it becomes: mode, files, length, chunks, and the values that follow from them."""

import math
from collections.abc import Collection, Mapping
from typing import Any

from cosmos_ops.operations.cosmos3_params import FPS_MAX, FRAMES_MAX, InferenceCosmos3
from cosmos_ops.params import active_controls
from cosmos_ops.runs import VIDEO, Prompt
from cosmos_ops.videos import VideoInfo

IMAGE = "image"
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
COMPUTED = ("edge", "vis")
"""Controls that the program computes where no file is given."""

HINTS = {"vis": "blur"}
"""Control to what the program calls it, where that differs."""

ASPECT_RATIOS = {"16,9": 16 / 9, "4,3": 4 / 3, "1,1": 1.0, "3,4": 3 / 4, "9,16": 9 / 16}

CHUNK_MAX = 121
"""Longest chunk that is chosen; NVIDIA's own transfer examples use it."""
CHUNK_MIN = 25
"""Shortest chunk that is chosen; NVIDIA warns of videos with less than 24 frames."""
CHUNK_WSM = 101

_TUNED = {"edge": (3.0, 1.5), "vis": (3.0, 1.5), "depth": (3.0, 1.5), "seg": (3.0, 2.0), "wsm": (1.0, 3.0)}
"""Of a control that is alone: guidance and control guidance."""
_MODE_VALUES = {"text2image": (50, 4.0, 3.0), "image2image": (35, 6.0, 5.0)}
"""Steps, guidance and shift of a mode."""
_OTHER_MODE_VALUES = (35, 6.0, 10.0)
_FPS = 24
DISTILLED_STEPS = 4
_RESOLUTIONS = {"Cosmos3-Edge": "480", "Cosmos3-Super-Text2Image-4Step": "768", "Cosmos3-Super-Image2Video-4Step": "480"}
"""Where it is not 720."""


def is_image(info: VideoInfo) -> bool:
    """Whether a file is an image by its name, which is what the program goes by."""
    return info.path.suffix.lower() in IMAGE_SUFFIXES


def is_distilled(params: InferenceCosmos3) -> bool:
    """Whether the checkpoint has steps and guidance built in."""
    return params.checkpoint.endswith("-4Step")


def mode_of(params: InferenceCosmos3, videos: Mapping[str, VideoInfo]) -> str:
    """What is made from what; auto where an image and a video leave it open."""
    if params.mode != "auto":
        return params.mode
    if active_controls(params):
        return "image2image" if frames_of(params, videos) == 1 else "video2video"
    if IMAGE in videos and VIDEO in videos:
        return "auto"
    if IMAGE in videos or (VIDEO in videos and is_image(videos[VIDEO])):
        return "image2video"
    return "video2video" if VIDEO in videos else "text2video"


def vision_role(params: InferenceCosmos3, mode: str, roles: Collection[str]) -> str | None:
    """The role of the file that goes in as `vision_path`, none where the program needs no other than the controls' files."""
    source = next((role for role in (VIDEO, IMAGE) if role in roles), None)
    if controls := active_controls(params):
        is_computed = any(control in COMPUTED and control not in roles for control in controls)
        return source if is_computed or params.num_first_chunk_conditional_frames or params.show_input else None
    if mode in ("image2image", "image2video"):
        return IMAGE if IMAGE in roles else source
    return VIDEO if mode == "video2video" and VIDEO in roles else None


def length_source(params: InferenceCosmos3, videos: Mapping[str, VideoInfo]) -> VideoInfo | None:
    """With controls: the file whose frames are counted, that of the first control or what it is computed from."""
    first = next(iter(active_controls(params)), "")
    return videos.get(first) or videos.get(VIDEO) or videos.get(IMAGE)


def frames_of(params: InferenceCosmos3, videos: Mapping[str, VideoInfo]) -> int:
    """With controls: the number of frames of the output, 0 if no file tells."""
    source = length_source(params, videos)
    return min(source.frame_count, params.max_frames or FRAMES_MAX) if source else 0


def picture_source(params: InferenceCosmos3, mode: str, videos: Mapping[str, VideoInfo]) -> VideoInfo | None:
    """The file that sets the aspect ratio and the rate of the output."""
    vision = vision_role(params, mode, videos)
    return videos[vision] if vision else next((videos[name] for name in active_controls(params) if name in videos), None)


def nearest_aspect_ratio(info: VideoInfo) -> str:
    """The aspect ratio that the program picks for a file."""
    ratio = info.width_px / info.height_px
    return min(ASPECT_RATIOS, key=lambda name: (ASPECT_RATIOS[name] - ratio) ** 2)


def rounded_up(frames: int) -> int:
    """The next number of the form 4k+1, which is what the model makes."""
    return math.ceil((frames - 1) / 4) * 4 + 1


def chunks_of(frames: int, *, chunk: int, overlap: int) -> int:
    """How many chunks the program makes of a video."""
    chunk = 1 if frames == 1 else rounded_up(chunk)
    if frames <= chunk:
        return 1
    return 1 + math.ceil((frames - chunk) / max(1, chunk - overlap))


def best_chunk(frames: int, *, overlap: int) -> int:
    """As few chunks as the longest allows, and these as short as covers the video, so that hardly a frame is made for nothing."""
    count = chunks_of(frames, chunk=CHUNK_MAX, overlap=overlap)
    shortest = math.ceil((frames + (count - 1) * overlap) / count)
    return max(CHUNK_MIN, rounded_up(shortest))


def complete(params: InferenceCosmos3, prompt: Prompt, videos: Mapping[str, VideoInfo]) -> InferenceCosmos3:
    """The parameters with all that follows from the prompt and its files filled in."""
    mode = mode_of(params, videos)
    source = picture_source(params, mode, videos)
    steps, guidance, shift = _MODE_VALUES.get(mode, _OTHER_MODE_VALUES)
    if is_distilled(params):
        steps, guidance = DISTILLED_STEPS, 1.0
    filled: dict[str, Any] = {
        "mode": mode,
        "negative_prompt": params.negative_prompt or prompt.negative_text,
        "num_steps": params.num_steps or steps,
        "fps": params.fps or _fps(source),
    }
    if params.resolution == "auto":
        filled["resolution"] = _RESOLUTIONS.get(params.checkpoint, "720")
    if params.aspect_ratio == "auto":
        filled["aspect_ratio"] = nearest_aspect_ratio(source) if source else "1,1" if mode == "text2image" else "16,9"
    if controls := active_controls(params):
        filled |= _of_controls(params, videos)
        if len(controls) == 1:
            guidance, shift = _TUNED[controls[0]][0], 10.0
    elif not params.num_frames:
        length = 121 if params.checkpoint == "Cosmos3-Edge" else 189
        filled["num_frames"] = 1 if mode in ("text2image", "image2image") else length
    filled["guidance"] = guidance if params.guidance is None else params.guidance
    if params.sampler == "unipc" and not is_distilled(params):
        filled["shift"] = shift if params.shift is None else params.shift
    return params.model_copy(update=filled)


def _of_controls(params: InferenceCosmos3, videos: Mapping[str, VideoInfo]) -> dict[str, Any]:
    controls, frames = active_controls(params), frames_of(params, videos)
    filled: dict[str, Any] = {"num_frames": params.num_frames or frames}
    if not params.num_video_frames_per_chunk and frames:
        chunk = CHUNK_WSM if "wsm" in controls else best_chunk(frames, overlap=params.num_conditional_frames)
        filled["num_video_frames_per_chunk"] = chunk
    if params.control_guidance is None:
        filled["control_guidance"] = _TUNED[controls[0]][1] if len(controls) == 1 else 1.0
    return filled


def _fps(source: VideoInfo | None) -> int:
    if source is None or is_image(source):
        return _FPS
    return min(FPS_MAX, max(1, round(source.fps)))
