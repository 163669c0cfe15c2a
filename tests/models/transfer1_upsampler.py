"""The prompt upsampler of Transfer1 (Pixtral through vLLM): its class, its program, and texts that follow from the frames."""

import argparse
import math
import os
import tempfile
import time
from pathlib import Path

import av

from .program import Settings, file_digest, obey, orders, step
from .transfer1_inputs import checks_checkpoints

CHECKPOINT = "nvidia/Cosmos-UpsamplePrompt1-12B-Transfer"
MAX_TOKENS = 4096
PATCH = 16
MAX_SIDE = 1024
FRAMES = 2
LIGHTS = ("Soft morning light falls", "A low evening sun shines", "An even grey sky spreads", "Bright noon light falls")
DETAILS = ("fine dust in the air", "sharp reflections on wet ground", "crisp shadows behind every edge", "a faint haze far away")
TORCHRUN_NAMES = (
    *("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "ROLE_RANK", "ROLE_NAME", "OMP_NUM_THREADS"),
    *("MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_USE_AGENT_STORE", "TORCHELASTIC_MAX_RESTARTS", "TORCHELASTIC_RUN_ID"),
    *("TORCH_NCCL_ASYNC_ERROR_HANDLING", "TORCHELASTIC_ERROR_FILE"),
)


class PixtralPromptUpsampler:
    """The model, with the names of methods that the pipeline and users call."""

    def __init__(self, checkpoint_dir: str, offload_prompt_upsampler: bool = False) -> None:
        self.checkpoint_dir = checkpoint_dir
        self.offload_prompt_upsampler = offload_prompt_upsampler
        self.upsampler_model: Path | None = None
        if not offload_prompt_upsampler:
            self._load_upsampler_model()

    def _load_upsampler_model(self) -> None:
        path = Path(self.checkpoint_dir, CHECKPOINT)
        if checks_checkpoints() and not (path / "consolidated.safetensors").is_file():
            raise ValueError(f"No model found at {path}; it is no local folder and no id that the hub has")
        time.sleep(Settings.read().load_s)
        self.upsampler_model = path

    def _prompt_upsample_with_offload(self, prompt: str, video_path: list[str] | str) -> str:
        if self.offload_prompt_upsampler:
            self._load_upsampler_model()
        upsampled = self._prompt_upsample(prompt, video_path)
        if self.offload_prompt_upsampler:
            self.upsampler_model = None
        return upsampled

    def _prompt_upsample(self, prompt: str, video_path: list[str] | str) -> str:
        if self.upsampler_model is None:
            raise AttributeError("'PixtralPromptUpsampler' object has no attribute 'upsampler_model'")
        prompt = prompt or "describe the following images"
        paths = extract_video_frames(video_path) if isinstance(video_path, str) else list(video_path)
        length = sum(_tokens(path) for path in paths) + len(prompt.split())
        if length > MAX_TOKENS:
            raise ValueError(
                f"The decoder prompt (length {length}) is longer than the maximum model length of {MAX_TOKENS}. "
                "Make sure that `max_model_len` is no smaller than the number of text tokens plus multimodal tokens."
            )
        given = orders(prompt)
        obey(given)
        step(given)
        first = int(file_digest(paths[0])[:8], 16)
        return f"{prompt.strip()} {LIGHTS[first % 4]} over the scene, with {DETAILS[first // 4 % 4]}."


def extract_video_frames(video_path: str, number_of_frames: int = FRAMES) -> list[str]:
    """Pictures of the first frames, as files."""
    folder = Path(tempfile.mkdtemp())
    paths = []
    with av.open(str(video_path)) as container:
        for number, frame in zip(range(number_of_frames), container.decode(video=0), strict=False):
            paths.append(str(folder / f"frame_{number}.png"))
            _save(frame, paths[-1])
    return paths


def _save(frame: av.VideoFrame, path: str) -> None:
    with av.open(path, "w", format="image2") as container:
        stream = container.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "rgb24"
        picture = frame.reformat(format="rgb24")
        picture.pts = 0
        container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def _tokens(path: str) -> int:
    """Tokens of a picture: one for each patch and one for each row, after it was shrunk to what the model takes."""
    with av.open(path) as container:
        context = container.streams.video[0].codec_context
        sides = (context.width, context.height)
    ratio = max(1.0, max(sides) / MAX_SIDE)
    columns, rows = (math.ceil(int(side / ratio) / PATCH) for side in sides)
    return (columns + 1) * rows


def main(argv: list[str] | None = None) -> int:
    """The program `upsampler_pipeline.py`, which must be started by torchrun: it drops every variable of that."""
    rank = int(os.environ["RANK"])
    for name in TORCHRUN_NAMES:
        del os.environ[name]
    if rank == 0:
        parser = argparse.ArgumentParser(description="Prompt upsampler pipeline")
        parser.add_argument("--prompt", type=str)
        parser.add_argument("--input_video", type=str, required=True)
        parser.add_argument("--checkpoint_dir", type=str, default="checkpoints")
        parser.add_argument("--offload_prompt_upsampler", action="store_true")
        args = parser.parse_args(argv)
        model = PixtralPromptUpsampler(args.checkpoint_dir, offload_prompt_upsampler=args.offload_prompt_upsampler)
        frames = extract_video_frames(args.input_video)
        print("Upsampled prompt:", model._prompt_upsample_with_offload(args.prompt, frames), flush=True)
    return 0
