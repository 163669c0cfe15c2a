"""What Cosmos-Transfer1 would refuse, fail on hours later, or quietly do wrong; each sentence begins with what is wrong."""

from collections.abc import Mapping, Sequence

from cosmos_ops.operations.transfer1_controls import AV_CONTROLS, MADE_HERE, MADE_THERE, Transfer1Controls
from cosmos_ops.operations.transfer1_params import reference_of
from cosmos_ops.operations.transfer1_process import CLIP_FRAMES
from cosmos_ops.operations.transfer1_regions import CELL_PX, MASK_CELLS, RegionalPrompt
from cosmos_ops.params import active_controls
from cosmos_ops.runs import VIDEO
from cosmos_ops.videos import VideoInfo

FRAMES_MIN = 2
FRAMES_MAX = 5000
WIDE = "16:9"
MADE_STEP_PX = 8
"""The program writes depth and segmentation in sizes that are multiples of this."""
SHAPES = {WIDE: 16 / 9, "4:3": 4 / 3, "1:1": 1.0, "3:4": 3 / 4, "9:16": 9 / 16}
"""Every input is brought to the nearest of these."""


def control_problems(
    params: Transfer1Controls,
    videos: Mapping[str, VideoInfo],
    *,
    is_distilled: bool,
    regions: Sequence[RegionalPrompt],
    num_gpus: int,
) -> list[str]:
    """What is wrong with the set of controls and with where they come from."""
    controls = active_controls(params)
    if not controls:
        return ["edge_weight: all control weights are 0; give at least one control a weight above 0"]
    return [
        *_mixed(controls),
        *_missing(controls, videos),
        *(_distilled(controls, videos, regions) if is_distilled else []),
        *_masks(params, controls, videos, regions),
        *_mask_files(controls, videos),
        *(["num_gpus: regional prompts work on one GPU alone; use 1, or leave them out"] if regions and num_gpus > 1 else []),
    ]


def media_problems(params: Transfer1Controls, videos: Mapping[str, VideoInfo], *, regions: Sequence[RegionalPrompt]) -> list[str]:
    """What is wrong with length and shape of the files."""
    controls = active_controls(params)
    reference = reference_of(videos, controls)
    if reference is None:
        return []
    used = [videos[role] for role in (VIDEO, *controls) if role in videos]
    frame_count = reference.frame_count
    problems = [problem for video in used for problem in length_problems(video, longest=FRAMES_MAX)]
    problems += [problem for video in used for problem in _differences(video, reference)]
    problems += _made_there(controls, videos)
    if "seg" in controls and params.seg_weight_prompt and _fills_clips(frame_count):
        problems.append(
            f"seg_weight_prompt: the model fails with it on videos of exactly {frame_count} frames ({CLIP_FRAMES} and a multiple "
            f"of {CLIP_FRAMES - 1} more); cut one frame from {reference.path} and its controls"
        )
    return problems + (_region_problems(regions, reference) if regions else [])


def length_problems(video: VideoInfo, *, longest: int | None = None) -> list[str]:
    """What is wrong with the number of frames of one file."""
    if video.frame_count < FRAMES_MIN:
        return [f"{video.path}: it has {video.frame_count} frame; the model needs a video of at least {FRAMES_MIN}"]
    if longest is not None and video.frame_count > longest:
        return [f"{video.path}: it has {video.frame_count} frames, and the model reads the first {longest} only; cut it shorter"]
    return []


def shape_of(video: VideoInfo) -> str:
    """The shape that the model brings a video to."""
    return _shape(video.width_px, video.height_px)


def _shape(width_px: int, height_px: int) -> str:
    return min(SHAPES, key=lambda name: (SHAPES[name] - width_px / height_px) ** 2)


def _mixed(controls: tuple[str, ...]) -> list[str]:
    others = [control for control in controls if control not in AV_CONTROLS]
    return [
        f"{control}_weight: {control} belongs to the driving model, which has no {' and no '.join(others)}; "
        f"set the weight of {control} or of the others to 0"
        for control in controls
        if control in AV_CONTROLS and others
    ]


def _missing(controls: tuple[str, ...], videos: Mapping[str, VideoInfo]) -> list[str]:
    problems = []
    for control in controls:
        if control in videos:
            continue
        if control in AV_CONTROLS:
            problems.append(f"{control}_weight: there is no {control} video; add {control}.mp4, or set the weight to 0")
        elif VIDEO not in videos and control in (*MADE_HERE, *MADE_THERE):
            problems.append(
                f"{control}_weight: there is no {control} video, and no input video to compute it from; add one of them, "
                "or set the weight to 0"
            )
    return problems


