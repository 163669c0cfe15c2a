"""Runs a simulated program on this machine, laid out as in its image, for tests."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.media.videos import write_clip

from .image import lay_out
from .program import video_digest

LINE = re.compile(r"(?m)^\[\d\d-\d\d \d\d:\d\d:\d\d\|(?:job=\|)?(\w+)\|[\w./]+\.py:\d+:\w+\] (?:\[RANK \d+\] )?(.*)$")
BAR = re.compile(r"\r([\w ]+): +\d+%\|[^|]*\| (\d+)/(\d+) \[")


@dataclass
class Ended:
    """How a program ended, and what it left in the folder `out`."""

    code: int
    out: str
    err: str
    folder: Path

    def messages(self, level: str = r"\w+") -> list[str]:
        return [text for found, text in LINE.findall(self.out) if re.fullmatch(level, found)]

    def messages_in(self, name: str) -> list[str]:
        """Those in a log file."""
        return [text for _, text in LINE.findall((self.folder / name).read_text())]

    def ended_bars(self) -> list[str]:
        """The bars that were drawn to their end, each with its total."""
        return [f"{name} {total}" for name, done, total in BAR.findall(self.err) if done == total]

    def last_error(self) -> str:
        return self.err.rstrip().splitlines()[-1]

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())

    def json(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text())

    def digest(self, name: str) -> str:
        return video_digest(self.folder / name)


class Programs:
    """The programs of a family and a few clips, made once for many tests."""

    def __init__(self, folder: Path, family: str) -> None:
        self.env = lay_out(folder, family)
        self.workspace = folder / "workspace"
        self.clips = folder / "clips"
        self.clips.mkdir()
        for name, frames, size, fps in (
            ("video", 10, (160, 96), 24),
            ("edge", 10, (160, 96), 25),
            ("short", 4, (160, 96), 24),
            ("long", 100, (64, 64), 24),
        ):
            write_clip(self.clips / f"{name}.mp4", frame_count=frames, width=size[0], height=size[1], fps=fps)
        (self.clips / "broken.mp4").write_bytes(b"no video")
        (self.clips / "prompt.txt").write_text(" a street at night\n")


class Place:
    """A folder in which the programs run, with specs and clips in a folder of their own."""

    def __init__(self, folder: Path, programs: Programs) -> None:
        self.folder = folder
        self.workspace = programs.workspace
        self.specs = folder / "specs"
        shutil.copytree(programs.clips, self.specs)
        self.env = {**programs.env, "HOME": str(folder), "SIM_JOB": str(folder)}

    def write(self, *samples: Any, name: str = "batch.jsonl") -> str:
        """Write a spec file; a text is a line as it is. Return its path, relative to where programs run."""
        lines = [sample if isinstance(sample, str) else json.dumps(sample) for sample in samples]
        (self.specs / name).write_text("\n".join(lines))
        return f"specs/{name}"

    def run(self, *command: str, **env: str) -> Ended:
        done = subprocess.run(command, cwd=self.folder, env=self.env | env, capture_output=True, check=False)
        return Ended(done.returncode, done.stdout.decode(), done.stderr.decode(), self.folder / "out")

    def start(self, *command: str, **env: str) -> "subprocess.Popen[str]":
        """Start a program, for what does not end by itself."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(command, cwd=self.folder, env=self.env | env, text=True, **pipes)
