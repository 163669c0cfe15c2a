"""What is wrong with a request to Cosmos 3: all that the program refuses, fails on later, or quietly does otherwise."""

from collections.abc import Iterator, Mapping

from cosmos_ops.operations.cosmos3_params import FRAMES_MAX, TRANSFER_ONLY, InferenceCosmos3
from cosmos_ops.operations.cosmos3_setup_checks import changed, check_setup
from cosmos_ops.operations.cosmos3_shape import (
    COMPUTED,
    IMAGE,
    chunks_of,
    complete,
    frames_of,
    is_image,
    length_source,
    mode_of,
    nearest_aspect_ratio,
    picture_source,
    rounded_up,
    vision_role,
)
from cosmos_ops.params import active_controls
from cosmos_ops.runs import VIDEO, Prompt
from cosmos_ops.videos import VideoInfo

VISION_IMAGES = (".png", ".jpg", ".jpeg", ".webp")
MEDIA_IMAGES = (".png", ".jpg", ".jpeg")
"""Images that the program takes as a control, and beside controls."""

_NO_CONTROLS_ONLY = ("prompt_upsampling", "enable_sound", "condition_frame_indexes_vision", "condition_video_keep")
_ONE_MODE = {"Cosmos3-Super-Text2Image": "text2image", "Cosmos3-Super-Image2Video": "image2video"}
"""Checkpoint, also with 4 steps, to the only mode that it was trained for."""
_VIDEO_MODES = ("text2video", "image2video", "video2video")
_ASPECT_TOLERANCE = 0.01
_MEMORY_MAX_GB = 256
"""The program decodes a file as a whole, whatever it needs of it; few servers have more than that."""

Videos = Mapping[str, VideoInfo]


def check(params: InferenceCosmos3, videos: Videos) -> list[str]:
    """All problems of a request, each a sentence that begins with the parameter or the file."""
    problems = list(check_setup(params))
    if active_controls(params):
        missing = list(_missing_sources(params, videos))
        return [*problems, *_beside_controls(params), *(missing or _with_controls(params, videos))]
    return [*problems, *_without_controls(params, videos)]


def _missing_sources(params: InferenceCosmos3, videos: Videos) -> Iterator[str]:
    for control in active_controls(params):
        if control in videos:
            continue
        if control not in COMPUTED:
            yield f"{control}_weight: there is no {control} file, and Cosmos 3 computes none; add one, or set the weight to 0"
        elif VIDEO not in videos and IMAGE not in videos:
            yield (
                f"{control}_weight: there is no {control} file, and no video or image to compute it from; "
                "add one, or set the weight to 0"
            )


def _beside_controls(params: InferenceCosmos3) -> Iterator[str]:
    if params.checkpoint.startswith(tuple(_ONE_MODE)):
        yield f"checkpoint: {params.checkpoint} takes no controls; choose Cosmos3-Super, or set all weights to 0"
    if params.mode in ("text2image", "text2video", "image2video"):
        yield f"mode: {params.mode} takes no controls; use auto, or set all weights to 0"
    if params.guardrails:
        yield "guardrails: Cosmos 3 screens nothing where there are controls; set it to false, or set all weights to 0"
    for name in changed(params, _NO_CONTROLS_ONLY):
        yield f"{name}: it has no effect with controls; leave it at its default, or set all weights to 0"


def _with_controls(params: InferenceCosmos3, videos: Videos) -> Iterator[str]:
    vision = vision_role(params, mode_of(params, videos), videos)
    used = {role: videos[role] for role in (*active_controls(params), *([vision] if vision else [])) if role in videos}
    for info in used.values():
        yield from check_image(info, MEDIA_IMAGES, " beside controls")
        yield from _memory(info)
    yield from _lengths(params, videos, used)
    yield from _geometry(params, videos, used)
    yield from _vision(params, videos, vision)
    yield from _chunks(params, videos)


