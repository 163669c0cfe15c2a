"""What Transfer2.5 computes: which model a batch gets, the weights that this model really uses, chunks and sizes."""

import math
import random
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from .program import Pace, Settings, bar, digest_of, file_digest, load, obey, orders, step_seconds
from .reports import Log
from .transfer25_arguments import DISTILLED, HINTS, hints_of
from .transfer25_files import SIZES, check_guided, check_shapes, files_beside, nearest, read

CONFIG = "cosmos_transfer2/config.py"
PIPE = "cosmos_transfer2/_src/transfer2/inference/inference_pipeline.py"
CHECKPOINT_DB = "cosmos_transfer2/_src/imaginaire/utils/checkpoint_db.py"
REPOSITORY = "nvidia/Cosmos-Transfer2.5-2B"
MULTI = "multicontrol"
CHUNK_FRAMES = 93
DISTILLED_STEPS = 4


class Checkpoint(NamedTuple):
    """A file of weights on the hub."""

    uuid: str
    folder: str
    revision: str


class ModelKey(NamedTuple):
    """What the table of checkpoints is looked up by."""

    variant: str
    distilled: bool


CHECKPOINTS = {
    ModelKey("edge", distilled=False): Checkpoint(
        "61f5694b-0ad5-4ecd-8ad7-c8545627d125", "general/edge", "b67b64abda3801a9aceddbff2bdb86126c06db74"
    ),
    ModelKey("depth", distilled=False): Checkpoint(
        "626e6618-bfcd-4d9a-a077-1409e2ce353f", "general/depth", "dea7737ca29dd8d9086413c6dc5724b8250a0bb4"
    ),
    ModelKey("vis", distilled=False): Checkpoint(
        "ba2f44f2-c726-4fe7-949f-597069d9b91c", "general/blur", "eb5325b77d358944da58a690157dd2b8071bbf85"
    ),
    ModelKey("seg", distilled=False): Checkpoint(
        "5136ef49-6d8d-42e8-8abf-7dac722a304a", "general/seg", "23057a4167b89de89a4a397fdbf3887994d115eb"
    ),
    ModelKey("edge", distilled=True): Checkpoint(
        "41f07f13-f2e4-4e34-ba4c-86f595acbc20", "distilled/general/edge", "bbaeedb2b57cc8b14a44653099e2551adb69dcc7"
    ),
}


class Result(NamedTuple):
    """A generated video: its shape, and all that its pictures follow from."""

    frames: int
    fps: int
    size: tuple[int, int]
    control_size: tuple[int, int]
    source: dict[str, Any]
    controls: dict[str, str]
    """The digest of each control as it was used."""
    masks: dict[str, str]
    seconds: float
    """What the sample is to take in all."""


