"""Transfer1's prompt enhancement: what its parameters become, and the script that runs beside the upsampler."""

import json

import pytest

from cosmos_ops.job import SampleEnded, SampleFailed, SampleStarted
from cosmos_ops.media.probe import probe
from cosmos_ops.operations.enhance_transfer1 import ENHANCE_TRANSFER1, EnhanceTransfer1
from cosmos_ops.operations.operation import Preparation
from cosmos_ops.planning import control_signature
from tests.builders import a_run
from tests.media.videos import write_clip

from .transfer1_samples import PATHS, Host, a_sample, a_video, file_of, flags, infos, kinds

OPERATION = ENHANCE_TRANSFER1


def params(**values):
    return EnhanceTransfer1.read(values)


def a_job(*samples):
    return OPERATION.build_job("jb_1", samples or [a_sample(OPERATION, params(), videos=infos("video"))], PATHS)


def requests_of(job):
    return [json.loads(line) for line in file_of(job, "prompts.jsonl").splitlines()]


def test_the_script_gets_each_prompt_with_its_control_video():
    one = a_sample(OPERATION, params(), videos=infos("video"), text='a "street"\nat night')
    two = a_sample(OPERATION, params(control="seg"), videos=infos("video", "seg"), run_id="rs_2")
    made = a_job(one, two)

    assert requests_of(made) == [
        {"name": "rs_1", "prompt": 'a "street"\nat night', "video": "/cosmos/inputs/madevis.mp4"},
        {"name": "rs_2", "prompt": "a street", "video": "/cosmos/inputs/segsegsegseg.mp4"},
    ]
    assert [file.host_path.name for file in made.inputs] == ["madevis.mp4", "segsegsegseg.mp4"]


def test_the_command_line():
    container = a_job().container

    assert container.argv[:2] == ("torchrun", "--nproc_per_node=1")
    assert "/cosmos/job/upsample_prompts.py" in container.argv
    assert flags(container.argv) == {
        "--requests": "/cosmos/job/prompts.jsonl",
        "--output_folder": "/cosmos/job/out",
        "--checkpoint_dir": "/cosmos/models/transfer1",
    }
    assert (container.gpu_count, container.workdir, container.modes) == (1, "/workspace", ("enhance",))
    assert container.env["PYTHONPATH"] == "/workspace"
    assert container.env["VLLM_HOST_IP"] == "127.0.0.1"


def test_the_offload_flag_reaches_the_script():
    sample = a_sample(OPERATION, params(offload_prompt_upsampler=True), videos=infos("video"))
    assert flags(a_job(sample).container.argv)["--offload_prompt_upsampler"] is True


@pytest.mark.parametrize(
    ("control", "videos", "steps"),
    [
        ("vis", infos("video"), (Preparation("vis", "video", "blur", "high"),)),
        ("edge", infos("video"), (Preparation("edge", "video", "edge", "low"),)),
        ("edge", infos("video", "edge"), ()),
        ("seg", {"video": a_video(suffix=".mov"), "seg": a_video("seg", suffix=".mov")}, (Preparation("seg", "seg", "mp4"),)),
    ],
)
def test_edges_and_blur_are_made_here(control, videos, steps):
    assert OPERATION.prepare(params(control=control, blur_strength="high", canny_threshold="low"), videos) == steps


@pytest.mark.parametrize(
    ("control", "videos", "begins"),
    [
        ("vis", {}, "control: there is no vis video, and no input video"),
        ("edge", infos("vis"), "control: there is no edge video, and no input video"),
        ("seg", infos("video"), "control: there is no seg video; add seg.mp4, or choose vis or edge"),
        ("depth", {}, "control: there is no depth video"),
    ],
)
def test_a_control_that_is_not_there_is_refused(control, videos, begins):
    (problem,) = OPERATION.check(params(control=control), videos)
    assert problem.startswith(begins)


@pytest.mark.parametrize(("control", "roles"), [("vis", ["video"]), ("edge", ["edge"]), ("seg", ["seg"])])
def test_a_control_that_is_there_or_can_be_made_is_taken(control, roles):
    assert OPERATION.check(params(control=control), infos(*roles)) == []
    assert OPERATION.reads(params(control=control)) == {"video", control}


def test_prompts_for_different_controls_share_the_upsampler():
    one, two, three = (
        control_signature(a_run(params(**given))) for given in ({}, {"control": "seg"}, {"offload_prompt_upsampler": True})
    )
    assert one == two != three


