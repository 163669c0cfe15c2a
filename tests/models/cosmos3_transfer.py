"""Transfer with Cosmos 3: one sample at a time, chunk by chunk, with controls as the first one says; no guardrail."""

import math
import random
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from .cosmos3_engine import Engine, full_prompt, nearest, pixels
from .cosmos3_samples import PRESETS, hints_of, rounded_up
from .program import digest_of, file_digest, fill_disk, orders, video_info
from .reports import extension, save

TRANSFER = "cosmos_framework/inference/transfer.py"
WITHOUT_FILE = ("edge", "blur")


class Result(NamedTuple):
    """A generated clip, and all that its pictures follow from."""

    frames: int
    fps: float
    size: tuple[int, int]
    control_size: tuple[int, int]
    source: dict[str, Any]
    controls: dict[str, str]


def generate_transfer(engine: Engine, sample: SimpleNamespace) -> None:
    """Generate a clip; only a failure while its files are written is one of the sample alone."""
    engine.start(sample, line=1843, func="_generate_transfer_batch")
    result = _generate(engine, sample)
    if not engine.is_first:
        return
    try:
        _save(engine, sample, result)
    except Exception as error:  # noqa: BLE001 - as upstream
        engine.fail(sample, error)


def _generate(engine: Engine, sample: SimpleNamespace) -> Result:
    hints = hints_of(sample)
    if sample.resolution is None:
        raise ValueError("resolution is required for transfer inference")
    fps, ratio = _shape(sample, hints)
    if sample.num_first_chunk_conditional_frames > 0 and sample.vision_path is None:
        raise ValueError("num_first_chunk_conditional_frames > 0 requires 'vision_path' for first-chunk conditioning")
    frames, controls = 0, {}
    for hint in hints:
        length, controls[hint] = _read_control(engine, sample, hint)
        frames = frames or min(length, sample.max_frames)
    size = pixels(sample.resolution, ratio)
    length = rounded_up(1 if frames == 1 else sample.num_video_frames_per_chunk)
    chunks = chunk_count(frames, length, sample.num_conditional_frames)
    # What is written into the prompt is the ratio of the sample, also where that of the control is used.
    prompt = full_prompt(sample, frames=length, fps=round(fps), size=size, aspect_ratio=sample.aspect_ratio)
    if sample.emphasize_control_in_prompt:
        names = ", ".join(hints)
        prompt = (
            f"{prompt.rstrip()} Follow the {names} control video precisely: shape, contour, silhouette, position, and motion "
            f"of every visible structure must align with the {names} signal at every frame."
        )
    engine.log.say("INFO", f"{TRANSFER}:477:generate_transfer_sample", f"[transfer] final user prompt: {prompt}")
    seed = random.randint(0, 10000) if sample.seed is None else sample.seed
    weights = []
    for chunk in range(chunks):
        weights = normalised([control["weight"] for control in hints.values()])
        _keep_in_step(engine)
        engine.sample(sample, chunk)
    beside = bool(sample.show_control_condition) * len(hints) + bool(sample.show_input and sample.vision_path)
    first = sample.num_first_chunk_conditional_frames
    source = {
        **engine.facts(sample),
        "prompt": prompt,
        "seeds": [seed + chunk for chunk in range(chunks)],
        "controls": [[hint, weight, controls[hint]] for hint, weight in zip(hints, weights, strict=True)],
        "control_guidance": [sample.control_guidance, sample.control_guidance_interval],
        "chunks": [length, sample.num_conditional_frames if chunks > 1 else 0],
        "first": [first, file_digest(sample.vision_path)] if first else [],
        "positions": sample.share_vision_temporal_positions,
        "beside": beside,
    }
    return Result(frames, fps, (size[0] * (1 + beside), size[1]), size, source, controls)


def _shape(sample: SimpleNamespace, hints: dict[str, dict[str, Any]]) -> tuple[float, str]:
    """Frame rate and aspect ratio: of the input and of the sample, or without an input the other way round."""
    if sample.vision_path is not None:
        video = video_info(sample.vision_path)
        return video.fps or float(sample.fps), sample.aspect_ratio or nearest(video.width / video.height)
    first = next(control["control_path"] for control in hints.values() if control["control_path"])
    control = video_info(first)
    return float(sample.fps), nearest(control.width / control.height)


def _read_control(engine: Engine, sample: SimpleNamespace, hint: str) -> tuple[int, str]:
    """Length and digest of a control, which is read, or else computed from the input."""
    control = getattr(sample, hint)
    path = control["control_path"]
    if path and Path(path).exists():
        length = video_info(path).frames
        text = f"Loaded pre-computed {hint} control from {path}"
        engine.log.say("INFO", f"{TRANSFER}:113:load_transfer_control_frames", text)
        return length, file_digest(path)
    if hint not in WITHOUT_FILE:
        raise FileNotFoundError(
            f"Missing pre-computed control input for '{hint}'. Provide a control_path in the transfer config."
        )
    text = f"Computing {hint} control input on the fly"
    engine.log.say("INFO", f"{TRANSFER}:135:load_transfer_control_frames", text)
    return video_info(sample.vision_path).frames, digest_of([hint, file_digest(sample.vision_path), control[PRESETS[hint]]])


def normalised(weights: list[float]) -> list[float]:
    """The weights with the sum 1."""
    assert all(weight >= 0 for weight in weights), f"control_weights must all be non-negative, got {weights}"
    total = sum(weights)
    assert total > 0, f"control_weights must have a positive sum, got {weights}"
    return [weight / total for weight in weights]


def chunk_count(frames: int, length: int, overlap: int) -> int:
    if frames <= length:
        return 1
    if length <= overlap:
        raise ValueError("num_conditional_frames must be smaller than num_video_frames_per_chunk")
    return 1 + math.ceil((frames - length) / (length - overlap))


def _keep_in_step(engine: Engine) -> None:
    """Wait for ever where weights are spread over replicas, which wait for each other at each step."""
    while engine.layout.replicas > 1 and engine.layout.shard > 1:
        time.sleep(3600)


def _save(engine: Engine, sample: SimpleNamespace, result: Result) -> None:
    folder = Path(sample.output_dir)
    # The name follows from the sample, the file from what there is.
    ending = extension(sample.num_frames)
    video = folder / f"vision{ending}"
    if "diskfull" in orders(sample.prompt):
        fill_disk(video)
    save(folder / "vision", frames=result.frames, fps=result.fps, size=result.size, source=result.source)
    assert video.is_file(), video
    files = [video]
    for hint, digest in result.controls.items():
        path = folder / f"control_{hint}{ending}"
        save(path.with_suffix(""), frames=result.frames, fps=result.fps, size=result.control_size, source=[hint, digest])
        files.append(path)
        engine.say(1878, "_generate_transfer_batch", f"Saved control video to '{path}'")
    written = engine.finish(sample, files)
    engine.say(1889, "_generate_transfer_batch", f"Saved transfer outputs to '{written}'", level="SUCCESS")
