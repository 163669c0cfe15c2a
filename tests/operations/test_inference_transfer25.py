"""Inference with cosmos-transfer2.5 through its simulation: what we write is taken, and what it prints and leaves is read."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from cosmos_ops.intake import check_request, sample_of
from cosmos_ops.job import Completed, ContainerExit, Findings, JobPaths, NotCompleted, OutputFile, SampleProgress
from cosmos_ops.operations.inference_transfer25 import INFERENCE_TRANSFER25, InferenceTransfer25
from cosmos_ops.params import active_controls
from cosmos_ops.planning import control_signature
from cosmos_ops.runs import Prompt
from tests.builders import a_run
from tests.media.videos import NTSC_FILM, write_clip
from tests.models.image import lay_out
from tests.models.program import video_digest, video_info

from .transfer25 import params_of

STRENGTHS = ("very_low", "low", "medium", "high", "very_high")


@dataclass
class Ended:
    """What a job became."""

    code: int
    lines: list[str]
    events: list
    outcomes: dict
    out: Path

    def kinds(self):
        named = self.outcomes.values()
        return [type(one.error).__name__ if isinstance(one, NotCompleted) else type(one).__name__ for one in named]

    def digest(self, run_id):
        return video_digest(self.out / f"{run_id}.mp4")


class Place:
    """A folder of this machine with the simulation, videos, and the job and inputs of a container."""

    def __init__(self, folder):
        self.folder = folder
        self.env = {**lay_out(folder / "sim", "transfer25"), "HOME": str(folder), "SIM_SCALE": "32"}
        self.videos = {
            "short": write_clip(folder / "short.mp4", frame_count=5),
            "long": write_clip(folder / "long.mp4", frame_count=100),
            "edge": write_clip(folder / "edge.mp4", frame_count=100, width=96, height=72),
            "film": write_clip(folder / "film.mp4", frame_count=4, fps=NTSC_FILM),
            "one": write_clip(folder / "one.mp4", frame_count=1),
        }

    def sample(self, params, text="a street", *, number=1, negative="", video="short", **files):
        """A sample that has been checked, completed and prepared as every request is."""
        videos = {"video": self.videos[video], **{role: self.videos[name] for role, name in files.items()}}
        check_request(INFERENCE_TRANSFER25, params, text, videos)
        run = a_run(params, id=f"rs_{number}", family="transfer25")
        return sample_of(INFERENCE_TRANSFER25, run, Prompt(text, negative), videos, prepared=self.folder / "prepared")

    def run(self, *samples):
        """Do what a host does with a job, at places of this machine."""
        shutil.rmtree(self.folder / "job", ignore_errors=True)
        job_folder, inputs = self.folder / "job", self.folder / "inputs"
        paths = JobPaths(PurePosixPath(job_folder), PurePosixPath(inputs))
        job = INFERENCE_TRANSFER25.build_job("jb_1", samples, paths)
        for folder in (job_folder, inputs):
            folder.mkdir(exist_ok=True)
        for file in job.inputs:
            shutil.copyfile(file.source, inputs / file.host_path.name)
        for text in job.files:
            (job_folder / text.path).write_text(text.text, encoding="utf-8", newline="")
        done = subprocess.run(
            job.container.argv,
            cwd=self.folder / "sim" / "workspace",
            env={**self.env, **job.container.env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        lines = done.stdout.decode().replace("\r", "\n").split("\n")
        read = INFERENCE_TRANSFER25.reader(job)
        events = [event for line in lines for event in read(line)]
        # As docker says it.
        code = done.returncode if done.returncode >= 0 else 128 - done.returncode
        outcomes = INFERENCE_TRANSFER25.read_outputs(job, ContainerExit(code), events, self._findings(job, job_folder, lines))
        return Ended(code, lines, events, outcomes, job_folder / "out")

    def _findings(self, job, folder, lines):
        markers = [marker for item in job.items for marker in item.markers if (folder / marker).exists()]
        files = [file for item in job.items for file in item.outputs if (folder / file.path).exists()]
        found = {file.path: OutputFile(file.path, "", (folder / file.path).stat().st_size, file.name) for file in files}
        return Findings({marker: (folder / marker).read_text(encoding="utf-8") for marker in markers}, found, lines[-200:])


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return Place(tmp_path_factory.mktemp("transfer25"))


def test_a_batch_of_unequal_samples_is_taken_whole(place):
    ended = place.run(
        place.sample(params_of(num_steps=2), "Straße \u2028 🚗\nsecond line", number=1),
        place.sample(params_of(edge_weight=0.3, seed=9, num_steps=3), number=2, video="long", edge="edge", edge_mask="long"),
        place.sample(params_of(resolution="480", guidance=0), number=3, negative="rain", video="film"),
        place.sample(params_of(max_frames=1, show_input=True), number=4, video="long"),
    )

    assert ended.code == 0
    assert ended.kinds() == ["Completed"] * 4
    assert {"video", "spec", "control_edge", "mask_edge"} == set(ended.outcomes["rs_2"].files)
    assert {"image", "spec", "control_edge"} == set(ended.outcomes["rs_4"].files)
    assert video_info(ended.out / "rs_2.mp4").frames == 100
    # The program takes the whole frames per second of the input.
    assert video_info(ended.out / "rs_3.mp4").fps == 23
    progress = [
        (event.done, event.total) for event in ended.events if isinstance(event, SampleProgress) and event.run_id == "rs_2"
    ]
    assert progress == [(done, 6) for done in range(7)]


@pytest.mark.parametrize(
    "values",
    [
        {"distilled": True},
        {"num_gpus": 2, "num_steps": 2},
        {"guardrails": False, "compile_tokenizer": "aggressive", "num_steps": 1},
        {"offload_guardrail_models": True, "num_steps": 1},
        {"edge_weight": 1, "vis_weight": 0.5, "depth_weight": 0.25, "seg_weight": 1, "num_steps": 1},
        {"seg_weight": 1, "seg_control_prompt": "car", "seg_mask_prompt": "road", "num_steps": 1},
    ],
)
def test_every_kind_of_process_is_started(place, values):
    ended = place.run(place.sample(params_of(**values)))

    assert ended.code == 0, ended.lines
    assert ended.kinds() == ["Completed"]
    last = [event for event in ended.events if isinstance(event, SampleProgress)][-1]
    assert last.done == last.total == (4 if values.get("distilled") else values["num_steps"])


def eight(place, third):
    params = params_of(num_steps=1)
    return [place.sample(params, third if number == 3 else f"prompt {number}", number=number) for number in range(1, 9)]


def test_a_blocked_prompt_among_eight_costs_only_itself(place):
    ended = place.run(*eight(place, "order=block"))

    assert ended.kinds() == [*["Completed"] * 2, "SampleBlockedError", *["Completed"] * 5]
    assert "the guardrail refused the prompt" in str(ended.outcomes["rs_3"].error)


@pytest.mark.parametrize("number", [1, 2])
def test_a_blocked_video_is_blocked_also_at_the_end(place, number):
    texts = {1: "a street", 2: "a street", number: "order=blockvideo"}
    ended = place.run(*(place.sample(params_of(num_steps=1), text, number=place_) for place_, text in texts.items()))

    assert ended.code == 0
    assert ended.kinds()[number - 1] == "SampleBlockedError"
    assert ended.kinds()[2 - number] == "Completed"


@pytest.mark.parametrize("order", ["block", "blockvideo"])
def test_a_block_on_several_gpus_ends_the_process_and_the_rest_is_run_again(place, order):
    params = params_of(num_gpus=2, num_steps=1)
    texts = ["a street", f"order={order}", "a tree"]
    ended = place.run(*(place.sample(params, text, number=number) for number, text in enumerate(texts, 1)))

    assert ended.code == 1
    assert ended.kinds() == ["Completed", "SampleBlockedError", "NotRun"]


@pytest.mark.parametrize(
    ("order", "kind"),
    [
        ("crash", "ProcessFailedError"),
        ("oom", "GPUMemoryError"),
        ("diskfull", "DiskFullError"),
        ("kill", "ProcessKilledError"),
    ],
)
def test_a_crash_among_eight_sends_the_later_ones_back_to_the_queue(place, order, kind):
    ended = place.run(*eight(place, f"order={order}"))

    assert ended.kinds() == [*["Completed"] * 2, kind, *["NotRun"] * 5]


def test_a_run_comes_out_alone_as_it_does_in_a_batch(place):
    params = [
        params_of(edge_weight=0.4, depth_weight=0.6, num_steps=2),
        params_of(edge_weight=1, depth_weight=0.1, num_steps=1, seed=3),
    ]
    samples = [place.sample(one, number=number, negative="rain" * number) for number, one in enumerate(params)]
    together = place.run(*samples)
    batch = [together.digest(sample.run.id) for sample in samples]

    assert len({control_signature(sample.run) for sample in samples}) == 1
    assert [place.run(sample).digest(sample.run.id) for sample in samples] == batch
    assert len(set(batch)) == 2


def test_a_control_of_weight_0_leaves_the_model_to_the_others(place):
    alone = place.run(place.sample(params_of(vis_weight=0.4, num_steps=1))).digest("rs_1")

    assert place.run(place.sample(params_of(vis_weight=0.4, edge_weight=0, num_steps=1))).digest("rs_1") == alone


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
weights = st.sampled_from([0.0, 0.25, 1.0])


@st.composite
def any_params(draw):
    values = {f"{name}_weight": draw(weights) for name in ("edge", "vis", "depth", "seg")}
    if not any(values.values()):
        values["edge_weight"] = 0.5
    values |= {f"{name}_mask_prompt": draw(words) for name in ("edge", "vis", "depth", "seg")}
    return InferenceTransfer25(
        **values,
        seed=draw(st.integers(0, 2**31 - 1)),
        guidance=draw(st.integers(0, 7)),
        num_steps=draw(st.integers(0, 3)),
        resolution=draw(st.sampled_from(["1080", "1024", "720", "512", "480", "480p", "720p", "720robocasa", "256"])),
        keep_input_resolution=draw(st.booleans()),
        max_frames=draw(st.integers(0, 5000)),
        num_conditional_frames=draw(st.integers(0, 2)),
        negative_prompt=draw(words),
        context_frame_index=draw(st.integers(0, 4)),
        edge_threshold=draw(st.sampled_from(STRENGTHS)),
        blur_strength=draw(st.sampled_from(STRENGTHS)),
        seg_control_prompt=draw(words),
        guided_generation_step_threshold=draw(st.integers(0, 1000)),
        guardrails=draw(st.booleans()),
        offload_guardrail_models=draw(st.booleans()),
        compile_tokenizer=draw(st.sampled_from(["none", "moderate", "aggressive"])),
    )


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(params=any_params(), text=words, video=st.sampled_from(["short", "film", "one"]), data=st.data())
def test_whatever_we_accept_the_program_accepts(place, params, text, video, data):
    controls = active_controls(params)
    roles = [name for name in controls if data.draw(st.booleans(), label=f"{name} as a file")]
    text = text.strip() or "a street"
    files = dict.fromkeys([*roles, *(["guided_mask"] if data.draw(st.booleans(), label="guided") else [])], "long")
    videos = {"video": place.videos[video], **{role: place.videos[name] for role, name in files.items()}}
    problems = INFERENCE_TRANSFER25.check(
        params, sample_of(INFERENCE_TRANSFER25, a_run(params), Prompt(text), videos, prepared=place.folder / "prepared").videos
    )
    assume(not problems)
    ended = place.run(place.sample(params, text, video=video, **files))

    assert ended.code == 0, ended.lines
    assert isinstance(ended.outcomes["rs_1"], Completed)