@pytest.mark.parametrize(
    ("line", "events"),
    [
        ("[enhance] started rs_1", [SampleStarted("rs_1")]),
        ("[enhance] finished rs_1", [SampleEnded("rs_1")]),
        ("[enhance] failed rs_1: ValueError: too long", [SampleFailed("rs_1", "ValueError: too long"), SampleEnded("rs_1")]),
        ("\x1b[1m[enhance] started rs_1\x1b[0m", [SampleStarted("rs_1")]),
        ("Processed prompts: 100%|##########| 1/1 [00:02<00:00,  2.1s/it][enhance] started rs_1", [SampleStarted("rs_1")]),
        ("[enhance] started rs_2", []),
        ("a text: [enhance] started rs_1", []),
        ("[enhance] done, 0 of 1 failed", []),
        ("", []),
    ],
)
def test_a_line_tells_this(line, events):
    assert OPERATION.reader(a_job())(line) == events


# The script, run beside the simulated upsampler


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def samples_on(host, texts, *, width=1280, height=704, **values):
    write_clip(host.folder / "vis.mp4", frame_count=3, width=width, height=height)
    file, info = host.input(host.folder / "vis.mp4"), probe(host.folder / "vis.mp4")
    return [
        a_sample(OPERATION, params(**values), videos={"vis": info}, run_id=f"rs_{number}", text=text, files={"vis": file})
        for number, text in enumerate(texts, start=1)
    ]


def run(host, samples):
    return host.run(OPERATION.build_job("jb_1", samples, host.paths), OPERATION)


def text_of(host, run_id):
    return (host.folder / "job" / "out" / run_id / "prompt.txt").read_text()


@pytest.mark.parametrize("offloads", [False, True])
def test_prompts_are_enhanced_also_from_large_frames(host, offloads):
    ran = run(host, samples_on(host, ["a street", "a beach"], offload_prompt_upsampler=offloads))

    assert kinds(ran.outcomes) == {"rs_1": "Completed", "rs_2": "Completed"}
    assert [text_of(host, run_id).partition(" over")[0][:8] for run_id in ("rs_1", "rs_2")] == ["a street", "a beach "]
    assert list(ran.outcomes["rs_1"].files) == ["prompt"]
    assert ran.code == 0


def test_a_prompt_that_cannot_be_enhanced_leaves_the_others_alone(host):
    ran = run(host, samples_on(host, ["a street", "word " * 4500, "a beach"]))

    assert kinds(ran.outcomes) == {"rs_1": "Completed", "rs_2": "SampleFailedError", "rs_3": "Completed"}
    assert "longer than the maximum model length" in str(ran.outcomes["rs_2"].error)
    assert not (host.folder / "job" / "out" / "rs_2").exists()


def test_a_video_that_cannot_be_read_fails_its_prompt_alone(host):
    samples = samples_on(host, ["a street", "a beach"])
    job = OPERATION.build_job("jb_1", samples, host.paths)
    broken = file_of(job, "prompts.jsonl").replace(samples[0].inputs["vis"].sha256, "gone", 1)
    files = [file if str(file.path) != "prompts.jsonl" else type(file)(file.path, broken) for file in job.files]
    ran = host.run(type(job)(**{**vars(job), "files": tuple(files)}), OPERATION)

    assert kinds(ran.outcomes) == {"rs_1": "SpecRefusedError", "rs_2": "Completed"}


@pytest.mark.parametrize("order", ["crash", "oom", "kill"])
def test_a_broken_gpu_ends_the_process_and_the_rest_goes_back_to_the_queue(host, order):
    ran = run(host, samples_on(host, ["a street", f"a beach order={order}", "a hill"]))

    assert kinds(ran.outcomes)["rs_1"] == "Completed"
    assert kinds(ran.outcomes)["rs_2"] not in ("Completed", "NotRun", "SampleFailedError", "SampleBlockedError")
    assert kinds(ran.outcomes)["rs_3"] == "NotRun"
    assert ran.code == 1


def test_a_model_that_cannot_be_loaded_fails_all_prompts(host):
    job = OPERATION.build_job("jb_1", samples_on(host, ["a street", "a beach"]), host.paths)
    ran = host.run(job, OPERATION, SIM_CHECKPOINTS="1")

    assert not ran.events
    assert not {"Completed", "NotRun"} & set(kinds(ran.outcomes).values())
