"""The samples of Cosmos 3 completed: defaults of the mode and of the hint, and the rules between keys that need a model."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from .cosmos3_arguments import HINTS, MODES, check_sample
from .cosmos3_setup import Model
from .reports import Log

ARGS = "cosmos_framework/inference/args.py"
IMAGES = (".png", ".jpg", ".jpeg", ".webp")
VIDEOS = (".mp4",)
ACTION_MODES = ("forward_dynamics", "inverse_dynamics", "wam")
TEMPORAL_FACTOR = 4
MIN_FRAMES = 24
MAX_FRAMES = {"256": 400, "480": 300, "704": 200, "720": 200, "768": 200}
NEGATIVE_PROMPT = json.dumps({"description": "Low quality, blurry, distorted, jittery, with artifacts and subtitles."})

COMMON = {
    "duration_template": "The video is {duration:.1f} seconds long and is of {fps:.0f} FPS.",
    "resolution_template": "This video is of {height}x{width} resolution.",
    "inverse_duration_template": "The video is not {duration:.1f} seconds long and is not of {fps:.0f} FPS.",
    "inverse_resolution_template": "This video is not of {height}x{width} resolution.",
    "negative_metadata_mode": "none",
    "negative_prompt_keep_metadata": True,
    "negative_prompt": NEGATIVE_PROMPT,
    "normalize_cfg": False,
    "sigma_max": 80.0,
    "num_steps": 35,
    "guidance": 6.0,
    "shift": 10.0,
    "fps": 24,
    "video_save_quality": 10,
    "image_save_quality": 95,
}
VIDEO = {**COMMON, "aspect_ratio": "16,9", "num_frames": 189}
ACTION = {**VIDEO, "num_steps": 30, "guidance": 1.0}
# They are the files `inference/defaults/<mode>/sample_args.json`.
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    **dict.fromkeys(("text2video", "image2video", "video2video", "audio_image2video"), VIDEO),
    "text2image": {**COMMON, "num_steps": 50, "guidance": 4.0, "shift": 3.0, "aspect_ratio": "1,1", "num_frames": 1},
    "image2image": {**COMMON, "shift": 5.0, "num_frames": 1},
    **dict.fromkeys(ACTION_MODES, ACTION),
    "reasoner": {
        **COMMON,
        "num_frames": 1,
        "max_new_tokens": 1024,
        "do_sample": False,
        "temperature": 1.0,
        "repetition_penalty": 1.0,
        "presence_penalty": 0.0,
    },
}
TRANSFER_DEFAULTS = {
    "num_video_frames_per_chunk": 93,
    "num_conditional_frames": 1,
    "max_frames": 5000,
    "show_control_condition": False,
    "show_input": False,
    "num_first_chunk_conditional_frames": 0,
    "share_vision_temporal_positions": True,
    "emphasize_control_in_prompt": True,
}
TUNED = {
    **{hint: {"guidance": 3.0, "control_guidance": 1.5, "shift": 10.0} for hint in ("edge", "blur", "depth")},
    "seg": {"guidance": 3.0, "control_guidance": 2.0, "shift": 10.0},
    "wsm": {
        "guidance": 1.0,
        "control_guidance": 3.0,
        "shift": 10.0,
        "num_frames": 101,
        "fps": 10,
        "num_video_frames_per_chunk": 101,
    },
}
"""What holds for a transfer with this hint alone where the sample says nothing."""
PRESETS = {"edge": "preset_edge_threshold", "blur": "preset_blur_strength"}
UPSAMPLER_DEFAULTS = {
    "prompt_upsampler_max_tokens": 20000,
    "prompt_upsampler_temperature": 0.7,
    "prompt_upsampler_top_p": 0.8,
    "prompt_upsampler_top_k": 20,
    "prompt_upsampler_repetition_penalty": 1.0,
    "prompt_upsampler_presence_penalty": 1.5,
    "prompt_upsampler_seed": 3407,
}


def build(given: dict[str, Any], model: Model, log: Log) -> SimpleNamespace:
    """A sample with all its values.

    Raises:
        ValueError: Its keys do not fit each other, or the model.
    """
    own = {key: value for key, value in given.items() if value is not None}
    condition = _condition(own.get("vision_path"))
    mode = own.get("model_mode") or _inferred(condition, own.get("num_frames"))
    if "defaults_file" in own:
        defaults = json.loads(Path(own["defaults_file"]).read_text())
    else:
        defaults = dict(DEFAULTS[mode])
        if model.num_frames != VIDEO["num_frames"] and defaults["num_frames"] > 1:
            defaults["num_frames"] = model.num_frames
    known = check_sample({**{key: value for key, value in defaults.items() if key in given}, **own})
    sample = SimpleNamespace(**known)
    sample.output_dir = given["output_dir"]
    sample.model_mode = mode
    sample.extra, sample.model, sample.num_outputs = sample.extra or {}, sample.model or "", sample.num_outputs or 1
    sample.condition_video_keep = sample.condition_video_keep or "first"
    _fill(sample, UPSAMPLER_DEFAULTS)
    _set_prompt(sample)
    if mode == "reasoner":
        if not sample.prompt.strip():
            raise ValueError("Reasoner inference requires a non-empty 'prompt'.")
        return sample
    _set_vision(sample, condition, model, log)
    _set_sound(sample, model)
    _set_transfer(sample, frozenset(own))
    return sample


def _fill(sample: SimpleNamespace, values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if getattr(sample, key) is None:
            setattr(sample, key, value)


def hints_of(sample: SimpleNamespace) -> dict[str, dict[str, Any]]:
    """The hints of a sample, in the order of the model."""
    return {hint: getattr(sample, hint) for hint in HINTS if getattr(sample, hint) is not None}


def _condition(vision_path: str | None) -> str:
    if vision_path is None:
        return "text"
    suffix = Path(vision_path).suffix.lower()
    if suffix not in IMAGES + VIDEOS:
        raise ValueError(f"Invalid vision extension: {suffix}")
    return "image" if suffix in IMAGES else "video"


def _inferred(condition: str, num_frames: int | None) -> str:
    mode = f"{condition}2{'image' if num_frames == 1 else 'video'}"
    if mode not in MODES:
        raise ValueError(f"'{mode}' is not a valid ModelMode")
    return mode


def _set_prompt(sample: SimpleNamespace) -> None:
    if sample.prompt is None and sample.prompt_path is not None:
        path = Path(sample.prompt_path)
        text = path.read_text()
        is_object = hints_of(sample) and path.suffix.lower() == ".json"
        sample.prompt = json.dumps(json.loads(text)) if is_object else text.strip()
    sample.prompt = sample.prompt or ""
    if sample.negative_prompt_keep_metadata and sample.negative_metadata_mode == "none":
        sample.negative_metadata_mode = "same"


def _set_vision(sample: SimpleNamespace, condition: str, model: Model, log: Log) -> None:
    if sample.condition_frame_indexes_vision is None:
        sample.condition_frame_indexes_vision = {"text": [], "image": [0], "video": [0, 1]}[condition]
    if sample.model_mode != "image2image":
        sample.resolution = sample.resolution or model.resolution
    assert sample.num_frames is not None
    assert sample.num_steps is not None
    if sample.fps is not None and not 10 <= sample.fps <= 30:
        text = f"FPS {sample.fps} is outside the recommended range [10, 30]. Quality may be degraded."
        log.say("WARNING", f"{ARGS}:545:_build_vision_data", text)
    most = MAX_FRAMES[sample.resolution or model.resolution]
    if sample.num_frames > 1 and not MIN_FRAMES <= sample.num_frames <= most:
        text = f"Number of frames {sample.num_frames} is outside the recommended range [{MIN_FRAMES}, {most}]."
        log.say("WARNING", f"{ARGS}:556:_build_vision_data", f"{text} Quality may be degraded.")
    if os.environ.get("COSMOS_SMOKE") == "1":
        sample.num_steps, sample.num_frames = 1, min(sample.num_frames, 2)
    sample.num_frames = rounded_up(sample.num_frames)


def rounded_up(frames: int) -> int:
    """The next number of frames that the tokenizer takes: 4k + 1."""
    return math.ceil((frames - 1) / TEMPORAL_FACTOR) * TEMPORAL_FACTOR + 1


def _set_sound(sample: SimpleNamespace, model: Model) -> None:
    mode = sample.model_mode
    if mode in ACTION_MODES:
        raise ValueError(
            f"model_mode={mode!r} requires a model with action support (model.config.action_gen=True), "
            "but the loaded checkpoint has action_gen=False"
        )
    if mode == "audio_image2video":
        if sample.sound_path is None:
            raise ValueError(f"model_mode={mode} requires a `sound_path` (a conditioning audio clip)")
        sample.enable_sound = True
    sample.enable_sound = bool(sample.enable_sound)
    if sample.enable_sound and not model.has_sound:
        raise ValueError(
            "enable_sound=True requires a model with a sound tokenizer (model.config.sound_gen=True), "
            "but the loaded checkpoint has no sound tokenizer"
        )


def _set_transfer(sample: SimpleNamespace, given: frozenset[str]) -> None:
    if sample.control_guidance is None:
        sample.control_guidance = 1.0
    hints = hints_of(sample)
    if not hints:
        return
    _fill(sample, TRANSFER_DEFAULTS)
    for hint, control in hints.items():
        control["weight"] = 1.0 if control["weight"] is None else control["weight"]
        if hint in PRESETS:
            control[PRESETS[hint]] = control[PRESETS[hint]] or "medium"
        if sample.vision_path is None and control["control_path"] is None:
            raise ValueError(f"transfer inference requires 'vision_path' or a pre-computed 'control_path' (hint: {hint})")
    if len(hints) == 1:
        for key, value in TUNED[next(iter(hints))].items():
            if key not in given:
                setattr(sample, key, value)
