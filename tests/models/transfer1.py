"""Transfer1's `transfer.py`, simulated: the loop over the groups of a batch, and what it saves."""

import copy
import json
import os
import pickle
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np

from .program import count_start, fill_disk, log, orders, rank
from .transfer1_inputs import preprocess
from .transfer1_pipeline import Pipeline, Video
from .transfer1_spec import TRANSFER, Controls, parse_arguments, validate

BENCHMARKED = 4


def main(argv: list[str] | None = None) -> int:
    """Generate one video, or those of a batch; the first failure ends the process."""
    cfg, controls = parse_arguments(argv)
    validate(cfg, controls)
    np.random.seed(cfg.seed)
    join_group(cfg)
    if cfg.use_distilled:
        assert not cfg.is_av_sample
    pipeline = Pipeline(cfg, controls)
    if cfg.batch_input_path:
        say(284, f"Reading batch inputs from path: {cfg.batch_input_path}")
        with Path(cfg.batch_input_path).open() as file:
            samples = [json.loads(line) for line in file]
    else:
        samples = [{"prompt": cfg.prompt, "visual_input": cfg.input_video_path}]
    size = cfg.batch_size
    if "upscale" in controls and size > 1:
        size = 1
        say(296, "Setting batch_size=1 as upscale does not support batch generation")
    Path(cfg.video_save_folder).mkdir(parents=True, exist_ok=True)
    for start in range(0, len(samples), size):
        run_group(cfg, controls, pipeline, samples[start : start + size], start)
    return 0


def join_group(cfg: Namespace) -> None:
    """Form the group of all GPUs; as many processes as GPUs must run."""
    if cfg.num_gpus <= 1:
        return
    if "RANK" not in os.environ:
        why = "environment variable RANK expected, but not set"
        raise ValueError(f"Error initializing torch.distributed using env:// rendezvous: {why}")
    world = int(os.environ["WORLD_SIZE"])
    if world % cfg.num_gpus:
        raise RuntimeError(f"world_size ({world}) is not divisible by {cfg.num_gpus}")


def run_group(cfg: Namespace, controls: Controls, pipeline: Pipeline, samples: list[dict[str, Any]], start: int) -> None:
    """Prepare, generate and save the samples that share a forward pass."""
    prompts = [sample.get("prompt") for sample in samples]
    videos = [sample.get("visual_input") for sample in samples]
    prepared = []
    for number, sample in enumerate(samples, start):
        folder = folder_of(cfg, number)
        Path(folder).mkdir(parents=True, exist_ok=True)
        current = overridden(controls, sample)
        say(323, "running preprocessor")
        count_start(f"video_{number}")
        preprocess(cfg, videos[number - start], prompts[number - start], current, folder)
        prepared.append(current)
    batch_outputs = None
    took_s = []
    for _ in range(BENCHMARKED if cfg.benchmark else 1):
        began = time.monotonic()
        batch_outputs = pipeline.generate(prompts, videos, prepared, folder=folder)
        took_s.append(time.monotonic() - began)
        if batch_outputs is None:
            say(377, "Guardrail blocked generation for entire batch.", level="CRITICAL")
    if cfg.benchmark:
        mean = sum(took_s[1:]) / len(took_s[1:])
        say(382, f"The benchmarked generation time for Cosmos-Transfer1 is {mean} seconds.", level="CRITICAL")
    # Where all were blocked, this is where the real program dies.
    made, final_prompts = batch_outputs
    if cfg.num_gpus > 1 and rank():
        return
    # Where some were blocked, the others move up: their numbers are wrong from here on.
    for number, (video, prompt) in enumerate(zip(made, final_prompts, strict=True), start):
        save(cfg, video, prompt, folder_of(cfg, number))


def overridden(controls: Controls, sample: dict[str, Any]) -> Controls:
    """The controls of the spec with what a line of the batch changes; no line can add one."""
    current = copy.deepcopy(controls)
    for hint, override in sample.get("control_overrides", {}).items():
        if hint in current:
            current[hint].update(override)
        else:
            say(320, f"Ignoring unknown control key in override: {hint}", level="WARNING")
    return current


def folder_of(cfg: Namespace, number: int) -> str:
    return str(Path(cfg.video_save_folder, f"video_{number}") if cfg.batch_input_path else cfg.video_save_folder)


def save(cfg: Namespace, video: Video, prompt: str, folder: str) -> None:
    """Write the video, and its prompt last."""
    name, text = ("output", "prompt") if cfg.batch_input_path else (cfg.video_save_name,) * 2
    video_path, prompt_path = Path(folder, f"{name}.mp4"), Path(folder, f"{text}.txt")
    Path(folder).mkdir(parents=True, exist_ok=True)
    if cfg.save_input_noise and not cfg.use_distilled:
        Path(folder, "noise.pickle").write_bytes(pickle.dumps([cfg.seed, video.frames, video.size]))
    if "diskfull" in orders(prompt):
        fill_disk(video_path)
    video.save(video_path, fps=cfg.fps)
    say(412, f"Saved video to {video_path}")
    prompt_path.write_bytes(prompt.encode())
    say(417, f"Saved prompt to {prompt_path}")


def say(line: int, text: str, *, level: str = "INFO") -> None:
    log(level, TRANSFER, line, "demo", text)
