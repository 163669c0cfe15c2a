"""The command line and the samples of Cosmos 3, as strict as the real ones before the model is loaded."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from .flags import Group, parse
from .schema import (
    FILE,
    FILE_OR_URL,
    FOLDER,
    MAPPING,
    SWITCH,
    TEXT,
    TRUTH,
    Field,
    enum,
    integer,
    items,
    literal,
    number,
    optional,
    record,
    validated,
)

PROGRAM = "inference.py"
TITLE = "OmniSampleOverrides"
HINTS = ("edge", "blur", "depth", "seg", "wsm")
MODES = (
    *("text2image", "text2video", "image2image", "image2video", "video2video", "audio_image2video"),
    *("forward_dynamics", "inverse_dynamics", "wam", "reasoner"),
)
LEVELS = ("very_low", "low", "medium", "high", "very_high")
RESOLUTIONS = ("256", "480", *([] if os.environ.get("COSMOS_TRAINING") == "0" else ["704"]), "720", "768")
INTERVAL = items(number(ge=0), count=2)

HINT = {"control_path": optional(FILE_OR_URL), "weight": optional(number())}
HINT_KINDS = {
    "edge": record("EdgeTransferOverrides", {**HINT, "preset_edge_threshold": optional(enum(*LEVELS))}),
    "blur": record("BlurTransferOverrides", {**HINT, "preset_blur_strength": optional(enum("none", *LEVELS))}),
    **{hint: record("TransferOverrides", HINT) for hint in ("depth", "seg", "wsm")},
}
TRANSFER = {
    "control_guidance_interval": optional(INTERVAL),
    "negative_prompt_file": optional(TEXT),
    "num_video_frames_per_chunk": optional(integer(gt=0)),
    "num_conditional_frames": optional(integer(ge=0)),
    "max_frames": optional(integer(gt=0)),
    "show_control_condition": optional(TRUTH),
    "show_input": optional(TRUTH),
    "num_first_chunk_conditional_frames": optional(integer(ge=0)),
    "share_vision_temporal_positions": optional(TRUTH),
    "emphasize_control_in_prompt": optional(TRUTH),
}
"""Keys that make no sense without a hint, and are refused then."""
ON_COMMAND_LINE = {
    "model": optional(TEXT),
    "num_outputs": optional(integer(gt=0)),
    "seed": optional(integer()),
    "tensors_file": optional(FILE),
    "pickle_file": optional(FILE),
    "num_steps": optional(integer(gt=0)),
    "guidance": optional(number(ge=0, le=7)),
    "guidance_interval": optional(INTERVAL),
    "normalize_cfg": optional(TRUTH),
    "shift": optional(number()),
    "sigma_max": optional(number()),
    "prompt_path": optional(FILE),
    "prompt": optional(TEXT),
    "negative_prompt": optional(TEXT),
    "duration_template": optional(TEXT),
    "resolution_template": optional(TEXT),
    "negative_metadata_mode": optional(enum("none", "same", "inverse")),
    "inverse_duration_template": optional(TEXT),
    "inverse_resolution_template": optional(TEXT),
    "negative_prompt_keep_metadata": optional(TRUTH),
    "vision_path": optional(FILE_OR_URL),
    "condition_frame_indexes_vision": optional(items(integer())),
    "condition_video_keep": optional(literal("first", "last")),
    "resolution": optional(literal(*RESOLUTIONS)),
    "aspect_ratio": optional(literal("1,1", "4,3", "3,4", "16,9", "9,16")),
    "fps": optional(integer(ge=1)),
    "num_frames": optional(integer(gt=0)),
    "video_save_quality": optional(integer(ge=0, le=10)),
    "image_save_quality": optional(integer(ge=0, le=100)),
    "enable_sound": optional(TRUTH),
    "sound_path": optional(FILE_OR_URL),
    "action_path": optional(FILE_OR_URL),
    "domain_name": optional(TEXT),
    "image_size": optional(integer(gt=0)),
    "action_chunk_size": optional(integer(gt=0)),
    "raw_action_dim": optional(integer(gt=0)),
    "view_point": optional(TEXT),
    "max_new_tokens": optional(integer(gt=0)),
    "do_sample": optional(TRUTH),
    "temperature": optional(number(gt=0, le=100)),
    "top_k": optional(integer(gt=0)),
    "top_p": optional(number(gt=0, le=1)),
    "repetition_penalty": optional(number(gt=0)),
    "presence_penalty": optional(number()),
    "video_fps": optional(number(gt=0)),
    "control_guidance": optional(number(ge=0, le=10)),
    **TRANSFER,
    "model_mode": optional(enum(*MODES)),
    "prompt_upsampling": optional(TRUTH),
    "prompt_upsampler_max_tokens": optional(integer(gt=0)),
    "prompt_upsampler_temperature": optional(number(ge=0)),
    "prompt_upsampler_top_p": optional(number(ge=0, le=1)),
    "prompt_upsampler_top_k": optional(integer(ge=0)),
    "prompt_upsampler_repetition_penalty": optional(number(gt=0)),
    "prompt_upsampler_presence_penalty": optional(number()),
    "prompt_upsampler_seed": optional(integer()),
    "defaults_file": optional(FILE),
}
IN_FILES_ONLY = {
    "name": optional(TEXT),
    "extra": optional(MAPPING),
    "output_dir": optional(FOLDER),
    **{hint: optional(kind) for hint, kind in HINT_KINDS.items()},
}
SETUP = {
    "output_dir": optional(FOLDER),
    "checkpoint_path": Field(TEXT),
    "parallelism_preset": Field(literal("throughput", "latency"), "latency"),
    "dp_shard_size": Field(integer(ge=0), 0),
    "dp_replicate_size": Field(integer(ge=0), 0),
    "cp_size": Field(integer(ge=0, le=32), 0),
    "cfgp_size": Field(integer(ge=0, le=2), 0),
    "device_memory_utilization": Field(number(ge=0, le=1), 0.75),
    "use_torch_compile": Field(SWITCH, default=True),
    "compiled_region": Field(literal("all", "language"), "all"),
    "compile_dynamic": Field(SWITCH, default=True),
    "use_cuda_graphs": Field(SWITCH, default=False),
    "use_separate_pipeline_vision_decode_gpu": Field(SWITCH, default=False),
    "guardrails": Field(SWITCH, default=True),
    "offload_guardrail_models": Field(SWITCH, default=False),
    "quantization_method": optional(literal("mxfp8", "nvfp4")),
    "quantization_include_regex": Field(TEXT, "language_model.model.layers"),
    "quantization_exclude_regex": Field(TEXT, ""),
    "keep_going": Field(SWITCH, default=False),
    "skip_invalid_samples": Field(SWITCH, default=False),
    "max_num_seqs": Field(integer(gt=0), 1, is_nullable=True),
    "max_model_len": optional(integer(gt=0)),
    "diffusion_cache": Field(SWITCH, default=True),
    "diffusion_cache_thresh": optional(number()),
    "diffusion_cache_residual_order": optional(integer(ge=0, le=2)),
    "sampler": Field(literal("unipc", "edm"), "unipc"),
    "benchmark": Field(SWITCH, default=False),
    "warmup": Field(integer(ge=0), 0),
    "num_iterations": Field(integer(gt=0), 1),
    "debug": Field(SWITCH, default=False),
    "profile": Field(SWITCH, default=False),
    "config_file": Field(TEXT, "cosmos_framework/configs/base/config.py"),
    "experiment": Field(TEXT, ""),
    "experiment_overrides": Field(items(TEXT), []),
    "model_size": optional(TEXT),
    "credential_path": Field(TEXT, "credentials/gcp_checkpoint.secret"),
    "use_ema_weights": Field(SWITCH, default=True),
    "checkpoint_cache_dir": optional(FOLDER),
}


def parse_arguments(argv: list[str] | None = None) -> tuple[list[Path], SimpleNamespace, dict[str, Any]]:
    """The spec files, the setup of the process, and the values that override those of all samples."""
    groups = [
        Group("args", "InferenceArgs", {"input_files": Field(items(FOLDER))}, {"input_files": "-i"}),
        Group("setup", "OmniSetupOverrides", SETUP, {"output_dir": "-o"}),
        Group("sample_overrides", TITLE, ON_COMMAND_LINE, {"num_outputs": "-n"}),
    ]
    given = parse(PROGRAM, groups, sys.argv[1:] if argv is None else argv)
    values = {key: value for key, value in given["sample_overrides"].items() if value is not None}
    return [Path(path) for path in given["args"]["input_files"]], SimpleNamespace(**given["setup"]), values


def check_sample(values: Any) -> dict[str, Any]:
    """A sample as far as it can be checked without a model."""
    kind = record(TITLE, {**ON_COMMAND_LINE, **IN_FILES_ONLY}, after=_check_hints)
    checked: dict[str, Any] = validated(TITLE, kind, values)
    return checked


def _check_hints(values: dict[str, Any]) -> None:
    is_transfer = any(values[key] is not None for key in TRANSFER) or values["control_guidance"] not in (None, 1)
    if is_transfer and not any(values[hint] is not None for hint in HINTS):
        raise ValueError(f"transfer inference requires at least one control hint ({', '.join(HINTS)})")