def check_image(info: VideoInfo, kinds: tuple[str, ...] = VISION_IMAGES, where: str = "") -> Iterator[str]:
    """What is wrong with a file that is an image by its name, which is what the program goes by."""
    if not is_image(info):
        return
    if info.path.suffix.lower() not in kinds:
        yield f"{info.path}: Cosmos 3 reads no {info.path.suffix} image{where}; save it as .png or .jpg"
    elif info.frame_count > 1:
        yield f"{info.path}: it is named as an image and holds {info.frame_count} frames; name it .mp4, or save one frame"


def _memory(info: VideoInfo) -> Iterator[str]:
    needed = 3 * info.width_px * info.height_px * info.frame_count / 1e9
    if needed > _MEMORY_MAX_GB:
        yield f"{info.path}: Cosmos 3 decodes all of it at once, which takes {needed:,.0f} GB of memory; cut it, or scale it down"


def _lengths(params: InferenceCosmos3, videos: Videos, used: Videos) -> Iterator[str]:
    source, total = length_source(params, videos), frames_of(params, videos)
    assert source is not None
    if source.frame_count > FRAMES_MAX and not params.max_frames:
        yield f"{source.path}: it has {source.frame_count:,} frames; at most {FRAMES_MAX:,} can be made; set max_frames"
    for info in used.values():
        frames = min(info.frame_count, params.max_frames or FRAMES_MAX)
        if frames != total:
            yield (
                f"{info.path}: it has {_count(info)}, but {source.path} has {source.frame_count}; "
                "give files of one length, or set max_frames to that of the shortest"
            )
    if params.num_frames not in (0, total):
        yield f"num_frames: controls decide the length, here {total}; leave it at 0, and shorten by max_frames"
    if params.mode == "image2image" and total > 1:
        yield f"mode: {source.path} has {total} frames, but image2image makes one; use auto, or set max_frames to 1"
    if params.mode == "video2video" and total == 1:
        yield f"mode: {source.path} gives a single frame, which is no video; use auto"


def _count(info: VideoInfo) -> str:
    return "1 frame" if info.frame_count == 1 else f"{info.frame_count} frames"


def _geometry(params: InferenceCosmos3, videos: Videos, used: Videos) -> Iterator[str]:
    first = picture_source(params, mode_of(params, videos), videos)
    assert first is not None
    ratio = first.width_px / first.height_px
    for info in used.values():
        if abs(info.width_px / info.height_px / ratio - 1) > _ASPECT_TOLERANCE:
            yield (
                f"{info.path}: it is {info.width_px}x{info.height_px}, but {first.path} is {first.width_px}x{first.height_px}; "
                "each is cropped by itself and would not fit; give files of one shape"
            )


def _vision(params: InferenceCosmos3, videos: Videos, vision: str | None) -> Iterator[str]:
    if vision is None:
        if params.show_input:
            yield "show_input: there is no input video to show; add one, or leave it off"
        if params.num_first_chunk_conditional_frames:
            yield "num_first_chunk_conditional_frames: there is no input video to begin with; add one, or leave it at 0"
        first = picture_source(params, mode_of(params, videos), videos)
        assert first is not None
        nearest = nearest_aspect_ratio(first)
        if params.aspect_ratio not in ("auto", nearest):
            yield f"aspect_ratio: {first.path} makes the output {nearest}; leave it at auto"
        return
    rate = complete(params.model_copy(update={"fps": 0}), Prompt(""), videos).fps
    if params.fps not in (0, rate) and not is_image(videos[vision]):
        yield f"fps: {videos[vision].path} makes the output {rate} frames per second; leave it at 0"


def _chunks(params: InferenceCosmos3, videos: Videos) -> Iterator[str]:
    total = frames_of(params, videos)
    chunk = complete(params, Prompt(""), videos).num_video_frames_per_chunk
    chunk = 1 if total == 1 else rounded_up(chunk)
    overlap = params.num_conditional_frames
    if overlap >= chunk and chunks_of(total, chunk=chunk, overlap=0) > 1:
        yield f"num_conditional_frames: {overlap} is not below the {chunk} frames of a chunk; choose fewer, or longer chunks"
    begin = params.num_first_chunk_conditional_frames
    longest = min(chunk, total)
    if begin and begin >= longest:
        yield f"num_first_chunk_conditional_frames: {begin} leaves no frame of the first {longest} to make; choose fewer"


