"""Runs in a container, with no other file of ours: has a server rewrite the prompts of a job, one after another."""

import base64
import json
import mimetypes
import os
import sys
from pathlib import Path
from typing import Any

PROGRAM = "cosmos_framework.inference.prompt_upsampling"


def main(job: Path) -> int:
    """Go on after a prompt that fails; 1 if any did."""
    failures = 0
    for line in (job / "requests.jsonl").read_text(encoding="utf-8").splitlines():
        request = json.loads(line)
        name = request["name"]
        say(f"Prompt {name} started")
        try:
            upsample(request, job / "out" / name)
            say(f"Prompt {name} saved")
        except (OSError, ValueError) as error:
            failures += 1
            say(f"Prompt {name} failed: {error}")
    return 1 if failures else 0


def upsample(request: dict[str, Any], folder: Path) -> None:
    """Call the program for one prompt, which it wants on one line, and write the new text last."""
    folder.mkdir(parents=True, exist_ok=True)
    given, answer = folder / "input.txt", folder / "prompt_0.json"
    given.write_text(" ".join(request["prompt"].split()) + "\n", encoding="utf-8")
    answer.unlink(missing_ok=True)
    argv = [sys.executable, "-m", PROGRAM, "--input", str(given), "--output", str(folder), *request["arguments"]]
    if "image" in request:
        images = folder / "images.txt"
        images.write_text(as_url(Path(request["image"])) + "\n", encoding="utf-8")
        argv += ["--image-list", str(images)]
    code = os.spawnv(os.P_WAIT, sys.executable, argv)  # noqa: S606
    if code:
        raise ValueError(f"the program ended with exit code {code}")
    text = json.loads(answer.read_text(encoding="utf-8"))["prompt"].strip()
    if not text:
        raise ValueError("the server gave an empty text")
    beside = folder / "prompt.txt.partial"
    beside.write_text(text, encoding="utf-8")
    beside.replace(folder / "prompt.txt")


def as_url(image: Path) -> str:
    """The image itself as an address, because the server cannot read our files."""
    kind = mimetypes.guess_type(image.name)[0] or "image/png"
    return f"data:{kind};base64,{base64.b64encode(image.read_bytes()).decode()}"


def say(text: str) -> None:
    """One line of the log."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parent))
