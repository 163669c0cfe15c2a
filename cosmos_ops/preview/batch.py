"""A batch in its order: each sample gets its outputs and its marker, and a bad one does not stop its neighbours."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
from av.error import FFmpegError

from cosmos_ops.errors import DiskFullError, SampleFailedError, VideoUnreadableError
from cosmos_ops.files import write_file
from cosmos_ops.media.probe import probe
from cosmos_ops.preview import PREVIEW_VERSION
from cosmos_ops.preview.enhancement import enhance
from cosmos_ops.preview.guardrail import refusal
from cosmos_ops.preview.inference import Flags, control_file, infer, plan_inference
from cosmos_ops.preview.markers import MARKER_NAME, is_completed, mark_completed, mark_ended, write_json
from cosmos_ops.preview.reporting import Reporter
from cosmos_ops.preview.samples import Sample
from cosmos_ops.preview.upscale import upscale
from cosmos_ops.videos import CONTROL_NAMES, VideoInfo


@dataclass(frozen=True)
class Made:
    """What one sample left: file names by role, and the number of frames of its video."""

    files: dict[str, str]
    frame_count: int | None = None


@dataclass
class Counts:
    """How the samples of a batch ended."""

    completed: int = 0
    blocked: int = 0
    failed: int = 0


@dataclass
class Batch:
    """One call of the program."""

    operation: str
    flags: Mapping[str, Any]
    out: Path
    reporter: Reporter
    counts: Counts = field(default_factory=Counts)

    def carry_out(self, samples: list[Sample]) -> Counts:
        """Do all samples in order.

        Raises:
            DiskFullError: No space is left; the sample at work leaves nothing, later ones are not touched.
        """
        noun = "sample" if len(samples) == 1 else "samples"
        self.reporter.info(
            f"cosmos preview {PREVIEW_VERSION}: {self.operation} of {len(samples)} {noun} (classical processing, no neural model)"
        )
        used = {name for sample in samples for name in sample.controls}
        if used:
            self.reporter.info(f"Loading controls: {', '.join(sorted(used))}")
        for number, sample in enumerate(samples, start=1):
            self._do(sample, f"[{number}/{len(samples)}] Sample {sample.name}")
        counts = self.counts
        self.reporter.info(f"Finished: {counts.completed} completed, {counts.blocked} blocked, {counts.failed} failed")
        return counts

    def _do(self, sample: Sample, title: str) -> None:
        folder = self.out / sample.name
        if is_completed(folder):
            self.counts.completed += 1
            self.reporter.info(f"{title} skipped: already complete")
            return
        folder.mkdir(parents=True, exist_ok=True)
        _clear(folder)
        reason = refusal(sample.prompt)
        if reason is not None:
            mark_ended(folder, "blocked", reason)
            self.counts.blocked += 1
            self.reporter.warning(f"{title} blocked: {reason}")
            return
        self._make(sample, folder, title)

    def _make(self, sample: Sample, folder: Path, title: str) -> None:
        started = time.monotonic()
        complete = False
        try:
            made = self._operations()[self.operation](sample, folder, title)
            write_json(folder / "spec.json", self._spec(sample))
            seconds = time.monotonic() - started
            mark_completed(folder, {**made.files, "spec": "spec.json"}, frame_count=made.frame_count, seconds=seconds)
            complete = True
        except (DiskFullError, MemoryError):
            raise
        except (VideoUnreadableError, SampleFailedError, FFmpegError, cv2.error) as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            _clear(folder)
            mark_ended(folder, "failed", reason)
            self.counts.failed += 1
            self.reporter.error(f"{title} failed: {reason}")
            return
        finally:
            if not complete:
                _clear(folder, but=MARKER_NAME)
        self.counts.completed += 1
        length = "" if made.frame_count is None else f", {made.frame_count} frames"
        self.reporter.info(f"{title} saved: {next(iter(made.files.values()))}{length} in {seconds:.1f} s")

    def _operations(self) -> Mapping[str, Callable[[Sample, Path, str], Made]]:
        return {"enhance": self._enhance, "inference": self._infer, "upscale": self._upscale}

    def _enhance(self, sample: Sample, folder: Path, title: str) -> Made:
        self.reporter.info(f"{title} started")
        text = enhance(sample.prompt, sample.spec["negative_prompt"], sample.spec["seed"], self.flags["style"])
        write_file(folder / "prompt.txt", text.encode("utf-8", "surrogatepass"))
        return Made({"prompt": "prompt.txt"})

    def _infer(self, sample: Sample, folder: Path, title: str) -> Made:
        plan = plan_inference(sample)
        self._started(title, plan.main, plan.frame_count)
        flags = Flags(**self.flags)
        count = infer(sample, plan, folder, flags, self._progress(sample, plan.frame_count))
        return Made({"video": "video.mp4", **{f"control_{name}": control_file(name) for name in plan.computed}}, count)

    def _upscale(self, sample: Sample, folder: Path, title: str) -> Made:
        assert sample.video is not None
        info = probe(sample.video)
        self._started(title, info, info.frame_count)
        count = upscale(
            sample.video,
            folder / "video.mp4",
            factor=self.flags["factor"],
            sharpness=sample.spec["sharpness"],
            crf=self.flags["crf"],
            on_frame=self._progress(sample, info.frame_count),
        )
        return Made({"video": "video.mp4"}, count)

    def _started(self, title: str, info: VideoInfo, frame_count: int) -> None:
        rate = f"{float(info.fps):.3f}".rstrip("0").rstrip(".")
        self.reporter.info(f"{title} started: {frame_count} frames, {info.width_px}x{info.height_px}, {rate} fps")

    def _progress(self, sample: Sample, frame_count: int) -> Callable[[int], None]:
        return lambda done: self.reporter.progress(sample.name, done, frame_count)

    def _spec(self, sample: Sample) -> dict[str, Any]:
        return {
            **sample.spec,
            "operation": self.operation,
            "flags": dict(self.flags),
            "preview_version": PREVIEW_VERSION,
        }


def _clear(folder: Path, but: str = "") -> None:
    """Remove what an earlier, unfinished attempt left; a folder without a marker then holds nothing."""
    ours = [MARKER_NAME, "spec.json", "prompt.txt", "video.mp4", *map(control_file, CONTROL_NAMES)]
    for name in ours:
        if name != but:
            (folder / name).unlink(missing_ok=True)
            for left in folder.glob(f".{name}.*.partial"):
                left.unlink()