def _distilled(controls: tuple[str, ...], videos: Mapping[str, VideoInfo], regions: Sequence[RegionalPrompt]) -> list[str]:
    problems = []
    if controls != ("edge",):
        problems.append(
            f"distilled: the distilled model knows the edge control alone, not {', '.join(controls)}; set all other weights "
            "to 0, or turn distilled off"
        )
    if VIDEO not in videos:
        problems.append("distilled: the distilled model needs an input video; add one, or turn distilled off")
    if regions:
        problems.append("regional_prompts: the distilled model ignores them; leave them out, or turn distilled off")
    return problems


def _masks(
    params: Transfer1Controls,
    controls: tuple[str, ...],
    videos: Mapping[str, VideoInfo],
    regions: Sequence[RegionalPrompt],
) -> list[str]:
    """Masks are made from the input video."""
    if VIDEO in videos:
        return []
    problems = []
    if "seg" in controls and params.seg_weight_prompt:
        problems.append("seg_weight_prompt: its objects are looked for in the input video; add one, or leave it out")
    for number, region in enumerate(regions):
        if region.mask_prompt:
            problems.append(
                f"regional_prompts.{number}.mask_prompt: its objects are looked for in the input video; add one, or use a box"
            )
    return problems


def _mask_files(controls: tuple[str, ...], videos: Mapping[str, VideoInfo]) -> list[str]:
    """The model takes a mask as a file of its own kind only, which may hold code that runs when it is read."""
    return [
        f"{videos[f'{control}_mask'].path}: this model takes no masks as files; leave it out"
        + (", or name what it covers in seg_weight_prompt" if control == "seg" else "")
        for control in controls
        if f"{control}_mask" in videos
    ]


def _made_there(controls: tuple[str, ...], videos: Mapping[str, VideoInfo]) -> list[str]:
    """What goes wrong where the program computes a control from the input video."""
    if (video := videos.get(VIDEO)) is None:
        return []
    computed = [control for control in controls if control in MADE_THERE and control not in videos]
    width, height = (-(-side // MADE_STEP_PX) * MADE_STEP_PX for side in (video.width_px, video.height_px))
    problems = [
        f"{video.path}: it is {_size(video)}, and the {control} that the model computes from it {width}x{height}; the model "
        f"brings them to different shapes and fails; resize it to {width}x{height}"
        for control in computed
        if control != "keypoint" and _shape(width, height) != shape_of(video)
    ]
    if "keypoint" in computed and video.fps < 1:
        problems.append(
            f"{video.path}: the model cannot compute keypoints of a video with less than 1 frame per second; raise its rate, "
            "or add keypoint.mp4"
        )
    return problems


def _region_problems(regions: Sequence[RegionalPrompt], reference: VideoInfo) -> list[str]:
    problems = []
    if reference.frame_count < CLIP_FRAMES:
        problems.append(
            f"regional_prompts: they need videos of {CLIP_FRAMES} frames and more, and {reference.path} has "
            f"{reference.frame_count}; use a longer video, or leave them out"
        )
    if shape_of(reference) != WIDE:
        problems.append(
            f"regional_prompts: they need a wide video, nearest to {WIDE}, and {reference.path} is {_size(reference)}; "
            "use another video, or leave them out"
        )
    elif (reference.width_px // CELL_PX, reference.height_px // CELL_PX) != MASK_CELLS:
        width, height = (cells * CELL_PX for cells in MASK_CELLS)
        problems += [
            f"regional_prompts.{number}.mask_prompt: the mask has the size of the input video, which must be {width}x{height}, "
            f"and {reference.path} is {_size(reference)}; resize it, or use a box"
            for number, region in enumerate(regions)
            if region.mask_prompt
        ]
    return problems


def _fills_clips(frame_count: int) -> bool:
    """Whether no frame is added at the end; then nothing is added to a mask either, which is one clip long."""
    return frame_count > CLIP_FRAMES and (frame_count - 1) % (CLIP_FRAMES - 1) == 0


def _differences(video: VideoInfo, reference: VideoInfo) -> list[str]:
    problems = []
    if video.frame_count != reference.frame_count:
        problems.append(
            f"{video.path}: it has {video.frame_count} frames, and {reference.path} has {reference.frame_count}; the model would "
            "cut both to the shorter one; make them equally long"
        )
    if shape_of(video) != shape_of(reference):
        problems.append(
            f"{video.path}: it is {_size(video)}, and {reference.path} is {_size(reference)}; the model brings them to different "
            "shapes and fails; make them of one shape"
        )
    return problems


def _size(video: VideoInfo) -> str:
    return f"{video.width_px}x{video.height_px}"
