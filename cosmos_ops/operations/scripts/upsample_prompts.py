"""Enhances the prompts of a batch with the prompt upsampler of Cosmos-Transfer1, which is loaded once.

Runs under torchrun in the image of that model. Each line of the requests is a JSON object with `name`, `prompt` and `video`.
The enhanced text is written to `<output folder>/<name>/prompt.txt` by one rename, so that what is there is complete. A prompt
that cannot be enhanced leaves the others alone.
"""

import argparse
import json
import os
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

MARK = "[enhance]"
PIXELS_MAX = 320 * 180
"""The upsampler has room for 4096 tokens of text and two pictures; two of 1280x704 alone have more."""
SIDE_STEP_PX = 16
TORCHRUN_NAMES = (
    *("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "GROUP_WORLD_SIZE"),
    *("ROLE_RANK", "ROLE_NAME", "ROLE_WORLD_SIZE", "OMP_NUM_THREADS", "MASTER_ADDR", "MASTER_PORT"),
    *("TORCHELASTIC_USE_AGENT_STORE", "TORCHELASTIC_MAX_RESTARTS", "TORCHELASTIC_RESTART_COUNT", "TORCHELASTIC_RUN_ID"),
    *("TORCH_NCCL_ASYNC_ERROR_HANDLING", "TORCHELASTIC_ERROR_FILE"),
)
"""vLLM makes a process group of its own, which these would join to that of torchrun."""


def main() -> int:
    """Enhance all prompts; what became of each, its line and its file tell."""
    parser = argparse.ArgumentParser(description="Enhances the prompts of a batch.")
    parser.add_argument("--requests", type=Path, required=True)
    parser.add_argument("--output_folder", type=Path, required=True)
    parser.add_argument("--checkpoint_dir", required=True)
    parser.add_argument("--offload_prompt_upsampler", action="store_true")
    args = parser.parse_args()
    for name in TORCHRUN_NAMES:
        os.environ.pop(name, None)

    from cosmos_transfer1.auxiliary.upsampler.model.upsampler import (  # type: ignore[import-not-found]
        PixtralPromptUpsampler,
    )

    requests = [json.loads(line) for line in args.requests.read_text(encoding="utf-8").splitlines()]
    upsampler = PixtralPromptUpsampler(args.checkpoint_dir, offload_prompt_upsampler=args.offload_prompt_upsampler)
    failed = [request["name"] for request in requests if not _tried(upsampler, request, args.output_folder)]
    _say(f"done, {len(failed)} of {len(requests)} failed")
    return 0


def _tried(upsampler: Any, request: dict[str, str], output_folder: Path) -> bool:
    """Whether a prompt was enhanced; an error that leaves the GPU or the model broken ends the process."""
    _say(f"started {request['name']}")
    try:
        _write(output_folder / request["name"] / "prompt.txt", _enhanced(upsampler, request))
    except Exception as error:
        if _is_fatal(error):
            raise
        reason = " ".join(str(error).split()) or "no reason given"
        _say(f"failed {request['name']}: {type(error).__name__}: {reason}")
        return False
    _say(f"finished {request['name']}")
    return True


def _is_fatal(error: Exception) -> bool:
    """Errors of CUDA are RuntimeErrors; those of a dead engine of vLLM and of a full disk concern all prompts too."""
    return isinstance(error, RuntimeError | MemoryError | OSError) or "Engine" in type(error).__name__


def _enhanced(upsampler: Any, request: dict[str, str]) -> str:
    from cosmos_transfer1.utils.misc import extract_video_frames  # type: ignore[import-not-found]

    try:
        frames = [str(path) for path in extract_video_frames(request["video"])]
    except OSError as error:
        raise ValueError(f"no frame of {request['video']} can be read: {error}") from error
    if not frames:
        raise ValueError(f"no frame of {request['video']} can be read")
    for frame in frames:
        _shrink(Path(frame))
    text = str(upsampler._prompt_upsample_with_offload(prompt=request["prompt"], video_path=frames)).strip()
    if not text:
        raise ValueError("the upsampler gave no text")
    return text


def _shrink(path: Path) -> None:
    """Make a picture as small as the upsampler needs it."""
    import av

    with av.open(str(path)) as container:
        picture = next(container.decode(video=0))
    scale = (PIXELS_MAX / (picture.width * picture.height)) ** 0.5
    if scale >= 1:
        return
    width, height = (
        max(SIDE_STEP_PX, int(side * scale / SIDE_STEP_PX) * SIDE_STEP_PX) for side in (picture.width, picture.height)
    )
    small = picture.reformat(width=width, height=height, format="rgb24")
    small.pts = 0
    encoder = av.CodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.framerate = width, height, "rgb24", Fraction(1)
    path.write_bytes(b"".join(bytes(packet) for packet in [*encoder.encode(small), *encoder.encode(None)]))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(".prompt.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def _say(text: str) -> None:
    sys.stdout.write(f"{MARK} {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    # The processes that vLLM spawns import this file again.
    sys.exit(main())
