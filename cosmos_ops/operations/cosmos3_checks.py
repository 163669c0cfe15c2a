"""What is wrong with a request to Cosmos 3: all that the program refuses, fails on later, or quietly does otherwise."""

from collections.abc import Iterator, Mapping

from cosmos_ops.operations.cosmos3_params import FRAMES_MAX, TRANSFER_ONLY, InferenceCosmos3
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
_VIDEO_MODES = ("text2video", "image2video", "video2video")
_ASPECT_TOLERANCE = 0.01

Videos = Mapping[str, VideoInfo]


def check(params: InferenceCosmos3, videos: Videos) -> list[str]:
    """All problems of a request, each a sentence that begins with the parameter or the file."""
    problems = [*check_gpus(params.num_gpus), *_setup(params), *_intervals(params)]
    if active_controls(params):
        missing = list(_missing_sources(params, videos))
        return [*problems, *(missing or _with_controls(params, videos))]
    return [*problems, *_without_controls(params, videos)]


def check_gpus(count: int) -> Iterator[str]:
    """Half of several GPUs compute without the text and half with it, and the model splits evenly over either half."""
    if count not in (1, 2, 4, 8):
        yield f"num_gpus: {count} GPUs cannot share one video evenly; choose 1, 2, 4 or 8"


def _setup(params: InferenceCosmos3) -> Iterator[str]:
    if params.dp_shard_size and params.num_gpus % params.dp_shard_size:
        yield (
            f"dp_shard_size: {params.num_gpus} GPUs cannot be divided into groups of {params.dp_shard_size}; "
            "choose 0, or a divisor of num_gpus"
        )
    if params.quantization_method != "none" and params.num_gpus > 1 and params.dp_shard_size != 1:
        yield "quantization_method: spread weights cannot be quantized; set dp_shard_size or num_gpus to 1"
    if params.use_cuda_graphs and params.num_gpus > 1:
        yield "use_cuda_graphs: they work on one GPU only; set num_gpus to 1, or leave them off"
    if not params.diffusion_cache:
        for name in ("diffusion_cache_thresh", "diffusion_cache_residual_order"):
            if getattr(params, name) is not None:
                yield f"{name}: the diffusion cache is off; switch it on, or leave this empty"
    if params.sampler == "unipc" and params.sigma_max is not None:
        yield "sigma_max: the sampler unipc ignores it; use shift, or the sampler edm"


def _intervals(params: InferenceCosmos3) -> Iterator[str]:
    for name in ("guidance_interval", "control_guidance_interval"):
        interval = getattr(params, name)
        if interval is not None and interval[0] >= interval[1]:
            yield f"{name}: {interval[0]:g} is not below {interval[1]:g}, so it would never work; give the lower one first"


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


def _with_controls(params: InferenceCosmos3, videos: Videos) -> Iterator[str]:
    if params.mode in ("text2image", "text2video", "image2video"):
        yield f"mode: {params.mode} takes no controls; use auto, or set all weights to 0"
    for name in _changed(params, _NO_CONTROLS_ONLY):
        yield f"{name}: it has no effect with controls; leave it at its default, or set all weights to 0"
    vision = vision_role(params, mode_of(params, videos), videos)
    used = {role: videos[role] for role in (*active_controls(params), *([vision] if vision else [])) if role in videos}
    for info in used.values():
        if is_image(info) and info.path.suffix.lower() not in MEDIA_IMAGES:
            yield f"{info.path}: Cosmos 3 reads no {info.path.suffix} image beside controls; save it as .png or .jpg"
    yield from _lengths(params, videos, used)
    yield from _geometry(params, videos, used)
    yield from _vision(params, videos, vision)
    yield from _chunks(params, videos)


def _lengths(params: InferenceCosmos3, videos: Videos, used: Videos) -> Iterator[str]:
    source, total = length_source(params, videos), frames_of(params, videos)
    assert source is not None
    if source.frame_count > FRAMES_MAX and not params.max_frames:
        yield f"{source.path}: it has {source.frame_count:,} frames; at most {FRAMES_MAX:,} can be made; set max_frames"
    for info in used.values():
        frames = min(info.frame_count, params.max_frames or FRAMES_MAX)
        if frames != total:
            yield (
                f"{info.path}: it has {info.frame_count} frames, but {source.path} has {source.frame_count}; "
                "give files of one length, or set max_frames to that of the shortest"
            )
    if params.num_frames not in (0, total):
        yield f"num_frames: controls decide the length, here {total}; leave it at 0, and shorten by max_frames"
    if params.mode == "image2image" and total > 1:
        yield f"mode: {source.path} has {total} frames, but image2image makes one; use auto, or set max_frames to 1"
    if params.mode == "video2video" and total == 1:
        yield f"mode: {source.path} gives a single frame, which is no video; use auto"


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
    for name in _changed(params, TRANSFER_ONLY):
        yield f"{name}: it works with controls only; leave it at its default, or give a control a weight"
    mode = mode_of(params, videos)
    if mode == "auto":
        yield "mode: there is both an image and a video; say whether it is image2video, image2image or video2video"
        return
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
    elif is_image(info) and info.path.suffix.lower() not in VISION_IMAGES:
        yield f"{info.path}: Cosmos 3 reads no {info.path.suffix} image; save it as .png or .jpg"


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
    fixed = set(given or {"image2video": (0,), "video2video": (0, 1)}.get(mode, ()))
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


def _changed(params: InferenceCosmos3, names: tuple[str, ...]) -> Iterator[str]:
    fields = type(params).model_fields
    return (name for name in names if getattr(params, name) != fields[name].default)
