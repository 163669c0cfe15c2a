"""What cosmos-transfer2.5 refuses, fails on or quietly does wrong, said before anything is sent."""

from collections.abc import Mapping

from cosmos_ops.operations.transfer25_frames import (
    CHUNK,
    OTHER_PICTURES,
    aspect_ratio,
    chunk_count,
    is_picture,
    last_chunk,
    used_frames,
)
from cosmos_ops.operations.transfer25_params import FRAMES_MAX, InferenceTransfer25
from cosmos_ops.params import active_controls
from cosmos_ops.runs import VIDEO
from cosmos_ops.videos import VideoInfo

SIDE_MIN_PX = 16
GPUS = (1, 2, 4, 8)
"""The heads of the attention and the frames of a chunk can be divided among so many."""


def check(params: InferenceTransfer25, videos: Mapping[str, VideoInfo]) -> list[str]:
    """All problems of a request, each a sentence that begins with what is wrong."""
    problems = [*_process_problems(params), *_picture_problems(videos), *_style_problems(params, videos)]
    problems += [*_mask_problems(params, videos), *_guided_problems(params, videos)]
    video = videos.get(VIDEO)
    if video is None:
        return [*problems, "video: there is no input video, and the model needs one beside control files; add one"]
    frames = used_frames(video.frame_count, params.max_frames)
    problems += _video_problems(params, video)
    problems += _length_problems(params, frames)
    if frames == 1:
        problems += _lone_mask_problems(params, videos)
    for role, other in videos.items():
        if role not in (VIDEO, "style_image"):
            problems += _differences(other, video, frames)
    return problems


def _process_problems(params: InferenceTransfer25) -> list[str]:
    problems = []
    others = [name for name in active_controls(params) if name != "edge"]
    if params.num_gpus not in GPUS:
        problems.append(f"num_gpus: {params.num_gpus} GPUs cannot share one video; choose 1, 2, 4 or 8")
    if params.distilled and (others or not params.edge_weight):
        named = " and ".join(others) or "no edge control"
        problems.append(f"distilled: the distilled model knows the edge control alone, not {named}; use edge, or the full model")
    return problems


def _picture_problems(videos: Mapping[str, VideoInfo]) -> list[str]:
    return [
        f"{file.path}: of pictures, the program reads png and jpg alone; convert it to one of them"
        for role, file in videos.items()
        if file.path.suffix.lower() in OTHER_PICTURES and role != "guided_mask"
    ]


def _style_problems(params: InferenceTransfer25, videos: Mapping[str, VideoInfo]) -> list[str]:
    style = videos.get("style_image")
    if style is None:
        return []
    problems = []
    if params.vis_weight:
        problems.append(f"{style.path}: a style image and the vis control both set the style; leave the image out, or vis_weight")
    if params.context_frame_index:
        problems.append(f"{style.path}: a style image counts for nothing beside context_frame_index; leave one of them out")
    if style.frame_count > 1:
        problems.append(
            f"{style.path}: it has {style.frame_count} frames, and only the first would set the style; give that one as a picture"
        )
    return problems


def _mask_problems(params: InferenceTransfer25, videos: Mapping[str, VideoInfo]) -> list[str]:
    problems = []
    for name in _prompted_masks(params):
        if f"{name}_mask" in videos:
            mask = videos[f"{name}_mask"].path
            problems.append(f"{name}_mask_prompt: it counts for nothing beside the mask {mask}; leave one of them out")
        elif params.num_gpus > 1:
            problems.append(
                f"{name}_mask_prompt: the processes of {params.num_gpus} GPUs write the mask into one file at the same time; "
                "set num_gpus to 1, or give the mask as a file"
            )
    return problems


def _lone_mask_problems(params: InferenceTransfer25, videos: Mapping[str, VideoInfo]) -> list[str]:
    """The program stretches a mask over the frames after the first one, and fails if there are none."""
    files = [videos[f"{name}_mask"].path for name in active_controls(params) if f"{name}_mask" in videos]
    wrong = [*files, *(f"{name}_mask_prompt" for name in _prompted_masks(params))]
    return [f"{one}: the program fails on the mask of a single frame; leave it out, or use more frames" for one in wrong]


def _guided_problems(params: InferenceTransfer25, videos: Mapping[str, VideoInfo]) -> list[str]:
    mask = videos.get("guided_mask")
    if mask is None:
        return []
    problems = []
    if is_picture(mask) and mask.frame_count == 1:
        problems.append(f"{mask.path}: a guided mask is read as mp4 alone; give it as a video, if need be of one frame")
    if params.distilled:
        problems.append(f"{mask.path}: a guided mask counts for nothing with the distilled model; leave it out, or distilled")
    return problems


def _prompted_masks(params: InferenceTransfer25) -> list[str]:
    return [name for name in active_controls(params) if getattr(params, f"{name}_mask_prompt")]


def _video_problems(params: InferenceTransfer25, video: VideoInfo) -> list[str]:
    problems = []
    if min(video.width_px, video.height_px) < SIDE_MIN_PX:
        size = f"{video.width_px}x{video.height_px}"
        problems.append(f"{video.path}: it is {size}; a video needs at least {SIDE_MIN_PX} pixels a side")
    if video.frame_count > FRAMES_MAX and not params.max_frames:
        problems.append(
            f"{video.path}: it has {video.frame_count} frames, and only the first {FRAMES_MAX} would be read; "
            f"cut it, or set max_frames to at most {FRAMES_MAX}"
        )
    if video.frame_count > 1 and video.fps < 1:
        problems.append(f"{video.path}: it has {float(video.fps):.3g} frames per second; the output needs at least 1")
    if params.context_frame_index >= max(video.frame_count, 1) and params.context_frame_index:
        last = video.frame_count - 1
        choice = f"choose one from 1 to {last}" if last else "leave it out"
        problems.append(f"context_frame_index: {video.path} has no frame {params.context_frame_index}; {choice}")
    return problems


def _length_problems(params: InferenceTransfer25, frames: int) -> list[str]:
    overlap = params.num_conditional_frames
    problems = []
    if params.distilled and frames > CHUNK:
        problems.append(f"distilled: the distilled model makes at most {CHUNK} frames, not {frames}; set max_frames to {CHUNK}")
    if frames == 2 and overlap == 2:
        problems.append("num_conditional_frames: with 2, the program makes nothing of 2 frames; use 1")
    if frames > CHUNK and last_chunk(frames, overlap) == 1:
        problems.append(
            f"num_conditional_frames: with {overlap}, the last of {chunk_count(frames, overlap)} chunks is a single frame, "
            f"on which the program hangs; use 1, or set max_frames to {frames - 1}"
        )
    return problems


def _differences(other: VideoInfo, video: VideoInfo, frames: int) -> list[str]:
    problems = []
    if other.frame_count < frames:
        problems.append(
            f"{other.path}: it has {other.frame_count} frames, but {frames} of {video.path} are used; "
            f"make it as long, or set max_frames to {other.frame_count}"
        )
    ratio, wanted = aspect_ratio(other.width_px, other.height_px), aspect_ratio(video.width_px, video.height_px)
    if ratio != wanted:
        problems.append(
            f"{other.path}: it is {other.width_px}x{other.height_px}, which counts as {ratio}, but {video.path} counts as "
            f"{wanted}; give it the shape of the video"
        )
    return problems