class Pipeline:
    """A loaded model."""

    def __init__(self, setup: SimpleNamespace, union: list[str], log: Log) -> None:
        self._log = log
        self.union = union
        self.is_distilled = setup.model == DISTILLED
        loaded = [CHECKPOINTS[ModelKey(variant=hint, distilled=self.is_distilled)] for hint in union]
        for checkpoint in loaded:
            self._download(checkpoint)
        load(len(HINTS) if len(union) > 1 else 1, [MULTI] if len(union) > 1 else [loaded[0].uuid])
        # Only for one kind of control is the path of a checkpoint heeded, and no model is chosen by `--model`.
        alone = [union[0], self.is_distilled, setup.checkpoint_path]
        self._model = alone if len(union) == 1 else [MULTI]

    def _download(self, checkpoint: Checkpoint) -> None:
        name = f"{REPOSITORY}/{checkpoint.folder}"
        self._log.say("INFO", f"{CHECKPOINT_DB}:297:download", f"Downloading checkpoint {name}({checkpoint.uuid})")
        place = f"--revision {checkpoint.revision} {checkpoint.folder}/{checkpoint.uuid}_ema_bf16.pt"
        command = f"uvx 'hf>=1.3.5' download {REPOSITORY} --repo-type model {place}"
        self._log.say("INFO", f"{CHECKPOINT_DB}:165:_hf_download", command)

    def generate(self, sample: SimpleNamespace) -> Result:
        """Sample a video chunk by chunk."""
        self._note(472, "Loading input video...")
        video = read(sample.video_path)
        frames = min(video.frames, sample.max_frames or video.frames)
        bucket = SIZES[sample.resolution][nearest(video.width / video.height)]
        check_guided(sample)
        self._note(492, "Computing prompt text embeddings...")
        self._note(525, "Loading control inputs...")
        controls = {hint: self._control(sample, hint) for hint in hints_of(sample)}
        masks = {hint: mask for hint in hints_of(sample) if (mask := _mask(sample, hint))}
        check_shapes(sample, bucket)
        if sample.num_video_frames_per_chunk != (1 if frames == 1 else CHUNK_FRAMES) and frames > 1:
            raise AssertionError(f"{sample.num_video_frames_per_chunk} frames per chunk; the model takes {CHUNK_FRAMES}")
        if masks and frames == 1:
            raise RuntimeError("Input and output sizes should be greater than 0, but got input (D: 0) output (D: 0)")
        seeds = self._sample(sample, frames)
        even = (video.width - video.width % 2, video.height - video.height % 2)
        size = even if sample.keep_input_resolution else bucket
        beside = sample.show_input + sample.show_control_condition * len(controls)
        weights = effective_weights(sample, self.union)
        if masks and sum(weights) > 1:
            weights = [weight / sum(weights) for weight in weights]
        names = self.union if len(self.union) == 1 else HINTS
        used = [
            [hint, weight, controls.get(hint), masks.get(hint)] for hint, weight in zip(names, weights, strict=True) if weight
        ]
        source = {
            "model": self._model,
            "prompt": sample.prompt,
            "negative_prompt": None if self.is_distilled else sample.negative_prompt,
            "guidance": None if self.is_distilled else sample.guidance,
            "steps": DISTILLED_STEPS if self.is_distilled else sample.num_steps,
            "seeds": seeds,
            "controls": used,
            "style": [sample.image_context_path and file_digest(sample.image_context_path), sample.context_frame_index],
            "guided": self._guided(sample),
            "overlap": sample.num_conditional_frames if len(seeds) > 1 else 0,
            "bucket": bucket,
            "beside": beside,
        }
        whole = (size[0] * (1 + beside), size[1])
        if sample.guided_generation_mask:
            masks["guided_generation"] = file_digest(sample.guided_generation_mask)
        settings = Settings.read()
        chunk_s = source["steps"] * step_seconds(len(self.union)) + settings.chunk_s
        seconds = settings.sample_s + len(seeds) * chunk_s
        return Result(frames, int(video.fps), whole, size, source, controls, masks, seconds)

    def _control(self, sample: SimpleNamespace, hint: str) -> str:
        """The digest of a control, which is read, or else computed from the input."""
        control = getattr(sample, hint)
        if control["control_path"]:
            read(control["control_path"])
            return file_digest(control["control_path"])
        how = {"edge": "preset_edge_threshold", "vis": "preset_blur_strength", "seg": "control_prompt"}.get(hint)
        words = control[how] if how else ""
        if words is None:
            text = 'No "control_prompt" provided for on-the-fly segmentation, using the first 128 words of the input prompt'
            self._log.say("WARNING", f"{CONFIG}:503:seg_control_prompt", text)
            words = " ".join(sample.prompt.split()[:128])
        return digest_of([file_digest(sample.video_path), hint, words])

    def _guided(self, sample: SimpleNamespace) -> list[Any]:
        mask = sample.guided_generation_mask
        if not mask or self.is_distilled:
            return []
        labels = [sample.guided_generation_step_threshold, sample.guided_generation_foreground_labels]
        return [file_digest(mask) if Path(mask).is_file() else mask, file_digest(sample.video_path), *labels]

    def _sample(self, sample: SimpleNamespace, frames: int) -> list[int]:
        """Draw the bar of each chunk; the seeds of the chunks, each drawn from the one before."""
        chunks = self._chunks(sample, frames)
        steps = DISTILLED_STEPS if self.is_distilled else sample.num_steps
        given = orders(sample.prompt)
        seed, seeds, took_s = sample.seed, [], []
        for chunk in range(chunks):
            self._note(554, f"Generating chunk {chunk + 1}/{chunks}")
            self._match_frames(sample, frames)
            seed = random.Random(seed).randint(0, 1000000)
            seeds.append(seed)
            self._note(640, f"Seed: {seed}")
            began = time.monotonic()
            bar("Generating samples", 0, steps, 0)
            if chunk == 0:
                obey(given)
            pace = Pace()
            for done in range(1, steps + 1):
                pace.step(given, len(self.union))
                bar("Generating samples", done, steps, time.monotonic() - began)
            took_s.append(time.monotonic() - began)
        self._note(736, f"Average time per chunk: {sum(took_s) / chunks}")
        if self.is_distilled and frames > CHUNK_FRAMES:
            self._log.say(
                "WARNING", f"{PIPE}:741:generate_img2world", f"Generated output has {frames} frames (> 93)", for_console=False
            )
        return seeds

    def _chunks(self, sample: SimpleNamespace, frames: int) -> int:
        """The number of chunks; where upstream fills up one frame by reflection for ever, this fails instead."""
        if sample.num_video_frames_per_chunk == 1:
            return 1
        overlap = sample.num_conditional_frames
        chunks = chunk_count(frames, overlap)
        if frames - (chunks - 1) * (CHUNK_FRAMES - overlap) == 1:
            raise TimeoutError("a chunk of a single frame is reflected for ever")
        if frames == overlap:
            raise RuntimeError("torch.cat(): expected a non-empty list of Tensors")
        return chunks

    def _match_frames(self, sample: SimpleNamespace, frames: int) -> None:
        for path in files_beside(sample):
            if read(path).frames < frames:
                raise ValueError("No input frames; cannot pad. Verify that video frame counts match.")

    def _note(self, line: int, text: str, *, level: str = "INFO") -> None:
        self._log.say(level, f"{PIPE}:{line}:generate_img2world", text, for_console=False)


def effective_weights(sample: SimpleNamespace, union: list[str]) -> list[float]:
    """The weights that the model uses, which for a mixed batch are not always those of the sample.

    The program hands over one weight for each kind of control in the batch. The multicontrol model has one for each of
    four kinds: for each kind that the sample lacks, it inserts a zero at the place of that kind, or once it has four, puts
    the zero there. So a weight can move to another kind, or get lost.
    """
    hints = hints_of(sample)
    weights = [getattr(sample, hint)["control_weight"] if hint in hints else 0.0 for hint in union]
    if len(union) == 1:
        return weights
    for place, hint in enumerate(HINTS):
        if hint in hints:
            continue
        if len(weights) == len(HINTS):
            weights[place] = 0.0
        else:
            weights.insert(place, 0.0)
    return weights


def _mask(sample: SimpleNamespace, hint: str) -> str:
    control = getattr(sample, hint)
    if control["mask_path"]:
        read(control["mask_path"])
        return file_digest(control["mask_path"])
    return digest_of([file_digest(sample.video_path), control["mask_prompt"]]) if control["mask_prompt"] else ""


def chunk_count(frames: int, overlap: int) -> int:
    return 1 if frames <= CHUNK_FRAMES else 1 + math.ceil((frames - CHUNK_FRAMES) / (CHUNK_FRAMES - overlap))
