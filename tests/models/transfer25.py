"""Transfer2.5's `examples/inference.py`, simulated: the loop over the samples, the guardrails, and what is saved."""

import json
import os
import time
from pathlib import Path
from types import SimpleNamespace

from .program import count_start, fill_disk, is_blocked, orders, rank, rest
from .reports import Log, extension, save
from .transfer25_arguments import hints_of, parse_arguments, read_samples
from .transfer25_pipeline import Pipeline, Result

INFERENCE = "cosmos_transfer2/inference.py"
PRESETS = "cosmos_transfer2/_src/imaginaire/auxiliary/guardrail/common/presets.py"
BENCHMARKED = 4


def main(argv: list[str] | None = None) -> int:
    """Check all samples, load one model, and generate one after another; a blocked one is skipped in silence."""
    paths, setup, overrides = parse_arguments(argv)
    samples, union = read_samples(paths, overrides)
    if setup.benchmark and len(samples) == 1:
        samples *= BENCHMARKED
    folder = Path(setup.output_dir)
    program = Inference(setup, union, folder)
    program.generate(samples)
    if setup.profile and rank() == 0:
        (folder / "profile.pyisession").write_bytes(b"")
    return 0


class Inference:
    """The program once its model is loaded."""

    def __init__(self, setup: SimpleNamespace, union: list[str], folder: Path) -> None:
        self._setup = setup
        self._folder = folder
        self._log = Log(folder)
        self._is_out_of_step = False
        world = int(os.environ.get("WORLD_SIZE", "1"))
        self._is_parallel = (setup.context_parallel_size or world) > 1
        self._pipeline = Pipeline(setup, union, self._log)
        self._say(146, "__init__", f"Found {len(union)} hint keys across all samples")
        if len(union) > 1:
            warning = "Loading the multicontrol model. Multicontrol inference is not strictly equal to single control"
            self._say(148, "__init__", warning, level="WARNING")
        if rank() == 0:
            (folder / "config.yaml").write_text(f"hint_keys: {union}\n")
        self._say(156, "__init__", f"Saved config to {folder / 'config.yaml'}")

    def generate(self, samples: list[SimpleNamespace]) -> None:
        """Generate all samples."""
        self._say(163, "generate", f"Generating {len(samples)} samples: {[sample.name for sample in samples]}")
        took_s = []
        for number, sample in enumerate(samples, 1):
            self._say(167, "generate", f"[{number}/{len(samples)}] Processing sample {sample.name}")
            began = time.monotonic()
            self._generate(sample)
            took_s.append(time.monotonic() - began)
        if self._setup.benchmark:
            # The first one warms up.
            mean = sum(took_s[1:]) / max(1, len(took_s) - 1)
            for text in ("=" * 50, "BENCHMARK RESULTS", "=" * 50, "Average times:", f"generate_img2world: {mean:.2f} seconds"):
                self._say(177, "generate", text)

    def _generate(self, sample: SimpleNamespace) -> None:
        began = time.monotonic()
        count_start(sample.name)
        stem = f"{self._folder}/{sample.name}"
        if rank() == 0:
            with open(f"{stem}.json", "w") as file:  # noqa: PTH123 - a slash in the name fails as it does upstream
                file.write(json.dumps(vars(sample), separators=(",", ":"), ensure_ascii=False))
            self._say(204, "_generate_sample", f"Saved arguments to {stem}.json")
        if not self._passes_text(sample):
            return
        paths = {hint: getattr(sample, hint)["control_path"] for hint in hints_of(sample)}
        self._say(240, "_generate_sample", f"Processing the following paths: {paths}")
        self._keep_in_step()
        result = self._pipeline.generate(sample)
        if rank() == 0:
            self._save(sample, result, stem, began)

    def _passes_text(self, sample: SimpleNamespace) -> bool:
        """Whether the guardrail lets the texts pass; only rank 0 asks it, the others go on."""
        if self._setup.disable_guardrails:
            self._say(238, "_generate_sample", "Guardrail checks on prompt are disabled", level="WARNING")
            return True
        negative = "" if self._pipeline.is_distilled else sample.negative_prompt
        for line, kind, text in ((216, "Prompt", sample.prompt), (230, "Negative prompt", negative)):
            if kind == "Prompt":
                self._say(213, "_generate_sample", "Running guardrail check on prompt...")
            if is_blocked(text):
                return self._block(line, f"Guardrail blocked generation. {kind}: {text}")
            if text:
                self._say(line + 7, "_generate_sample", f"Passed guardrail on {kind.lower()}", level="SUCCESS")
        return True

    def _block(self, line: int, text: str) -> bool:
        if self._is_parallel:
            # The other ranks do not learn of it and wait for rank 0 from now on.
            self._is_out_of_step = True
            if rank():
                self._keep_in_step()
        blocked = "GUARDRAIL BLOCKED: Blocklist: Prompt is not safe"
        self._log.say("CRITICAL", f"{PRESETS}:52:run_text_guardrail", blocked, for_console=False)
        self._say(line, "_generate_sample", text, level="CRITICAL")
        if not self._setup.keep_going:
            raise Exception(text)
        return False

    def _keep_in_step(self) -> None:
        while self._is_out_of_step:
            time.sleep(3600)

    def _save(self, sample: SimpleNamespace, result: Result, stem: str, began: float) -> None:
        """Write the controls, the video, and the prompt last."""
        ending = extension(result.frames)
        for suffix, line, digests in (("control", 311, result.controls), ("mask", 316, result.masks)):
            for hint, digest in digests.items():
                path = Path(f"{stem}_{suffix}_{hint}")
                save(path, frames=result.frames, fps=result.fps, size=result.control_size, source=[suffix, hint, digest])
                said = f"{hint} control video" if suffix == "control" else f"Mask for {hint}"
                self._say(line, "_generate_sample", f"{said} saved to {path}{ending}")
        if not self._passes_video(sample):
            return
        if "diskfull" in orders(sample.prompt):
            fill_disk(f"{stem}{ending}")
        save(Path(stem), frames=result.frames, fps=result.fps, size=result.size, source=result.source)
        rest(result.seconds - (time.monotonic() - began))
        Path(f"{stem}.txt").write_text(sample.prompt)
        self._say(343, "_generate_sample", f"Generated video saved to {stem}{ending}", level="SUCCESS")

    def _passes_video(self, sample: SimpleNamespace) -> bool:
        if self._setup.disable_guardrails:
            self._say(333, "_generate_sample", "Guardrail checks on video are disabled", level="WARNING")
            return True
        self._say(319, "_generate_sample", "Running guardrail check on video...")
        if "blockvideo" in orders(sample.prompt):
            blocked = "GUARDRAIL BLOCKED: Video content safety filter: unsafe frame detected"
            self._log.say("CRITICAL", f"{PRESETS}:68:run_video_guardrail", blocked, for_console=False)
            if not self._setup.keep_going:
                raise Exception("Guardrail blocked video2world generation.")
            return False
        self._say(329, "_generate_sample", "Passed guardrail on generated video", level="SUCCESS")
        return True

    def _say(self, line: int, func: str, text: str, *, level: str = "INFO") -> None:
        self._log.say(level, f"{INFERENCE}:{line}:{func}", text)
