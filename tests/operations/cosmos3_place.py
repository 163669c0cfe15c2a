"""The folders of a host with the simulated programs of Cosmos 3, and clips to work on."""

import hashlib
import subprocess
from pathlib import PurePosixPath

import cv2
import numpy as np

from cosmos_ops.job import ContainerExit, Findings, InputFile, JobPaths, OutputFile, Sample
from cosmos_ops.media.convert import to_mp4
from cosmos_ops.media.probe import probe
from cosmos_ops.runs import Prompt
from tests.builders import a_clip, a_run
from tests.models.image import lay_out

SHORT = {"num_steps": 2, "resolution": "256"}


def kinds(outcomes):
    found = {run_id: getattr(outcome, "error", outcome).__class__.__name__ for run_id, outcome in outcomes.items()}
    return [found[f"rs_{number}"] for number in range(1, len(found) + 1)]


def only(clips, *roles):
    return {role: clips[role] for role in roles}


def write_clips(folder):
    """Role to a readable file; the videos have one length, and all have one shape."""
    made = {role: a_clip(folder / f"{role}.mp4", frame_count=30) for role in ("video", "edge", "vis", "depth", "seg", "wsm")}
    return {**made, "image": write_image(folder / "image.png"), "still": write_image(folder / "still.jpg")}


def write_image(path):
    cv2.imwrite(str(path), np.full((64, 96, 3), 90, np.uint8))
    return path


class Place:
    """A host's folders, with the simulated programs."""

    def __init__(self, folder):
        self.folder = folder
        self.job, self.inputs = folder / "job", folder / "inputs"
        self.job.mkdir(parents=True)
        self.inputs.mkdir()
        self.paths = JobPaths(PurePosixPath(self.job), PurePosixPath(self.inputs), PurePosixPath(folder / "models"))
        self.env = {**lay_out(folder / "sim", "cosmos3"), "HOME": str(folder), "SIM_JOB": str(self.job), "SIM_SCALE": "8"}

    def sample(self, operation, number, videos, text="a street", **params):
        given = operation.params.read(params)
        used = {role: path for role, path in videos.items() if role in operation.reads(given)}
        infos = {role: probe(path, takes_pictures=True) for role, path in used.items()}
        prompt = Prompt(text)
        for step in operation.prepare(given, infos):
            used[step.role] = used[step.role].with_suffix(".prepared.mp4")
            to_mp4(infos[step.source].path, used[step.role])
        inputs = {role: self.put(path) for role, path in used.items()}
        full = operation.complete(given, prompt, infos)
        assert operation.check(full, infos) == []
        return Sample(a_run(full, id=f"rs_{number}", operation=operation.name, family="cosmos3"), prompt, inputs, infos)

    def put(self, path):
        content = path.read_bytes()
        file = InputFile(path, hashlib.sha256(content).hexdigest(), len(content))
        (self.inputs / file.host_path.name).write_bytes(content)
        return file

    def run(self, operation, samples, **env):
        """The job, what its lines told, and the outcome of each run."""
        job = operation.build_job("jb_1", samples, self.paths)
        for file in job.files:
            (self.job / file.path).write_text(file.text)
        ended = subprocess.run(
            job.container.argv,
            cwd=self.folder,
            env={**self.env, **job.container.env, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        lines = ended.stdout.decode().replace("\r", "\n").splitlines()
        reader = operation.reader(job)
        events = [event for line in lines for event in reader(line)]
        outcomes = operation.read_outputs(job, ContainerExit(ended.returncode), events, self.found(job, lines))
        return job, events, outcomes

    def found(self, job, lines):
        texts = {marker: self.job / marker for item in job.items for marker in item.markers}
        left = {file.path: (self.job / file.path, file.name) for item in job.items for file in item.outputs}
        return Findings(
            {marker: path.read_text() for marker, path in texts.items() if path.exists()},
            {path: OutputFile(path, "ab", there.stat().st_size, name) for path, (there, name) in left.items() if there.exists()},
            lines,
        )
