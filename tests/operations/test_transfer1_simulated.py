"""What we write for transfer1, read by its simulated program: batches, what breaks them, and whatever parameters allow."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cosmos_ops.job import ContainerExit, Sample, SampleBlocked
from cosmos_ops.media.probe import probe
from cosmos_ops.operations.inference_transfer1 import INFERENCE_TRANSFER1, InferenceTransfer1
from cosmos_ops.operations.upscale_transfer1 import UPSCALE_TRANSFER1, UpscaleTransfer1
from cosmos_ops.params import active_controls, process_values
from cosmos_ops.planning import control_signature
from cosmos_ops.runs import Prompt
from tests.builders import a_run
from tests.media.videos import write_clip
from tests.models import transfer1
from tests.models.program import video_digest
from tests.models.transfer1_spec import NEGATIVE_PROMPT, parse_arguments

from .transfer1_samples import Host, kinds

CONTROLS = ("vis", "edge", "depth", "seg", "keypoint")
AV_CONTROLS = ("hdmap", "lidar")
ROLES = ("video", *CONTROLS, *AV_CONTROLS)


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def put(host, *roles, frame_count=10):
    """Real files by role, each of its own size, with what is known of them."""
    found = {}
    for role in roles:
        path = host.folder / f"{role}-{frame_count}.mp4"
        if not path.exists():
            size = 2 * (ROLES.index(role) + 1)
            write_clip(path, frame_count=frame_count, width=20 * size, height=11 * size)
        found[role] = path
    return {role: host.input(path) for role, path in found.items()}, {role: probe(path) for role, path in found.items()}


def a_sample(operation, params, media, *, number=1, text="a street", negative=""):
    files, infos = media
    prompt = Prompt(text, negative)
    full = operation.complete(params, prompt, infos)
    assert operation.check(full, infos) == []
    run = a_run(full, id=f"rs_{number}", operation=operation.name, family=operation.family)
    return Sample(run, prompt, files, infos)


def inferences(host, texts, *roles, **values):
    params = InferenceTransfer1(**values)
    media = put(host, *(roles or ("video", "edge")))
    return [a_sample(INFERENCE_TRANSFER1, params, media, number=number, text=text) for number, text in enumerate(texts, start=1)]


def run(host, samples, operation=INFERENCE_TRANSFER1, **env):
    return host.run(operation.build_job("jb_1", samples, host.paths), operation, **env)


EIGHT = ["a street", "a beach", "{third}", "a hill", "a lake", "a town", "a road", "a pier"]
FIVE_NOT_RUN = {f"rs_{number}": "NotRun" for number in range(4, 9)}


def test_eight_runs_in_one_process_all_complete(host):
    ran = run(host, inferences(host, EIGHT))

    assert set(kinds(ran.outcomes).values()) == {"Completed"}
    assert ran.code == 0


@pytest.mark.parametrize("order", ["block", "blockvideo"])
def test_a_refused_run_is_blocked_and_those_after_it_go_back_to_the_queue(host, order):
    texts = [text.format(third=f"a man order={order}") for text in EIGHT]
    ran = run(host, inferences(host, texts))

    assert kinds(ran.outcomes) == {"rs_1": "Completed", "rs_2": "Completed", "rs_3": "SampleBlockedError", **FIVE_NOT_RUN}
    assert [event.run_id for event in ran.events if isinstance(event, SampleBlocked)] == ["rs_3"]
    assert ran.code == 1


@pytest.mark.parametrize("order", ["crash", "oom", "kill", "diskfull"])
def test_a_run_that_breaks_the_process_fails_and_those_after_it_go_back_to_the_queue(host, order):
    texts = [text.format(third=f"a man order={order}") for text in EIGHT]
    outcomes = kinds(run(host, inferences(host, texts)).outcomes)

    assert outcomes.pop("rs_3") not in ("Completed", "NotRun", "SampleBlockedError")
    assert outcomes == {"rs_1": "Completed", "rs_2": "Completed", **FIVE_NOT_RUN}


def test_a_spec_that_the_program_refuses_fails_all_runs(host):
    job = INFERENCE_TRANSFER1.build_job("jb_1", inferences(host, ["a street", "a beach"]), host.paths)
    broken = [type(file)(file.path, "{" if str(file.path) == "spec.json" else file.text) for file in job.files]
    ran = host.run(type(job)(**{**vars(job), "files": tuple(broken)}), INFERENCE_TRANSFER1)

    assert not {"Completed", "NotRun"} & set(kinds(ran.outcomes).values())


def test_a_prompt_that_was_not_the_runs_own_does_not_complete_it(host):
    samples = inferences(host, ["a street"])
    job = INFERENCE_TRANSFER1.build_job("jb_1", samples, host.paths)
    other = [type(file)(file.path, file.text.replace("a street", "a beach")) for file in job.files]
    ran = host.run(type(job)(**{**vars(job), "files": tuple(other)}), INFERENCE_TRANSFER1)

    assert kinds(ran.outcomes) == {"rs_1": "OutputMissingError"}


def test_a_run_in_a_batch_gives_the_video_that_it_gives_alone(host):
    """Weights, files and prompts differ; nothing of a neighbour may reach a run, and no place in the batch counts.

    Only the program's own segmentation is coloured at random, so that at most one run may have it here.
    """
    full = put(host, "video", *CONTROLS)
    given = [(full, 0.2, "a street"), (full, 0.9, "a beach"), (put(host, "video", "vis", "edge"), 0.5, "a hill")]
    samples = [
        a_sample(
            INFERENCE_TRANSFER1,
            InferenceTransfer1(vis_weight=weight, edge_weight=1 - weight, depth_weight=weight, seg_weight=0.3),
            media,
            number=number,
            text=text,
        )
        for number, (media, weight, text) in enumerate(given)
    ]
    run(host, samples)
    together = [video_digest(host.folder / f"job/out/video_{number}/output.mp4") for number in range(3)]
    alone = []
    for sample in samples:
        run(host, [sample])
        alone.append(video_digest(host.folder / "job/out/video_0/output.mp4"))

    assert together == alone
    assert len(set(alone)) == 3


def digests(host, samples):
    """What the video of each run is made from, all of them made in one process."""
    run(host, samples)
    return [video_digest(host.folder / f"job/out/video_{number}/output.mp4") for number in range(len(samples))]


def with_controls(host, *several, **process):
    """Runs whose controls differ, each with the files of these roles."""
    return [
        a_sample(INFERENCE_TRANSFER1, InferenceTransfer1(**values, **process), put(host, *roles), number=number, text=f"{number}")
        for number, (values, roles) in enumerate(several)
    ]


DIFFERENT = [
    ({"edge_weight": 0.8}, ("video", "edge")),
    ({"edge_weight": 0.4, "depth_weight": 0.9}, ("video", "edge")),
    ({"vis_weight": 0.6, "seg_weight": 0.6}, ("video", "vis", "seg")),
    ({"keypoint_weight": 1}, ("video",)),
]


def test_runs_with_different_controls_give_in_one_process_what_they_give_alone(host):
    samples = with_controls(host, *DIFFERENT)
    assert all(INFERENCE_TRANSFER1.needs(sample.run.params, sample.videos).is_widenable for sample in samples)
    alone = [digests(host, [sample])[0] for sample in samples]

    assert digests(host, samples) == alone
    assert digests(host, samples[::-1]) == alone[::-1]
    assert len(set(alone)) == len(samples)


@pytest.mark.parametrize(
    ("values", "process"),
    [
        # Beside a mask the program takes a weight of 0 for one that is not given.
        ({"seg_weight": 0.5, "seg_weight_prompt": "cars"}, {}),
        ({"edge_weight": 0.5}, {"num_gpus": 2}),
    ],
)
def test_a_run_that_is_not_widenable_would_give_another_video(host, values, process):
    samples = with_controls(host, (values, ("video", "edge", "seg")), ({"vis_weight": 1}, ("video", "vis")), **process)
    assert not INFERENCE_TRANSFER1.needs(samples[0].run.params, samples[0].videos).is_widenable

    assert digests(host, samples)[0] != digests(host, samples[:1])[0]


def test_several_gpus_leave_one_video_and_one_control(host):
    ran = run(host, inferences(host, ["a street"], "video", depth_weight=1, num_gpus=2))

    assert kinds(ran.outcomes) == {"rs_1": "Completed"}
    assert list(ran.outcomes["rs_1"].files) == ["video", "control_depth"]


@pytest.mark.parametrize("controls", [("edge",), ("hdmap",), ("hdmap", "lidar")])
def test_runs_without_an_input_video_complete(host, controls):
    params = InferenceTransfer1(**{f"{name}_weight": 0.7 for name in controls})
    ran = run(host, [a_sample(INFERENCE_TRANSFER1, params, put(host, *controls))])

    assert kinds(ran.outcomes) == {"rs_1": "Completed"}


def test_the_distilled_model_and_masks_and_regions_run(host):
    media = put(host, "video", "edge", frame_count=121)
    region = [{"prompt": "a car", "box": [0, 0, 0.5, 1]}, {"prompt": "a tree", "box": [0.5, 0, 1, 1]}]
    for values in (
        {"distilled": True},
        {"seg_weight": 0.5, "edge_weight": 0.5, "seg_weight_prompt": "cars", "seg_prompt": "cars. trees."},
        {"regional_prompts": region},
    ):
        samples = [
            a_sample(INFERENCE_TRANSFER1, InferenceTransfer1(**values), media, number=number, text=f"street {number}")
            for number in (1, 2)
        ]
        assert set(kinds(run(host, samples).outcomes).values()) == {"Completed"}


def test_pieces_of_long_videos_are_upscaled_in_one_process(host):
    params = UpscaleTransfer1()
    short, long = put(host, "video", frame_count=20), put(host, "video", frame_count=130)
    samples = []
    for number, (files, infos) in enumerate((long, short, long)):
        steps = UPSCALE_TRANSFER1.prepare(params, infos)
        cut = {step.role: host.input(write_piece(host, step, number)) for step in steps}
        samples.append(a_sample(UPSCALE_TRANSFER1, params, (cut or files, infos), number=number, text=""))
    ran = run(host, samples, UPSCALE_TRANSFER1)

    assert {run_id: list(outcome.files) for run_id, outcome in ran.outcomes.items()} == {
        "rs_0": ["piece-0", "piece-1"],
        "rs_1": ["video"],
        "rs_2": ["piece-0", "piece-1"],
    }
    frame_counts = [probe(host.folder / f"job/out/video_{number}/output.mp4").frame_count for number in range(5)]
    assert frame_counts == [69, 69, 20, 69, 69]


def write_piece(host, step, number):
    return write_clip(host.folder / f"{step.role}-{number}.mp4", frame_count=step.frames[1], width=80, height=44)


# Whatever parameters allow

WEIGHT = st.sampled_from([0, 0.25, 1])
TEXT = st.text(min_size=1, max_size=60).map(str.strip).filter(lambda text: text and "order=" not in text and "\x00" not in text)
REGION = st.one_of(
    st.builds(lambda text: {"prompt": text, "box": [0.0, 0.25, 0.5, 1.0]}, TEXT),
    st.builds(lambda text, mask: {"prompt": text, "mask_prompt": mask}, TEXT, TEXT),
)
PROCESS = st.fixed_dictionaries(
    {},
    optional={
        "num_steps": st.integers(1, 200),
        "guidance": st.floats(0, 20),
        "sigma_max": st.floats(0.1, 80),
        "seed": st.integers(0, 2**31 - 1),
        "fps": st.integers(0, 240),
        "negative_prompt": st.text(max_size=40),
        "offload_text_encoder_model": st.booleans(),
        "offload_diffusion_transformer": st.booleans(),
        "distilled": st.booleans(),
        "regional_prompts": st.lists(REGION, max_size=2),
    },
)
RUN = st.fixed_dictionaries(
    {},
    optional={
        **{f"{name}_weight": WEIGHT for name in (*CONTROLS, *AV_CONTROLS)},
        "seg_prompt": TEXT,
        "seg_weight_prompt": TEXT,
    },
)
FILES = st.sets(st.sampled_from(ROLES), min_size=1).map(frozenset)


ORDINARY_PROCESS = PROCESS.map(lambda values: {**values, "distilled": False, "regional_prompts": []})
ORDINARY_RUN = st.fixed_dictionaries({}, optional={f"{name}_weight": WEIGHT for name in CONTROLS})
ORDINARY_FILES = st.sets(st.sampled_from(CONTROLS)).map(lambda roles: {"video", *roles})


@pytest.fixture(scope="module")
def small_host():
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIM_SCALE", "64")
        patch.setenv("SIM_CHECKPOINTS", "0")
        host = Host(Path(folder))
        yield host, {frame_count: put(host, *ROLES, frame_count=frame_count) for frame_count in (10, 121)}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(process=PROCESS, runs=st.lists(st.tuples(RUN, FILES, TEXT), min_size=2, max_size=4))
def test_the_program_does_whatever_we_do_not_refuse(small_host, process, runs):
    host, media = small_host
    files, infos = media[121 if process.get("regional_prompts") else 10]
    batches = {}
    for number, (values, roles, text) in enumerate(runs):
        sample = allowed(process, values, {role: infos[role] for role in roles}, text, files, number)
        if sample is not None:
            batches.setdefault(control_signature(sample.run), []).append(sample)
    for samples in batches.values():
        job = INFERENCE_TRANSFER1.build_job("jb_1", samples, host.paths)
        shutil.rmtree(host.paths.job, ignore_errors=True)
        host.stage(job)
        script = next(number for number, argument in enumerate(job.container.argv) if argument.endswith("transfer.py"))
        argv = list(job.container.argv[script + 1 :])

        assert transfer1.main(argv) == 0
        assert set(kinds(INFERENCE_TRANSFER1.read_outputs(job, ContainerExit(0), [], host.found(job, []))).values()) == {
            "Completed"
        }
        cfg, controls = parse_arguments(argv)
        params = samples[0].run.params
        assert (cfg.seed, cfg.num_steps, cfg.guidance) == (params.seed, params.num_steps, params.guidance)
        assert (cfg.sigma_max, cfg.fps, cfg.use_distilled) == (params.sigma_max, params.fps, params.distilled)
        assert cfg.negative_prompt.strip() == (params.negative_prompt.replace("\x00", "").strip() or NEGATIVE_PROMPT)
        assert tuple(controls) == active_controls(params)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(process=ORDINARY_PROCESS, runs=st.lists(st.tuples(ORDINARY_RUN, ORDINARY_FILES, TEXT), min_size=2, max_size=4))
def test_whatever_is_widenable_gives_among_others_what_it_gives_alone(small_host, process, runs):
    host, media = small_host
    files, infos = media[10]
    several = {}
    for number, (values, roles, text) in enumerate(runs):
        sample = allowed(process, values, {role: infos[role] for role in roles}, text, files, number)
        if sample is not None and INFERENCE_TRANSFER1.needs(sample.run.params, sample.videos).is_widenable:
            several.setdefault(process_values(sample.run.params), []).append(sample)
    for samples in several.values():
        together = made_here(host, samples)
        assert together == [made_here(host, [sample])[0] for sample in samples]


def made_here(host, samples):
    """The digests of the videos of one process, without starting one."""
    job = INFERENCE_TRANSFER1.build_job("jb_1", samples, host.paths)
    shutil.rmtree(host.paths.job, ignore_errors=True)
    host.stage(job)
    script = next(number for number, argument in enumerate(job.container.argv) if argument.endswith("transfer.py"))
    assert transfer1.main(list(job.container.argv[script + 1 :])) == 0
    return [video_digest(host.folder / f"job/out/video_{number}/output.mp4") for number in range(len(samples))]


def allowed(process, values, infos, text, files, number):
    """The sample of a request; none if it is refused."""
    params = INFERENCE_TRANSFER1.complete(InferenceTransfer1(**process, **values), Prompt(text), infos)
    used = {role: info for role, info in infos.items() if role in INFERENCE_TRANSFER1.reads(params)}
    if INFERENCE_TRANSFER1.check(params, used):
        return None
    made = {step.role: files[step.role] for step in INFERENCE_TRANSFER1.prepare(params, used)}
    run_of = a_run(params, id=f"rs_{number}", family="transfer1")
    return Sample(run_of, Prompt(text), {**{role: files[role] for role in used}, **made}, used)
