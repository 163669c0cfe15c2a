"""The modes of Cosmos 3 without controls: images and videos from texts, images and videos, and texts of the reasoner."""

import hashlib
import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from .cosmos3_engine import Engine, full_prompt, pixels
from .program import file_digest, fill_disk, obey, orders, step, video_info
from .reports import extension, save

MODEL = "cosmos_framework/model/generator/omni_mot_model.py"
SHARED = ("guidance", "num_steps", "shift", "guidance_interval", "sigma_max", "normalize_cfg")
DETAIL = "The picture is sharp and rich in detail, with natural light, believable materials and a steady camera."


def generate_vision(engine: Engine, batch: list[SimpleNamespace]) -> None:
    """Generate a batch of images or videos; the guardrail comes after the work, when a sample is saved."""
    contents = [_content(sample) for sample in batch]
    for sample in batch:
        engine.start(sample, line=1547, func="generate_batch")
    for key in SHARED:
        values = [getattr(sample, key) for sample in batch]
        if any(value != values[0] for value in values):
            raise ValueError(f"Attribute '{key}' is not the same for all samples: {values}")
    prompts = [_prompt(engine, sample) for sample in batch]
    engine.sample(batch[0])
    if not engine.is_first:
        return
    try:
        for sample, content, prompt in zip(batch, contents, prompts, strict=True):
            _save(engine, sample, content, prompt)
    except Exception as error:  # noqa: BLE001 - as upstream
        for sample in batch:
            engine.fail(sample, error)


def _content(sample: SimpleNamespace) -> list[Any]:
    """What is read of the input of a sample."""
    is_from_text = sample.model_mode.startswith("text2")
    if sample.vision_path is None and not is_from_text:
        raise ValueError(f"'vision_path' is required for model_mode={sample.model_mode!r}")
    content: list[Any] = []
    for path in (None if is_from_text else sample.vision_path, sample.sound_path):
        if path:
            content.append(file_digest(path))
    if not is_from_text:
        video_info(sample.vision_path)
        content += [sample.condition_frame_indexes_vision, sample.condition_video_keep]
    return content


def _size(sample: SimpleNamespace) -> tuple[int, int]:
    if sample.resolution is None:
        video = video_info(sample.vision_path)
        return video.width, video.height
    return pixels(sample.resolution, sample.aspect_ratio)


def _prompt(engine: Engine, sample: SimpleNamespace) -> str:
    """The prompt with its metadata, upsampled before by the model itself where the sample asks for that."""
    whole = full_prompt(
        sample, frames=sample.num_frames, fps=sample.fps, size=_size(sample), aspect_ratio=sample.aspect_ratio or "16,9"
    )
    if not sample.prompt_upsampling or sample.prompt.lstrip().startswith("{"):
        return whole
    began = time.monotonic()
    upsampled = json.dumps({"temporal_caption": f"{whole} {DETAIL}", "seed": sample.prompt_upsampler_seed})
    took = f"Prompt upsampling took {time.monotonic() - began:.2f} seconds"
    engine.log.say("INFO", f"{MODEL}:3120:_maybe_apply_prompt_upsampling", took)
    return upsampled


def _save(engine: Engine, sample: SimpleNamespace, content: list[Any], prompt: str) -> None:
    engine.check_text(sample, prompt)
    folder = Path(sample.output_dir)
    video = folder / f"vision{extension(sample.num_frames)}"
    if "diskfull" in orders(sample.prompt):
        fill_disk(video)
    seed = _fallback_seed(sample) if sample.seed is None else sample.seed
    source = {
        **engine.facts(sample),
        "mode": sample.model_mode,
        "prompt": prompt,
        "seed": seed,
        "content": content,
        "sound": sample.enable_sound,
    }
    save(folder / "vision", frames=sample.num_frames, fps=sample.fps, size=_size(sample), source=source)
    written = engine.finish(sample, [video])
    engine.say(1812, "generate_batch", f"Saved sample outputs to '{written}'", level="SUCCESS")


def _fallback_seed(sample: SimpleNamespace) -> int:
    """The seed where none is given: of a name and a folder."""
    digest = hashlib.sha256(f"{sample.name}|{sample.output_dir}".encode()).digest()
    return int.from_bytes(digest[:4], "big") & 0x7FFFFFFF


def generate_text(engine: Engine, batch: list[SimpleNamespace]) -> None:
    """Let the reasoner answer; the guardrail reads the prompts before and the answers after."""
    try:
        for sample in batch:
            engine.start(sample, line=0, func="")
            engine.check_text(sample, sample.prompt)
    except Exception as error:  # noqa: BLE001 - as upstream
        for sample in batch:
            engine.fail(sample, error)
        return
    texts = [_answer(sample) for sample in batch]
    obey(orders(batch[0].prompt))
    step(orders(batch[0].prompt))
    if not engine.is_first:
        return
    try:
        for sample, text in zip(batch, texts, strict=True):
            engine.check_text(sample, text)
            path = Path(sample.output_dir) / "reasoner_text.txt"
            if "diskfull" in orders(sample.prompt):
                fill_disk(path)
            path.write_text(text)
            engine.finish(sample, [path], {"reasoner_text": text})
            engine.say(1981, "_generate_reasoner_batch", f"Saved reasoner outputs to '{sample.output_dir}'", level="SUCCESS")
    except Exception as error:  # noqa: BLE001 - as upstream
        for sample in batch:
            engine.fail(sample, error)


def _answer(sample: SimpleNamespace) -> str:
    """A text that follows from the prompt, and from the input if there is one."""
    seen = ""
    if sample.vision_path:
        video = video_info(sample.vision_path)
        seen = f" It shows what is seen in {video.frames} frames of {video.width}x{video.height} pixels."
    words = f"{sample.prompt.strip()}{seen} {DETAIL}".split()
    return " ".join(words[: sample.max_new_tokens])
