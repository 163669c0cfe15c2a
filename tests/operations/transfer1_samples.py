"""Samples for the operations of transfer1, and a host folder in which its simulated program runs what they become."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path, PurePosixPath

from cosmos_ops.job import ContainerExit, Findings, InputFile, JobPaths, OutputFile, Sample
from cosmos_ops.runs import Prompt
from cosmos_ops.videos import VideoInfo
from tests.builders import a_run
from tests.models.image import lay_out

PATHS = JobPaths(job=PurePosixPath("/cosmos/job"), inputs=PurePosixPath("/cosmos/inputs"))
SWITCHES = {
    *("--is_av_sample", "--use_distilled", "--offload_diffusion_transformer", "--offload_text_encoder_model"),
    *("--offload_guardrail_models", "--offload_prompt_upsampler"),
}


def a_video(name="video", *, frame_count=10, width=1280, height=704, fps=24, suffix=".mp4"):
    return VideoInfo(Path(f"/videos/{name}{suffix}"), width, height, frame_count, Fraction(fps), frame_count / fps, False)


def infos(*roles, **values):
    return {role: a_video(role, **values) for role in roles}


def an_input(info):
    return InputFile(info.path, info.path.stem * 4, 10)


def a_sample(operation, params, *, videos, run_id="rs_1", text="a street", files=None):
    """A sample as it is after preparation: made files are there, cut videos are not. Files that are given are real."""
    steps = operation.prepare(params, videos)
    made = {step.role: InputFile(Path(f"/prepared/{step.role}.mp4"), f"made{step.role}", 10) for step in steps}
    cut = {step.source for step in steps if step.kind == "piece"}
    inputs = files or {role: an_input(info) for role, info in videos.items() if role not in cut}
    run = a_run(params, id=run_id, operation=operation.name, family=operation.family)
    return Sample(run, Prompt(text), {**made, **inputs} if files else {**inputs, **made}, videos)


def flags(argv):
    """The arguments behind the script: flag to value, a switch to True."""
    script = next(number for number, argument in enumerate(argv) if argument.endswith(".py"))
    rest, found = list(argv[script + 1 :]), {}
    while rest:
        flag = rest.pop(0)
        assert flag.startswith("--")
        assert "=" not in flag
        assert flag not in found
        found[flag] = True if flag in SWITCHES else rest.pop(0)
    return found


def file_of(job, name):
    return next(file.text for file in job.files if str(file.path) == name)


def spec_of(job):
    return json.loads(file_of(job, "spec.json"))


def lines_of(job):
    return [json.loads(line) for line in file_of(job, "batch.jsonl").splitlines()]


@dataclass
class Host:
    """A folder in place of the host's."""

    folder: Path
    paths: JobPaths = field(init=False)
    env: dict = field(init=False)

    def __post_init__(self):
        self.paths = JobPaths(*(PurePosixPath(self.folder / name) for name in ("job", "inputs", "models")))
        env = lay_out(self.folder, "transfer1")
        here = Path(sys.executable).parent
        self.env = {**env, "PATH": f"{self.folder / 'bin'}:{here}:{env['PATH']}", "HOME": str(self.folder), "SIM_SCALE": "32"}

    def input(self, source):
        """Put a file where the host has it."""
        data = source.read_bytes()
        file = InputFile(source, hashlib.sha256(data).hexdigest(), len(data))
        target = Path(self.paths.input(file))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        return file

    def run(self, job, operation, **env):
        """Run a job as a container would, and judge it: what it printed, the events, and the outcomes."""
        self.stage(job)
        done = subprocess.run(
            job.container.argv,
            cwd=self.folder / "workspace",
            env={
                **os.environ,
                **{name: value for name, value in job.container.env.items() if name != "PYTHONPATH"},
                **self.env,
                "SIM_CHECKPOINTS": "0",
                "SIM_JOB": str(self.paths.job),
                **env,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
            check=False,
        )
        printed = [line for line in done.stdout.decode().replace("\r", "\n").split("\n") if line]
        read = operation.reader(job)
        events = [event for line in printed for event in read(line)]
        outcomes = operation.read_outputs(job, ContainerExit(done.returncode), events, self.found(job, printed))
        return Ran(done.returncode, printed, events, outcomes)

    def stage(self, job):
        """Write a job's files."""
        for file in job.files:
            target = Path(self.paths.job) / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(file.text)

    def found(self, job, printed):
        folder = Path(self.paths.job)
        markers = [marker for item in job.items for marker in item.markers if (folder / marker).exists()]
        files = [file for item in job.items for file in item.outputs if (folder / file.path).exists()]
        return Findings(
            {marker: (folder / marker).read_text() for marker in markers},
            {file.path: OutputFile(file.path, "ab", (folder / file.path).stat().st_size, file.name) for file in files},
            printed[-200:],
        )


@dataclass
class Ran:
    """What became of a job."""

    code: int
    printed: list
    events: list
    outcomes: dict


def kinds(outcomes):
    """Run id to the class of its outcome, or of its error."""
    return {run_id: type(getattr(outcome, "error", outcome)).__name__ for run_id, outcome in outcomes.items()}
