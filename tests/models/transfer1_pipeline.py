"""The pipeline of Transfer1: models are loaded once, then group by group is checked, encoded, sampled and checked again."""

import math
import os
import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .program import Settings, bar, file_digest, is_blocked, log, obey, orders, step, video_info, write_video
from .transfer1_inputs import need_checkpoints, weights
from .transfer1_reading import as_read
from .transfer1_spec import AV_HINTS, LEVELS, Controls
from .transfer1_upsampler import PixtralPromptUpsampler

WGP = "cosmos_transfer1/diffusion/inference/world_generation_pipeline.py"
PRESETS = "cosmos_transfer1/auxiliary/guardrail/common/presets.py"
SIZES = {1.0: (960, 960), 4 / 3: (960, 704), 3 / 4: (704, 960), 16 / 9: (1280, 704), 9 / 16: (704, 1280)}
"""Aspect ratio to the size of what is generated."""
WIDE = (1280, 704)
"""Masks of regions always have the size that belongs to this one."""
UPSCALE = 3
MAX_FRAMES = 5000
CLIP_FRAMES = 121
OVERLAP = 1
PATCHES = 9
MISMATCH = "Error(s) in loading state_dict for VideoDiffusionModelWithCtrl: size mismatch for input_hint_block"


@dataclass(frozen=True)
class Video:
    """What is known of a video before it is written."""

    frames: int
    size: tuple[int, int]
    source: Any

    def save(self, path: Path, *, fps: int) -> None:
        write_video(path, frames=self.frames, fps=fps, size=Settings.read().scaled(self.size), source=self.source)