def _without_controls(params: InferenceCosmos3, videos: Videos) -> Iterator[str]:
    for name in changed(params, TRANSFER_ONLY):
        yield f"{name}: it works with controls only; leave it at its default, or give a control a weight"
    mode = mode_of(params, videos)
    if mode == "auto":
        yield "mode: there is both an image and a video; say whether it is image2video, image2image or video2video"
        return
    for checkpoint, only in _ONE_MODE.items():
        if params.checkpoint.startswith(checkpoint) and mode != only:
            yield f"checkpoint: {params.checkpoint} is for {only} alone; set mode to that, or choose Cosmos3-Super"
    yield from _conditioned(params, mode, videos)
    yield from _free_length(params, mode)
    yield from _extras(params, mode)


def _conditioned(params: InferenceCosmos3, mode: str, videos: Videos) -> Iterator[str]:
    if mode in ("text2image", "text2video"):
        return
    role = vision_role(params, mode, videos)
    info = videos[role] if role else None
    wanted = VIDEO if mode == "video2video" else IMAGE
    if info is None:
        yield f"mode: {mode} needs an input {wanted}; add one, or choose another mode"
    elif is_image(info) != (wanted == IMAGE):
        yield f"{info.path}: {mode} needs {'an image' if wanted == IMAGE else 'a video'} as input; choose another mode or file"
    else:
        yield from check_image(info)
        yield from _memory(info)
        # The first latent frame is 1 frame, each further one 4.
        fixed = 4 * max(_fixed_latents(params, mode), default=0) + 1
        if mode == "video2video" and info.frame_count < fixed:
            yield (
                f"{info.path}: it has {_count(info)}, but the output takes over {fixed}; "
                "give a longer video, or set condition_frame_indexes_vision to [0]"
            )


def _fixed_latents(params: InferenceCosmos3, mode: str) -> tuple[int, ...]:
    return params.condition_frame_indexes_vision or {"image2video": (0,), "video2video": (0, 1)}.get(mode, ())


def _free_length(params: InferenceCosmos3, mode: str) -> Iterator[str]:
    frames = complete(params, Prompt(""), {}).num_frames
    if mode not in _VIDEO_MODES:
        if params.num_frames > 1:
            yield f"num_frames: {mode} makes one image; leave it at 0"
        return
    if frames == 1:
        yield f"num_frames: {mode} makes a video of 2 frames or more; for an image use text2image or image2image"
        return
    given = params.condition_frame_indexes_vision
    fixed = set(_fixed_latents(params, mode))
    if given and len(fixed) < len(given):
        yield "condition_frame_indexes_vision: a number is there twice; name each once"
    latents = (rounded_up(frames) - 1) // 4 + 1
    if fixed and (max(fixed) >= latents or len(fixed) >= latents):
        yield (
            f"{'condition_frame_indexes_vision' if given else 'num_frames'}: {frames} frames are {latents} latent frames, "
            f"and {len(fixed)} of them, up to number {max(fixed)}, are fixed by the input; make more frames, or fix fewer"
        )


def _extras(params: InferenceCosmos3, mode: str) -> Iterator[str]:
    if params.enable_sound and mode not in _VIDEO_MODES:
        yield f"enable_sound: {mode} makes an image; leave it off"
    elif params.enable_sound and params.checkpoint == "Cosmos3-Edge":
        yield "enable_sound: Cosmos3-Edge makes no sound; leave it off, or choose another checkpoint"
    if params.prompt_upsampling and mode not in ("text2image", "text2video", "image2video"):
        yield f"prompt_upsampling: {mode} cannot do it; leave it off, and enhance the prompt in a stage of its own"
    if params.condition_frame_indexes_vision is not None and mode not in ("image2video", "video2video"):
        yield f"condition_frame_indexes_vision: {mode} fixes no frames; leave it empty"
    if params.condition_video_keep != "first" and mode != "video2video":
        yield f"condition_video_keep: {mode} continues no video; leave it at first"
