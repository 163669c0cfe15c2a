"""The command line and the spec of Transfer1's `transfer.py`, as strict and as lax as the real ones."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from .program import log

TRANSFER = "cosmos_transfer1/diffusion/inference/transfer.py"
UTILS = "cosmos_transfer1/diffusion/inference/inference_utils.py"
LEVELS = ("very_low", "low", "medium", "high", "very_high")
HINTS = {"vis", "seg", "edge", "depth", "keypoint", "upscale", "hdmap", "lidar"}
AV_HINTS = {"hdmap", "lidar"}
MODEL = "nvidia/Cosmos-Transfer1-7B"
AV_MODEL = "nvidia/Cosmos-Transfer1-7B-Sample-AV"
CHECKPOINTS = {
    **{hint: f"{MODEL}/{hint}_control.pt" for hint in ("vis", "seg", "edge", "depth", "keypoint")},
    "upscale": f"{MODEL}/4kupscaler_control.pt",
    **{hint: f"{AV_MODEL}/{hint}_control.pt" for hint in ("hdmap", "lidar")},
}
DISTILLED_CHECKPOINTS = {"edge": f"{MODEL}/edge_control_distilled.pt"}

PROMPT = (
    "The video captures a stunning, photorealistic scene with remarkable attention to detail, giving it a lifelike appearance "
    "that is almost indistinguishable from reality. It appears to be from a high-budget 4K movie, showcasing "
    "ultra-high-definition quality with impeccable resolution."
)
NEGATIVE_PROMPT = (
    "The video captures a game playing, with bad crappy graphics and cartoonish frames. It represents a recording of old "
    "outdated games. The lighting looks very fake. The textures are very raw and basic. The geometries are very primitive. The "
    "images are very pixelated and of poor CG quality. There are many subtitles in the footage. Overall, the video is "
    "unrealistic at all."
)

Controls = dict[str, dict[str, Any]]


def parser() -> argparse.ArgumentParser:
    """The arguments of `transfer.py`."""
    made = argparse.ArgumentParser(description="Control to world generation demo script", conflict_handler="resolve")
    made.add_argument("--controlnet_specs", type=str, required=True)
    made.add_argument("--prompt", type=str, default=PROMPT)
    made.add_argument("--negative_prompt", type=str, default=NEGATIVE_PROMPT)
    made.add_argument("--input_video_path", type=str, default="")
    made.add_argument("--num_input_frames", type=int, default=1, choices=[1])
    made.add_argument("--sigma_max", type=float, default=70.0)
    made.add_argument("--blur_strength", type=str, default="medium", choices=LEVELS)
    made.add_argument("--canny_threshold", type=str, default="medium", choices=LEVELS)
    made.add_argument("--checkpoint_dir", type=str, default="checkpoints")
    made.add_argument("--tokenizer_dir", type=str, default="Cosmos-Tokenize1-CV8x8x8-720p")
    made.add_argument("--video_save_name", type=str, default="output")
    made.add_argument("--video_save_folder", type=str, default="outputs/")
    made.add_argument("--batch_input_path", type=str)
    made.add_argument("--batch_size", type=int, default=1)
    made.add_argument("--num_steps", type=int, default=35)
    made.add_argument("--guidance", type=float, default=5)
    made.add_argument("--fps", type=int, default=24)
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--num_gpus", type=int, default=1)
    for switch in (
        *("is_av_sample", "offload_diffusion_transformer", "offload_text_encoder_model", "offload_guardrail_models"),
        *("offload_prompt_upsampler", "upsample_prompt", "use_distilled", "save_input_noise", "benchmark"),
    ):
        made.add_argument(f"--{switch}", action="store_true")
    return made


def parse_arguments(argv: list[str] | None = None) -> tuple[argparse.Namespace, Controls]:
    """The arguments, and the controls of the spec.

    A value of the spec wins, unless the very word `--key` is on the command line: `--seed=5` does not count.
    """
    argv = sys.argv[1:] if argv is None else argv
    cfg = parser().parse_args(argv)
    controls, values = load_spec(cfg.controlnet_specs)
    log("INFO", TRANSFER, 172, "parse_arguments", f"control_inputs: {json.dumps(controls, indent=4)}")
    log("INFO", TRANSFER, 173, "parse_arguments", f"args in json: {json.dumps(values, indent=4)}")
    for key, value in values.items():
        if f"--{key}" not in argv:
            setattr(cfg, key, value)
    log("INFO", TRANSFER, 187, "parse_arguments", f"final args: {json.dumps(vars(cfg), indent=4)}")
    return cfg, controls


def load_spec(path: str) -> tuple[Controls, dict[str, Any]]:
    """The controls of a spec in their order, and its other values, of which no name and no type is checked."""
    controls, values = {}, {}
    for key, value in json.loads(Path(path).read_text()).items():
        if key in HINTS:
            controls[key] = value
        elif isinstance(value, dict):
            raise ValueError(f"Invalid hint_key: {key}. Must be one of {HINTS}")
        else:
            values[key] = value
    return controls, values


def validate(cfg: argparse.Namespace, controls: Controls) -> None:
    """Check the controls of the spec, not those of a batch's lines, and fill in what is left out."""
    for hint, control in controls.items():
        if not cfg.input_video_path and cfg.sigma_max < 80:
            raise ValueError("Must have 'input_video' specified if sigma_max < 80")
        if not cfg.input_video_path and "input_control" not in control:
            raise ValueError(f"{hint} controlnet must have 'input_control' video specified if no 'input_video' specified.")
        if "ckpt_path" not in control:
            control["ckpt_path"] = str(Path(cfg.checkpoint_dir, _checkpoint(hint, is_distilled=cfg.use_distilled)))
        if "control_weight" not in control:
            log("WARNING", UTILS, 1253, "validate_controlnet_specs", f"No control weight specified for {hint}. Setting to 0.5.")
            control["control_weight"] = "0.5"
        _check_weight(hint, control["control_weight"])


def _checkpoint(hint: str, *, is_distilled: bool) -> str:
    if not is_distilled:
        return CHECKPOINTS[hint]
    if hint not in DISTILLED_CHECKPOINTS:
        raise ValueError(f"No default distilled checkpoint for {hint}. Users must specify ckpt_path in config.")
    return DISTILLED_CHECKPOINTS[hint]


def _check_weight(hint: str, weight: Any) -> None:
    if isinstance(weight, str) and weight.endswith(".pt"):
        return
    try:
        is_negative = float(weight) < 0
    except ValueError:
        is_negative = True
    if is_negative:
        raise ValueError(f"Control weight for {hint} must be a valid non-negative float or a path to a .pt file.")