class Pipeline:
    """One process's models, for one ordered set of controls."""

    def __init__(self, cfg: Namespace, controls: Controls) -> None:
        self.cfg = cfg
        self.controls = controls
        self.upsampler: PixtralPromptUpsampler | None = None
        self.upsampled_hint = ""
        need_checkpoints(cfg, controls)
        if cfg.upsample_prompt:
            self._load_upsampler()
        time.sleep(Settings.read().load_s)
        if not cfg.offload_diffusion_transformer:
            self._load_network()

    def generate(
        self, prompts: list[str], videos: list[str], controls: list[Controls], *, folder: str
    ) -> tuple[list[Video], list[str]] | None:
        """The videos of a group and their prompts, without those that the guardrail blocked; none if it blocked all."""
        say(705, "generate", f"Running batch generation with batch_size={len(prompts)}")
        if self.upsampler and int(os.environ["RANK"]) == 0:
            prompts = [self._upsample(number, prompts, videos[number], folder) for number in range(len(prompts))]
        say(728, "generate", "Running guardrail checks on all prompts")
        safe = [number for number, prompt in enumerate(prompts) if self._passes(number, prompt)]
        if not safe:
            say(740, "generate", "All prompts failed safety checks", level="CRITICAL")
            return None
        prompts, videos, controls = ([values[number] for number in safe] for values in (prompts, videos, controls))
        say(758, "generate", "Starting T5 compute")
        say(760, "generate", "Completed T5 compute")
        made = self._run(prompts, videos, controls)
        say(786, "generate", "Finish generation")
        say(788, "generate", "Run guardrail on generated videos")
        shown = [number for number, prompt in enumerate(prompts) if self._is_shown(number, prompt)]
        if not shown:
            say(799, "generate", "All generated videos failed safety checks", level="CRITICAL")
            return None
        return [made[number] for number in shown], [prompts[number] for number in shown]

    def _load_network(self) -> None:
        for control in self.controls.values():
            say(345, "_load_network", f"Loading ctrl model from ckpt_path: {control['ckpt_path']}")
        if (AV_HINTS if not self.cfg.is_av_sample else set(self.controls) - AV_HINTS) & set(self.controls):
            raise RuntimeError(MISMATCH)

    def _load_upsampler(self) -> None:
        viewed = [hint for hint in ("vis", "edge") if hint in self.controls]
        self.upsampled_hint = (viewed or [hint for hint in self.controls if hint in ("seg", "depth")] or [""])[0]
        if self.upsampled_hint:
            offloads = self.cfg.offload_prompt_upsampler
            self.upsampler = PixtralPromptUpsampler(self.cfg.checkpoint_dir, offload_prompt_upsampler=offloads)

    def _upsample(self, number: int, prompts: list[str], video: str, folder: str) -> str:
        say(717, "generate", f"Upsampling prompt {number + 1}/{len(prompts)}: {prompts[number][:50]}...")
        Path(folder, f"video_{number}").mkdir(parents=True, exist_ok=True)
        # It looks at the control of the spec, not at that of the line.
        control = self.controls[self.upsampled_hint].get("input_control")
        if control is None and self.upsampled_hint in ("vis", "edge"):
            control = f"{folder}/video_{number}/control_input_{self.upsampled_hint}_upsampler.mp4"
            info = video_info(video)
            source = [self.upsampled_hint, file_digest(video)]
            write_video(control, frames=min(10, info.frames), fps=24, size=(info.width, info.height), source=source)
        assert self.upsampler
        upsampled = self.upsampler._prompt_upsample_with_offload(prompt=prompts[number], video_path=control)
        say(724, "generate", f"Upsampled prompt {number + 1}: {upsampled[:50]}...")
        return upsampled

    def _passes(self, number: int, prompt: str) -> bool:
        if prompt is None:
            raise TypeError("expected string or bytes-like object, got 'NoneType'")
        if not is_blocked(prompt):
            return True
        log("CRITICAL", PRESETS, 52, "run_text_guardrail", "GUARDRAIL BLOCKED: Blocklist: Prompt is not safe")
        say(735, "generate", f"Input text prompt {number + 1} is not safe", level="CRITICAL")
        return False

    def _is_shown(self, number: int, prompt: str) -> bool:
        if "blockvideo" not in orders(prompt):
            return True
        log(
            "CRITICAL",
            PRESETS,
            68,
            "run_video_guardrail",
            "GUARDRAIL BLOCKED: Video content safety filter: unsafe frame detected",
        )
        say(796, "generate", f"Generated video {number + 1} is not safe", level="CRITICAL")
        return False

    def _run(self, prompts: list[str], videos: list[str], controls: list[Controls]) -> list[Video]:
        if self.cfg.offload_diffusion_transformer:
            time.sleep(Settings.read().load_s)
            self._load_network()
        say(484, "_run_model", "Starting data augmentation")
        made = [self._read(*sample) for sample in zip(prompts, videos, controls, strict=True)]
        shapes = [(video.frames, *video.size) for video in made]
        for number, shape in enumerate(shapes):
            for ours, first in zip(shape, shapes[0], strict=True):
                if ours != first:
                    where = f"Expected size {first} but got size {ours} for tensor number {number} in the list."
                    raise RuntimeError(f"Sizes of tensors must match except in dimension 0. {where}")
        say(527, "_run_model", "Completed data augmentation")
        self._sample(made[0].frames, prompts)
        return made

    def _read(self, prompt: str, path: str, controls: Controls) -> Video:
        """What becomes of a sample, and what that depends on."""
        cfg = self.cfg
        uses_video = cfg.sigma_max < 80
        if not path and uses_video:
            raise TypeError("expected str, bytes or os.PathLike object, not NoneType")
        infos = [as_read(path)] if path else []
        read = []
        for hint, control in controls.items():
            content = ""
            if "input_control" in control:
                say(500, "get_ctrl_batch", f"reading control input {control['input_control']} for hint {hint}")
                infos.append(as_read(control["input_control"]))
                content = file_digest(control["input_control"])
            elif hint in AV_HINTS:
                raise KeyError(f"control_input_{hint}")
            read.append([hint, content])
        frames = min(MAX_FRAMES, *(info.frames for info in infos)) if infos else 0
        if cfg.blur_strength not in LEVELS:
            raise KeyError(cfg.blur_strength)
        sizes = {SIZES[min(SIZES, key=lambda known, info=info: abs(known - info.width / info.height))] for info in infos}
        if len(sizes) > 1:
            raise RuntimeError("Sizes of tensors must match except in dimension 0.")
        ((width, height),) = sizes
        factor = UPSCALE if "upscale" in controls else 1
        shared = weights(controls)
        source = {
            "prompt": prompt,
            "negative_prompt": cfg.negative_prompt,
            "seed": cfg.seed,
            "steps": 1 if cfg.use_distilled else cfg.num_steps,
            "guidance": float(cfg.guidance),
            "sigma_max": float(cfg.sigma_max),
            "models": [cfg.is_av_sample, cfg.use_distilled],
            "video": file_digest(path) if uses_video or "upscale" in controls else "",
            # The network of a control of weight 0 is computed in full, and what it gives multiplied by 0.
            "controls": [[hint, shared[hint], content] for hint, content in read if shared[hint]],
            # Those of several controls are not told that they have a part of the clip only.
            "split": cfg.num_gpus if cfg.num_gpus > 1 and len(controls) > 1 else 1,
            "regions": self._regions(frames, (width, height)),
        }
        return Video(frames, (factor * width, factor * height), source)

    def _regions(self, frames: int, size: tuple[int, int]) -> list[Any]:
        regions = getattr(self.cfg, "regional_prompts", None) or []
        if regions and self.cfg.num_gpus > 1:
            raise AssertionError(f"{CLIP_FRAMES} cannot divide cp_size {self.cfg.num_gpus}")
        if regions and size != WIDE:
            raise RuntimeError(f"The masks of regions have the size of {WIDE}, and the video that of {size}")
        if regions and frames < CLIP_FRAMES:
            raise ValueError(f"Temporal dimension {frames} is not divisible by chunk_length {CLIP_FRAMES}")
        places = [region.get("region_definitions_path") for region in regions]
        return [
            [region["prompt"], file_digest(place) if isinstance(place, str) else place]
            for region, place in zip(regions, places, strict=True)
        ]

    def _sample(self, frames: int, prompts: Sequence[str]) -> None:
        """Take the time of all clips, and draw the bar, which counts nothing finer."""
        given = {name: value for prompt in prompts for name, value in orders(prompt).items()}
        clips = math.ceil((frames - OVERLAP) / (CLIP_FRAMES - OVERLAP))
        if not clips:
            raise RuntimeError("torch.cat(): expected a non-empty list of Tensors")
        began = time.monotonic()
        bar("", 0, clips, 0)
        for clip in range(clips):
            say(583, "_run_model", "Starting latent encoding")
            say(596, "_run_model", "Completed latent encoding")
            if clip and "upscale" in self.controls:
                raise RuntimeError("input tensor must fit into 32-bit index math")
            say(615, "_run_model", "Starting diffusion sampling")
            if not clip:
                obey(given)
            for _ in range(PATCHES if "upscale" in self.controls else 1):
                step(given)
            say(638, "_run_model", "Completed diffusion sampling")
            say(639, "_run_model", "Starting VAE decode")
            say(643, "_run_model", "Completed VAE decode")
            bar("", clip + 1, clips, time.monotonic() - began)


def say(line: int, func: str, text: str, *, level: str = "INFO") -> None:
    log(level, WGP, line, func, text)
