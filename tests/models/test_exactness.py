"""A batch never changes a result: each run gives byte for byte the video that it gives alone, on every family."""

import hashlib
import json
from dataclasses import replace

import pytest

from cosmos_ops import execution
from cosmos_ops.intake import check_request, completed, job_of, sample_of
from cosmos_ops.job import Completed, host_folder
from cosmos_ops.names import new_id
from cosmos_ops.operations import find_operation
from cosmos_ops.planning import control_signature
from cosmos_ops.remote.local import LocalHost
from cosmos_ops.runs import VIDEO, Prompt
from flows.hosts import connected
from tests.builders import a_clip, a_run

pytestmark = pytest.mark.gpu_machines

SMALL = {"num_steps": 2, "resolution": "256"}
RUNS = {
    "transfer1": [
        {"vis_weight": 0.2, "edge_weight": 0.9, "depth_weight": 0.3, "num_steps": 2},
        {"vis_weight": 0.7, "edge_weight": 0.1, "depth_weight": 0.1, "num_steps": 2},
        {"vis_weight": 0.3, "edge_weight": 0.3, "depth_weight": 0.3, "num_steps": 2},
    ],
    "transfer25": [
        {"edge_weight": 0.2, "depth_weight": 0.5, "seed": 1, "num_steps": 2},
        {"edge_weight": 0.9, "depth_weight": 0.5, "seed": 1, "num_steps": 2},
        {"edge_weight": 0.2, "depth_weight": 0.5, "seed": 2, "num_steps": 3, "guidance": 5, "negative_prompt": "rain"},
    ],
    "cosmos3": [
        {"edge_weight": 0.2, "vis_weight": 1, "seed": 1, **SMALL},
        {"edge_weight": 0.9, "vis_weight": 1, "seed": 1, **SMALL},
        {"mode": "text2video", "num_frames": 25, "seed": 3, **SMALL},
    ],
    "preview": [
        {"edge_weight": 0.2, "depth_weight": 0, "seg_weight": 0},
        {"edge_weight": 0.9, "depth_weight": 0, "seg_weight": 0},
        {"edge_weight": 0.2, "depth_weight": 0, "seg_weight": 0, "seed": 2, "guidance": 9, "grain": 3, "max_frames": 4},
    ],
}
"""Parameters of runs that may share a process; the first two differ in weights alone."""
SPECS = {
    "transfer1": ("batch.jsonl", "control_overrides"),
    "transfer25": ("batch.jsonl", "edge"),
    "cosmos3": ("specs.jsonl", "edge"),
    "preview": ("samples.jsonl", "controls"),
}
"""The file with a line for each run, and the key in it that holds weights."""


class Quiet:
    """Watches a job that nobody disturbs."""

    def line(self, line):
        """Nothing."""

    def event(self, event):
        """Nothing."""

    def is_cancelled(self):
        return False

    def is_its_turn(self):
        return True

    def waiting(self, reason):
        """Nothing."""

    def started(self, *, is_new):
        """Nothing."""

    def contact(self, is_there):
        """Nothing."""


class Place:
    """A host, and what its jobs leave."""

    def __init__(self, folder, host, family):
        self.folder, self.host, self.family = folder, host, family
        self.operation = find_operation("inference", family)
        self.clips = [a_clip(folder / f"{count}.mp4", frame_count=count, width=128, height=72) for count in (6, 8)]

    def sample(self, number, values):
        prompt, files = Prompt(f"a street number {number}"), {VIDEO: self.clips[number // 2 % 2]}
        params = completed(self.operation, self.operation.params.read(values), prompt, files)
        check_request(self.operation, params, prompt.text, files)
        run = a_run(params, family=self.family, id=f"rs_{number}")
        return sample_of(self.operation, run, prompt, files, prepared=self.folder / "prepared")

    def samples(self, several):
        return [self.sample(number, values) for number, values in enumerate(several)]

    def videos(self, samples, *, change=lambda _lines: None):
        """The digest of the video of each run, made in one process; `change` may spoil what its lines say."""
        job_id = new_id("jb")
        paths = self.host.paths(host_folder(job_id))
        job = job_of(self.operation, job_id, samples, paths, image=self.host.image(self.family, ""))
        job = replace(job, files=tuple(self._changed(file, change) for file in job.files))
        watch, folder = Quiet(), self.folder / job_id
        execution.stage_in(job, self.host, watch, on_sent=lambda _: None)
        computation = execution.compute(job, self.operation, self.host, watch, labels={}, log=folder / "log")
        outcomes = execution.judge(job, self.operation, self.host, computation)
        items = {item.run_id: item for item in job.items}
        made = []
        for sample in samples:
            item, outcome = items[sample.run.id], outcomes[sample.run.id]
            assert isinstance(outcome, Completed), (outcome, (folder / "log").read_text())
            files = execution.stage_out(job, item, outcome, self.host, folder / item.run_id)
            made.append(hashlib.sha256(files[VIDEO].read_bytes()).hexdigest())
        execution.clean_up(job, self.host)
        return made

    def _changed(self, file, change):
        if file.path.name != SPECS[self.family][0]:
            return file
        lines = [json.loads(line) for line in file.text.splitlines()]
        change(lines)
        return replace(file, text="".join(json.dumps(line) + "\n" for line in lines))

    def alone(self, samples):
        return [video for sample in samples for video in self.videos([sample])]


@pytest.fixture
def place(family, request, tmp_path):
    if family == "preview":
        yield Place(tmp_path, LocalHost(tmp_path / "workspace"), family)
        return
    request.getfixturevalue("server")
    with connected("gpu-a") as host:
        yield Place(tmp_path, host, family)


@pytest.mark.parametrize("family", RUNS)
def test_a_batch_gives_each_run_the_video_that_it_gives_alone(family, place):
    samples = place.samples(RUNS[family])
    assert len({control_signature(sample.run) for sample in samples}) == 1

    together = place.videos(samples)

    assert together == place.alone(samples)
    assert len(set(together)) == len(samples)

    key = SPECS[family][1]

    def swap(lines):
        lines[0][key], lines[1][key] = lines[1][key], lines[0][key]

    # The comparison tells one weight from another.
    spoiled = place.videos(samples[:2], change=swap)
    assert spoiled[0] != together[0]
    assert spoiled[1] != together[1]


WIDENED = [
    {"edge_weight": 0.8},
    {"edge_weight": 0.4, "depth_weight": 0.9},
    {"vis_weight": 0.6},
]


@pytest.mark.parametrize("family", ["transfer1"])
def test_runs_with_different_controls_share_a_process_and_none_sees_a_control_of_another(family, place):
    samples = place.samples([{**values, "num_steps": 2} for values in WIDENED])
    assert all(place.operation.needs(sample.run.params, sample.videos).is_widenable for sample in samples)

    alone = place.alone(samples)

    assert place.videos(samples) == alone
    assert len(set(alone)) == len(samples)

    def leak(lines):
        lines[-1]["control_overrides"]["vis"]["control_weight"] = 0.1

    backwards = place.videos(samples[::-1], change=leak)[::-1]
    assert backwards[1:] == alone[1:]
    assert backwards[0] != alone[0]
