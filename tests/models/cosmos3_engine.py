"""What all modes of Cosmos 3 share: sampling, guardrails, files of a sample, and failures that `--keep-going` survives."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from .cosmos3_setup import Layout, Model
from .program import bar, is_blocked, obey, orders, rank, step
from .reports import Log

INFERENCE = "cosmos_framework/inference/inference.py"
COMMON_INFERENCE = "cosmos_framework/inference/common/inference.py"
CACHE = "cosmos_framework/model/generator/mot/diffusion_cache.py"
MODEL = "cosmos_framework/model/generator/omni_mot_model.py"
PRESETS = "cosmos_framework/auxiliary/guardrail/common/presets.py"
SAMPLERS = {"unipc": "UniPC", "edm": "EDM"}
CACHED_SHARE = 0.4
DISTILLED_STEPS = 4
RATIOS = {"1,1": 1.0, "4,3": 4 / 3, "3,4": 3 / 4, "16,9": 16 / 9, "9,16": 9 / 16}
# Width and height for each of the ratios.
SIZES = {
    "256": ((256, 256), (320, 256), (256, 320), (320, 192), (192, 320)),
    "480": ((640, 640), (736, 544), (544, 736), (832, 480), (480, 832)),
    "704": ((960, 960), (1088, 832), (832, 1088), (1280, 704), (704, 1280)),
    "720": ((960, 960), (1104, 832), (832, 1104), (1280, 720), (720, 1280)),
    "768": ((1024, 1024), (1184, 880), (880, 1184), (1360, 768), (768, 1360)),
}


class Engine:
    """A process with a loaded model."""

    def __init__(self, setup: SimpleNamespace, model: Model, layout: Layout, log: Log) -> None:
        self.setup = setup
        self.model = model
        self.layout = layout
        self.log = log

    @property
    def is_first(self) -> bool:
        """Whether this rank is the one of its replica that writes files."""
        return rank() % self.layout.replica_size == 0

    def say(self, line: int, func: str, text: str, *, level: str = "INFO", from_all_ranks: bool = True) -> None:
        self.log.say(level, f"{INFERENCE}:{line}:{func}", text, from_all_ranks=from_all_ranks)

    def start(self, sample: SimpleNamespace, *, line: int, func: str) -> None:
        """Write the values of a sample; those of a reasoner are written without a word."""
        if not self.is_first:
            return
        folder = Path(sample.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "sample_args.json").write_text(compact(vars(sample)))
        if line:
            self.say(line, func, f"Saved sample args to '{folder / 'sample_args.json'}'")

    def sample(self, sample: SimpleNamespace, chunk: int = 0) -> None:
        """Draw the bar of a chunk, or take its time where there is none."""
        given = orders(sample.prompt)
        steps = DISTILLED_STEPS if self.model.is_distilled else sample.num_steps
        name = SAMPLERS[self.setup.sampler]
        text = f"Using sampler: {name} (shift={sample.shift}, num_steps={steps})"
        self.log.say("INFO", f"{MODEL}:3405:generate_samples_from_batch", text)
        is_silent = self.model.is_distilled or self.setup.benchmark or os.environ.get("DISABLE_TQDM") == "1" or rank() > 0
        began = time.monotonic()
        for done in range(steps + 1):
            if done == 1 and chunk == 0:
                obey(given)
            if done:
                step(given)
            if not is_silent:
                bar("Sampling", done, steps, time.monotonic() - began)
        if self.setup.diffusion_cache:
            skipped = int(steps * CACHED_SHARE)
            text = f"[Diffusion Cache] sample done: full={steps - skipped} skipped={skipped}"
            self.log.say("INFO", f"{CACHE}:780:finish", text)

    def finish(self, sample: SimpleNamespace, files: Sequence[Path], content: Mapping[str, Any] | None = None) -> Path:
        """Write what became of a sample, as the last of its files."""
        outputs = [{"content": dict(content or {}), "files": [str(file) for file in files]}]
        path = Path(sample.output_dir) / "sample_outputs.json"
        whole = {"args": vars(sample), "status": "success", "message": None, "stack_trace": None, "outputs": outputs}
        path.write_text(compact(whole))
        return path

    def check_text(self, sample: SimpleNamespace, text: str) -> None:
        """Let the guardrail read a text.

        Raises:
            ValueError: It blocks it.
        """
        if self.setup.guardrails and is_blocked(text):
            place = f"{PRESETS}:52:run_text_guardrail"
            self.log.say("CRITICAL", place, "GUARDRAIL BLOCKED: Blocklist: Prompt is not safe")
            raise ValueError(f"Guardrail blocked prompt '{sample.output_dir}': '{text}'")

    def fail(self, sample: SimpleNamespace, error: Exception) -> None:
        """Go on after a failure with `--keep-going`, and end the process without."""
        text = f"Error generating sample '{sample.name}': {error}"
        if not self.setup.keep_going:
            raise ValueError(text) from error
        self.log.say("ERROR", f"{COMMON_INFERENCE}:266:_handle_sample_exception", text)

    def facts(self, sample: SimpleNamespace) -> dict[str, Any]:
        """What the pictures of every mode follow from."""
        setup = self.setup
        return {
            "model": [self.model.name, setup.sampler, setup.quantization_method, setup.use_ema_weights],
            "cache": [setup.diffusion_cache_thresh, setup.diffusion_cache_residual_order] if setup.diffusion_cache else [],
            "negative_prompt": [sample.negative_prompt, sample.negative_metadata_mode],
            "steps": DISTILLED_STEPS if self.model.is_distilled else sample.num_steps,
            "guidance": 1.0 if self.model.is_distilled else sample.guidance,
            "guidance_interval": sample.guidance_interval,
            "normalize_cfg": sample.normalize_cfg,
            "noise": [sample.shift] if setup.sampler == "unipc" else [sample.sigma_max],
        }


def compact(values: Any) -> str:
    return json.dumps(values, separators=(",", ":"), ensure_ascii=False)


def nearest(ratio: float) -> str:
    """The aspect ratio of the five that is nearest."""
    return min(RATIOS, key=lambda name: abs(RATIOS[name] - ratio))


def pixels(resolution: str, aspect_ratio: str | None) -> tuple[int, int]:
    return SIZES[resolution][list(RATIOS).index(aspect_ratio or "16,9")]


def full_prompt(sample: SimpleNamespace, *, frames: int, fps: int, size: tuple[int, int], aspect_ratio: str | None) -> str:
    """The prompt with what the program says of length and size: fields of a JSON object, or sentences after a text."""
    width, height = size
    fields = _object(sample.prompt)
    if fields is not None:
        if frames > 1:
            fields |= {"duration": f"{int(frames / fps)}s", "fps": float(fps)}
        fields |= {"resolution": {"H": height, "W": width}, "aspect_ratio": aspect_ratio}
        return json.dumps(fields)
    prompt = sample.prompt.strip()
    if sample.duration_template is not None and frames > 1:
        prompt = f"{prompt.rstrip('.')}. {sample.duration_template.format(duration=frames / fps, fps=fps)}"
    if sample.resolution_template is not None:
        prompt = f"{prompt.strip().rstrip('.')}. {sample.resolution_template.format(height=height, width=width)}"
    return prompt


def _object(prompt: str) -> dict[str, Any] | None:
    try:
        found = json.loads(prompt)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
