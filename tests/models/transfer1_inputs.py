"""What Transfer1 reads before it samples: controls that it makes itself, masks, weights, and checkpoints."""

import errno
import os
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np

from .program import VideoInfo, digest_of, file_digest, log, video_info, write_video
from .transfer1_reading import upright
from .transfer1_spec import AV_MODEL, MODEL, Controls

PREPROCESSORS = "cosmos_transfer1/diffusion/inference/preprocessors.py"
MAKERS = {"depth": "DepthAnythingModel", "vis": "VisControlModel", "edge": "EdgeControlModel", "keypoint": "Openpose"}
MADE_FPS = 30
BLOCK = 8
CHECKPOINTS_ROOT = Path("/cosmos/models/transfer1")
TOKENIZER = "nvidia/Cosmos-Tokenize1-CV8x8x8-720p"
T5 = "google-t5/t5-11b"
ALWAYS = (
    *(f"{TOKENIZER}/{name}" for name in ("autoencoder.jit", "encoder.jit", "decoder.jit", "mean_std.pt")),
    "nvidia/Cosmos-Guardrail1/video_content_safety_filter/safety_filter.pt",
    "meta-llama/Llama-Guard-3-8B/model-00001-of-00004.safetensors",
)
HUB_MODELS = {
    "seg": ("facebook/sam2-hiera-large", "IDEA-Research/grounding-dino-tiny"),
    "depth": ("depth-anything/Depth-Anything-V2-Small-hf",),
}
"""What is not read from the folder of checkpoints, but from the cache of the hub."""


def checks_checkpoints() -> bool:
    """Whether checkpoints must be there: `SIM_CHECKPOINTS` says 0 or 1; without it, where their folder is mounted."""
    return os.environ.get("SIM_CHECKPOINTS", "1" if CHECKPOINTS_ROOT.exists() else "0") != "0"


def need_checkpoints(cfg: Namespace, controls: Controls) -> None:
    """Fail as the real program does if a file is missing that it would load."""
    if not checks_checkpoints():
        return
    folder = Path(cfg.checkpoint_dir)
    base = [] if cfg.use_distilled else [f"{AV_MODEL if cfg.is_av_sample else MODEL}/base_model.pt"]
    wanted = [folder / name for name in (*base, *ALWAYS)]
    for path in (*wanted, *(Path(control["ckpt_path"]) for control in controls.values())):
        if not path.is_file():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    if not (folder / T5 / "pytorch_model.bin").is_file():
        where = "cosmos_transfer1/auxiliary/t5_text_encoder.py"
        log(
            "WARNING",
            where,
            46,
            "__init__",
            f"Failed to load T5 model using cache_dir '{folder / T5}', falling back to default location",
        )
        raise _offline(T5)


def _offline(name: str) -> OSError:
    return OSError(
        f"We couldn't connect to 'https://huggingface.co' to load the files, and couldn't find them in the cached files.\n"
        f"Check your internet connection or see how to run the library in offline mode ({name})."
    )


def _need_hub_model(kind: str) -> None:
    cache = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface") / "hub"
    for name in HUB_MODELS.get(kind, ()):
        if checks_checkpoints() and not (cache / f"models--{name.replace('/', '--')}").is_dir():
            raise _offline(name)


def preprocess(cfg: Namespace, video: str, prompt: str, controls: Controls, folder: str) -> None:
    """Make what a sample lacks: control videos, the mask of seg, and the masks of regions."""
    for hint, control in controls.items():
        if hint in ("depth", "seg", "keypoint", "vis", "edge") and control.get("input_control") is None:
            control["input_control"] = _make_control(cfg, hint, video, prompt, control, folder)
        if hint == "seg" and control.get("control_weight_prompt") is not None:
            words, weight = control["control_weight_prompt"], control["control_weight"]
            say(77, "__call__", f"{hint}: generating control weight tensor with SAM using prompt={words!r}")
            scaler = weight if isinstance(weight, float) else 1.0
            control["control_weight"] = _segment(video, [words, scaler], f"{folder}/{hint}_control_weight_{local_rank()}")
    for number, region in enumerate(getattr(cfg, "regional_prompts", None) or []):
        _make_region(video, region, f"{folder}/regional_context_r{local_rank()}_{number}")


def _make_control(cfg: Namespace, hint: str, video: str, prompt: str, control: dict[str, Any], folder: str) -> str:
    """The path of a control video that is computed from the input.

    Edge, vis and the colours of seg are drawn from the generator of the process, so that they depend on what was made before.
    """
    drawn: list[Any] = []
    if hint == "seg":
        words = " ".join(control.get("input_control_prompt", prompt).split()[:128])
        # The objects are coloured at random.
        drawn, maker = [words, int(np.random.randint(2**31))], f"SAM using prompt={words!r}"
    else:
        maker = MAKERS[hint]
    say(149, "gen_input_control", f"no input_control provided for {hint}. generating input control video with {maker}")
    _need_hub_model(hint)
    if hint == "edge":
        lower = int(np.random.randint(20, 100))
        drawn = [lower, lower + int(np.random.randint(50, 150))]
    elif hint == "vis":
        drawn = [int(np.random.randint(4, 18)), cfg.blur_strength]
    info = _load_frames(video)
    path = f"{folder}/{hint}_input_control_{local_rank()}.mp4"
    source = [hint, drawn, file_digest(video)]
    size = _blocks(info) if hint in ("depth", "seg") else _even(info)
    write_video(path, frames=info.frames, fps=MADE_FPS, size=size, source=source)
    return path


def _segment(video: str, words: list[Any], path: str) -> str:
    """The path of a mask tensor; a video of it lies beside."""
    _need_hub_model("seg")
    info = _load_frames(video)
    source = [words, file_digest(video)]
    write_video(f"{path}.mp4", frames=info.frames, fps=MADE_FPS, size=_even(info), source=source)
    Path(f"{path}.pt").write_text(digest_of(source))
    return f"{path}.pt"


def _make_region(video: str, region: dict[str, Any], path: str) -> None:
    say(95, "__call__", f"generating regional context for {region}")
    given = region.get("region_definitions_path")
    if "mask_prompt" in region:
        region["region_definitions_path"] = _segment(video, [region["mask_prompt"]], path)
    elif isinstance(given, str):
        try:
            video_info(given)
        except ValueError:
            raise ValueError(f"Invalid video file: {given}") from None
        Path(f"{path}.pt").write_text(file_digest(given))
        # The next sample of the batch finds this in place of the video, and fails.
        region["region_definitions_path"] = f"{path}.pt"


def weights(controls: Controls) -> dict[str, float | str]:
    """What each control weighs: scalars are shared out where they are more than 1; of a tensor, what is in its file.

    Beside a tensor, a number that is 0 counts as one that is not given, which is 1.
    """
    found: dict[str, float | str] = {}
    has_tensor = any(_is_tensor(control["control_weight"]) for control in controls.values())
    for hint, control in controls.items():
        weight = control["control_weight"]
        found[hint] = file_digest(weight) if _is_tensor(weight) else float(weight or has_tensor)
    total = sum(weight for weight in found.values() if isinstance(weight, float))
    return {hint: weight / total if isinstance(weight, float) and total > 1 else weight for hint, weight in found.items()}


def _is_tensor(weight: Any) -> bool:
    return isinstance(weight, str) and weight.endswith(".pt")


def local_rank() -> int:
    """The rank within the machine, which is in the names of what each rank makes for itself."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def say(line: int, func: str, text: str) -> None:
    log("INFO", PREPROCESSORS, line, func, text)


def _load_frames(video: str) -> VideoInfo:
    if video is None:
        raise TypeError("expected str, bytes or os.PathLike object, not NoneType")
    try:
        return upright(video)
    except ValueError:
        # The real one has a bare `assert` here.
        raise AssertionError from None


def _blocks(info: VideoInfo) -> tuple[int, int]:
    """The writer of depth and segmentation enlarges a picture to whole blocks."""
    return -(-info.width // BLOCK) * BLOCK, -(-info.height // BLOCK) * BLOCK


def _even(info: VideoInfo) -> tuple[int, int]:
    return max(2, info.width // 2 * 2), max(2, info.height // 2 * 2)
