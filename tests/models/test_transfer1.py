"""The simulated Transfer1 does what is documented of the real one: arguments, spec, batches, files, lines and failures."""

import json
import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.media.videos import turned, write_clip, write_vfr_clip

from .image import lay_out
from .program import video_digest, video_info
from .transfer1_reading import as_read

TRANSFER = "sim/workspace/cosmos_transfer1/diffusion/inference/transfer.py"
UPSAMPLER = "sim/workspace/cosmos_transfer1/auxiliary/upsampler/inference/upsampler_pipeline.py"
EDGE = {"edge": {"control_weight": 1.0, "input_control": "edge.mp4"}}
STARTED = "running preprocessor"


@dataclass
class Ended:
    """How a program ended, and what it said."""

    code: int
    out: str
    err: str
    folder: Path

    def messages(self):
        return re.findall(r"(?m)^\[\d\d-\d\d \d\d:\d\d:\d\d\|\w+\|[\w/]+\.py:\d+:\w+\] (.*)$", self.out)

    def last_error(self):
        return self.err.rstrip().splitlines()[-1]

    def files(self):
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())

    def digest(self, number=0):
        return video_digest(self.folder / f"video_{number}" / "output.mp4")

    def prompts(self):
        return {path.parent.name: path.read_text() for path in self.folder.rglob("prompt.txt")}


class Place:
    """A folder with the programs, two videos and a control, in which the programs run."""

    def __init__(self, folder):
        self.folder = folder
        self.env = {**lay_out(folder / "sim", "transfer1"), "HOME": str(folder), "SIM_JOB": str(folder)}
        write_clip(folder / "video.mp4", frame_count=10, width=160, height=90)
        write_clip(folder / "edge.mp4", frame_count=8, width=160, height=90)
        write_clip(folder / "tall.mp4", frame_count=8, width=90, height=160)
        write_clip(folder / "long.mp4", frame_count=122, width=64, height=36)
        (folder / "broken.mp4").write_bytes(b"no video")

    def run(self, *command, **env):
        done = subprocess.run(command, cwd=self.folder, env=self.env | env, capture_output=True, check=False)
        return Ended(done.returncode, done.stdout.decode(), done.stderr.decode(), self.folder / "out")

    def transfer(self, spec, *flags, torchrun=(), **env):
        spec = {"input_video_path": "video.mp4", **spec}
        (self.folder / "spec.json").write_text(json.dumps(spec))
        command = ("torchrun", *torchrun) if torchrun else ("python",)
        return self.run(*command, TRANSFER, "--controlnet_specs", "spec.json", "--video_save_folder", "out", *flags, **env)

    def batch(self, spec, *lines, flags=(), **values):
        whole = [json.dumps({"visual_input": "video.mp4", **line}) if isinstance(line, dict) else line for line in lines]
        (self.folder / "batch.jsonl").write_text("".join(f"{line}\n" for line in whole))
        return self.transfer(spec, "--batch_input_path", "batch.jsonl", *flags, **values)


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def prompts(*texts):
    return [{"prompt": text} for text in texts]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--seed", "one"), "argument --seed: invalid int value: 'one'"),
        (("--blur_strength", "bad"), "argument --blur_strength: invalid choice: 'bad'"),
        (("--num_input_frames", "2"), "argument --num_input_frames: invalid choice: 2"),
        (("--disable_guardrails",), "unrecognized arguments: --disable_guardrails"),
        (("--fps", "23.976"), "argument --fps: invalid int value: '23.976'"),
    ],
)
def test_a_wrong_argument_ends_it_with_2(place, flags, words):
    ended = place.transfer(EDGE, *flags)

    assert ended.code == 2
    assert words in ended.err


@pytest.mark.parametrize(
    ("spec", "flags", "words"),
    [
        ({"blur": {"control_weight": 1}}, (), "ValueError: Invalid hint_key: blur. Must be one of {"),
        ({**EDGE, "input_video_path": ""}, (), "ValueError: Must have 'input_video' specified if sigma_max < 80"),
        (
            {"edge": {}, "input_video_path": ""},
            ("--sigma_max", "80"),
            "ValueError: edge controlnet must have 'input_control' video specified if no 'input_video' specified.",
        ),
        (
            {"edge": {"control_weight": -0.1}},
            (),
            "ValueError: Control weight for edge must be a valid non-negative float or a path to a .pt file.",
        ),
        (
            {"edge": {"control_weight": "mask.png"}},
            (),
            "ValueError: Control weight for edge must be a valid non-negative float or a path to a .pt file.",
        ),
        (
            {"vis": {"control_weight": 1}},
            ("--use_distilled",),
            "ValueError: No default distilled checkpoint for vis. Users must specify ckpt_path in config.",
        ),
        (EDGE, ("--use_distilled", "--is_av_sample"), "AssertionError"),
        ({"hdmap": {"control_weight": 1, "input_control": "edge.mp4"}}, (), "RuntimeError: Error(s) in loading state_dict"),
        (EDGE, ("--is_av_sample",), "RuntimeError: Error(s) in loading state_dict"),
        ({"lidar": {"control_weight": 1}}, ("--is_av_sample",), "KeyError: 'control_input_lidar'"),
        ({**EDGE, "blur_strength": "bad"}, (), "KeyError: 'bad'"),
        ({"edge": {"control_weight": 1}, "input_video_path": "broken.mp4"}, (), "AssertionError"),
        ({**EDGE, "input_video_path": "gone.mp4"}, (), "ValueError: Failed to load video frames from gone.mp4"),
        (EDGE, ("--num_gpus", "2"), "ValueError: Error initializing torch.distributed using env:// rendezvous"),
        (EDGE, ("--upsample_prompt",), "KeyError: 'RANK'"),
        ({"edge": {"control_weight": "mask.pt", "input_control": "edge.mp4"}}, (), "FileNotFoundError: [Errno 2] No such file"),
    ],
)
def test_what_the_real_one_refuses_ends_it_with_1_and_its_words(place, spec, flags, words):
    ended = place.transfer(spec, *flags)

    assert ended.code == 1
    assert ended.last_error().startswith(words)
    assert not [name for name in ended.files() if name.endswith(".txt")]


def test_a_value_of_the_spec_wins_unless_its_flag_stands_alone_on_the_command_line(place):
    spec = {**EDGE, "seed": 7, "unknown": "is accepted"}

    assert '"seed": 5,' in place.transfer(spec, "--seed", "5").out
    assert '"seed": 7,' in place.transfer(spec, "--seed=5").out


def test_one_sample_is_named_as_asked_with_the_default_prompt(place):
    ended = place.transfer(EDGE, "--video_save_name", "scene", "--fps", "30")

    assert (ended.code, ended.files()) == (0, ["scene.mp4", "scene.txt"])
    assert (ended.folder / "scene.txt").read_text().startswith("The video captures a stunning, photorealistic scene")
    assert video_info(ended.folder / "scene.mp4") == (8, 30, 160, 88)


def test_a_batch_says_what_it_does_in_order(place):
    ended = place.batch(EDGE, *prompts("day", "night"), flags=("--checkpoint_dir", "weights"))

    sample = [
        STARTED,
        "Running batch generation with batch_size=1",
        "Running guardrail checks on all prompts",
        *("Starting T5 compute", "Completed T5 compute"),
        *("Starting data augmentation", "reading control input edge.mp4 for hint edge", "Completed data augmentation"),
        *("Starting latent encoding", "Completed latent encoding"),
        *("Starting diffusion sampling", "Completed diffusion sampling"),
        *("Starting VAE decode", "Completed VAE decode"),
        *("Finish generation", "Run guardrail on generated videos"),
    ]
    assert ended.code == 0
    assert ended.messages()[3:] == [
        "Loading ctrl model from ckpt_path: weights/nvidia/Cosmos-Transfer1-7B/edge_control.pt",
        "Reading batch inputs from path: batch.jsonl",
        *(*sample, "Saved video to out/video_0/output.mp4", "Saved prompt to out/video_0/prompt.txt"),
        *(*sample, "Saved video to out/video_1/output.mp4", "Saved prompt to out/video_1/prompt.txt"),
    ]
    assert ended.prompts() == {"video_0": "day", "video_1": "night"}


def test_the_bar_counts_clips_of_121_frames_that_overlap_by_one(place):
    ended = place.batch({"depth": {"control_weight": 1}}, {"prompt": "a", "visual_input": "long.mp4"})

    bars = re.findall(r"\r *\d+%\|[^|]{10}\| (\d+)/(\d+) \[\d\d:\d\d<(?:\d\d:\d\d|\?), [^\]]+\]", ended.err)
    assert bars == [("0", "2"), ("1", "2"), ("2", "2")]
    assert ended.err.endswith("\n")
    assert ended.messages().count("Completed diffusion sampling") == 2
    assert video_info(ended.folder / "video_0" / "output.mp4").frames == 122


def test_a_single_frame_is_no_video(place):
    write_clip(place.folder / "one.mp4", frame_count=1, width=64, height=36)

    assert place.transfer({**EDGE, "input_video_path": "one.mp4"}).last_error().startswith("RuntimeError: torch.cat()")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (('{"prompt": "a", "visual_input": "video.mp4"}', ""), "json.decoder.JSONDecodeError: Expecting value"),
        (('[{"prompt": "a", "visual_input": "video.mp4"}]',), "AttributeError: 'list' object has no attribute 'get'"),
        (('{"prompt": "a"}',), "TypeError: expected str, bytes or os.PathLike object, not NoneType"),
    ],
)
def test_a_wrong_batch_file_ends_all(place, lines, words):
    ended = place.batch(EDGE, *lines)

    assert ended.code == 1
    assert ended.last_error().startswith(words)
    assert "Reading batch inputs from path: batch.jsonl" in ended.messages()


def test_a_line_changes_controls_but_adds_none(place):
    changed = {"edge": {"control_weight": 0.5, "ckpt_path": "other.pt"}, "vis": {"control_weight": 1}}
    ended = place.batch(EDGE, {"prompt": "a"}, {"prompt": "a", "control_overrides": changed}, {"prompt": "a"})

    assert "Ignoring unknown control key in override: vis" in ended.messages()
    assert sum("Loading ctrl model" in message for message in ended.messages()) == 1
    assert ended.digest(0) == ended.digest(2) != ended.digest(1)


def test_weights_above_one_in_sum_are_shared_out(place):
    def digest(vis, edge):
        controls = {"vis": {"control_weight": vis}, "edge": {"control_weight": edge}}
        spec = {hint: {**control, "input_control": "edge.mp4"} for hint, control in controls.items()}
        return place.batch(spec, {"prompt": "a"}).digest()

    assert digest(1, "3") == digest(0.5, 1.5) == digest(0.25, 0.75)
    assert digest(0.1, 0.3) != digest(0.25, 0.75)


def test_results_follow_from_what_a_sample_and_its_process_have(place):
    def digest(*flags, spec=EDGE, **values):
        return place.batch(spec, {"prompt": "a", **values}, flags=flags).digest()

    plain = digest()
    values = ("--seed", "2"), ("--num_steps", "9"), ("--guidance", "7"), ("--sigma_max", "60"), ("--negative_prompt", "x")
    others = [digest(*flags) for flags in (*values, ("--fps", "25"))]
    others += [digest(prompt="b"), digest(visual_input="edge.mp4"), digest(spec={"depth": EDGE["edge"]})]

    assert digest() == plain
    assert len({plain, *others}) == 1 + len(others)


def test_controls_it_makes_itself_depend_on_the_place_in_the_batch(place):
    spec = {hint: {"control_weight": 0.5} for hint in ("edge", "vis")}
    alone = place.batch(spec, *prompts("b")).digest()
    second = place.batch(spec, *prompts("a", "b"))
    made = second.digest(1)
    given_alone = place.batch(EDGE, *prompts("b")).digest()
    given_second = place.batch(EDGE, *prompts("a", "b")).digest(1)

    assert made != alone
    assert given_second == given_alone
    assert video_info(second.folder / "video_1" / "edge_input_control_0.mp4") == (10, 30, 160, 90)
    assert "no input_control provided for vis. generating input control video with VisControlModel" in second.messages()


def test_a_mask_for_seg_is_computed_and_other_hints_ignore_it(place):
    control = {"control_weight": 1.0, "input_control": "edge.mp4", "control_weight_prompt": "cars"}
    ended = place.batch({"seg": control, "edge": control}, {"prompt": "a"})

    assert [name for name in ended.files() if "weight" in name] == [
        "video_0/seg_control_weight_0.mp4",
        "video_0/seg_control_weight_0.pt",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [("BLOCKME", "Input text prompt 1 is not safe"), ("order=blockvideo", "Generated video 1 is not safe")],
)
def test_a_blocked_sample_ends_the_process_and_those_before_it_stay(place, text, words):
    ended = place.batch(EDGE, *prompts("a", text, "c"))

    assert ended.code == 1
    assert ended.last_error() == "TypeError: cannot unpack non-iterable NoneType object"
    assert "|CRITICAL|cosmos_transfer1/auxiliary/guardrail/common/presets.py" in ended.out
    assert words in ended.messages()
    assert ended.messages()[-1] == "Guardrail blocked generation for entire batch."
    assert ended.messages().count(STARTED) == 2
    assert ended.prompts() == {"video_0": "a"}


def test_in_a_group_those_after_a_blocked_sample_get_wrong_numbers(place):
    ended = place.batch(EDGE, *prompts("a", "order=block", "c"), flags=("--batch_size", "3"))

    assert ended.code == 0
    assert ended.prompts() == {"video_0": "a", "video_1": "c"}


def test_the_samples_of_a_group_must_have_one_size_and_length(place):
    lines = {"prompt": "a"}, {"prompt": "b", "visual_input": "tall.mp4"}
    ended = place.batch(EDGE, *lines, flags=("--batch_size", "2"))

    assert ended.code == 1
    assert ended.last_error().startswith("RuntimeError: Sizes of tensors must match except in dimension 0.")


def test_upscaling_makes_three_times_the_size_one_by_one_and_no_more_than_a_clip(place):
    spec = {"upscale": {"control_weight": 0.5}}
    fitting = place.batch(spec, *prompts("a", "b"), flags=("--batch_size", "2"))
    long = place.batch(spec, {"prompt": "a", "visual_input": "long.mp4"})

    assert "Setting batch_size=1 as upscale does not support batch generation" in fitting.messages()
    assert video_info(fitting.folder / "video_1" / "output.mp4")[2:] == (480, 264)
    assert long.code == 1
    assert long.last_error() == "RuntimeError: input tensor must fit into 32-bit index math"
    assert long.messages().count("Completed diffusion sampling") == 1


def test_regions_work_in_a_batch_as_boxes_and_prompts_but_not_as_videos(place):
    def ended(**place_of_region):
        lines = [{"prompt": text, "visual_input": "long.mp4"} for text in "ab"]
        spec = {"regional_prompts": [{"prompt": "a tree", **place_of_region}]}
        return place.batch({"depth": {"control_weight": 1}, **spec}, *lines)

    assert ended(region_definitions_path=[0, 0, 0.5, 1]).code == 0
    assert ended(mask_prompt="tree").code == 0
    masked = ended(region_definitions_path="long.mp4")
    assert masked.last_error().startswith("ValueError: Invalid video file: out/video_0/regional_context_r0_0.pt")


def test_regions_need_one_gpu_and_a_wide_video(place):
    spec = {"depth": {"control_weight": 1}, "regional_prompts": [{"prompt": "x", "region_definitions_path": [0, 0, 1, 1]}]}
    shared = place.batch(
        spec, {"prompt": "a", "visual_input": "long.mp4"}, flags=("--num_gpus", "2"), torchrun=("--nproc_per_node=2",)
    )

    assert "AssertionError: 121 cannot divide cp_size 2" in shared.err
    tall = place.batch(spec, {"prompt": "a", "visual_input": "tall.mp4"})
    assert tall.last_error().startswith("RuntimeError: The masks of regions have the size")


def test_a_control_of_another_shape_than_the_video_fails(place):
    ended = place.batch(EDGE, {"prompt": "a", "visual_input": "tall.mp4"})
    assert ended.last_error().startswith("RuntimeError: Sizes of tensors must match")


@pytest.mark.parametrize(("hint", "code"), [("depth", 1), ("seg", 1), ("keypoint", 0)])
def test_depth_and_segmentation_are_made_in_whole_blocks_which_may_have_another_shape(place, hint, code):
    write_clip(place.folder / "edgy.mp4", frame_count=3, width=156, height=100)
    ended = place.batch({hint: {"control_weight": 1}}, {"prompt": "a", "visual_input": "edgy.mp4"})

    assert ended.code == code
    made = video_info(ended.folder / "video_0" / f"{hint}_input_control_0.mp4")
    assert made[2:] == ((160, 104) if code else (156, 100))


def test_a_video_is_read_upright_and_at_a_constant_rate(place):
    turned(place.folder / "video.mp4", place.folder / "turned.mp4")
    write_vfr_clip(place.folder / "uneven.mkv", [0, 33, 66, 100, 300])
    spec = {"depth": {"control_weight": 1}}
    ended = place.batch(spec, *({"prompt": "a", "visual_input": name} for name in ("turned.mp4", "uneven.mkv")))

    assert ended.code == 0
    assert as_read(place.folder / "turned.mp4")[2:] == (90, 160)
    # At 30 frames per second, of which 5 were recorded; the depth is computed of those alone.
    assert as_read(place.folder / "uneven.mkv").frames == 10
    assert video_info(ended.folder / "video_1" / "output.mp4").frames == 5


def test_regions_need_a_whole_clip(place):
    spec = {**EDGE, "regional_prompts": [{"prompt": "a tree", "region_definitions_path": [0, 0, 1, 1]}]}

    assert "Temporal dimension 8 is not divisible by chunk_length 121" in place.transfer(spec).last_error()


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ("crash", "RuntimeError: CUDA error: device-side assert triggered"),
        ("oom", "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 71.19 GiB"),
        ("diskfull", "OSError: [Errno 28] No space left on device: 'out/video_1/output.mp4'"),
    ],
)
def test_a_fault_ends_the_batch_under_torchrun_with_its_traceback_and_a_table(place, order, words):
    flags = ("--nproc-per-node", "1", "--master_port=29511")
    ended = place.batch(EDGE, *prompts("a", f"order={order}", "c"), torchrun=flags)

    first = ended.err[: ended.err.index("ChildFailedError")]
    assert ended.code == 1
    assert f"\n{words}" in first
    assert re.search(r"failed \(exitcode: 1\) local_rank: 0 \(pid: \d+\) of binary: ", first)
    assert "exitcode  : 1 (pid: " in ended.err
    assert ended.prompts() == {"video_0": "a"}


def test_a_killed_worker_is_named_with_its_signal(place):
    ended = place.batch(EDGE, *prompts("order=kill"), torchrun=("--nproc_per_node=1",))

    assert ended.code == 1
    assert re.search(r"exitcode  : -9 \(pid: \d+\)", ended.err)
    assert "Signal 9 (SIGKILL) received by PID" in ended.err


def test_ranks_compute_for_themselves_and_the_first_speaks_and_saves(place):
    ended = place.transfer({"edge": {"control_weight": 1}}, "--num_gpus", "2", torchrun=("--nproc_per_node=2", "--nnodes=1"))

    assert ended.code == 0
    assert ended.files() == ["edge_input_control_0.mp4", "edge_input_control_1.mp4", "output.mp4", "output.txt"]
    assert ended.messages().count(STARTED) == 1


def test_it_waits_until_it_may_go_on(place):
    (place.folder / "spec.json").write_text(json.dumps({"input_video_path": "video.mp4", **EDGE, "prompt": "order=wait"}))
    command = ["torchrun", TRANSFER, "--controlnet_specs", "spec.json", "--video_save_folder", "out"]
    process = subprocess.Popen(command, cwd=place.folder, env=place.env, stdout=subprocess.PIPE, encoding="utf-8")

    while "Starting diffusion sampling" not in process.stdout.readline():
        assert process.poll() is None
    assert not (place.folder / "out" / "output.mp4").exists()
    (place.folder / "go").touch()
    process.communicate()
    assert process.returncode == 0
    assert (place.folder / "out" / "output.txt").exists()


def test_a_stopped_torchrun_ends_its_workers(place):
    (place.folder / "spec.json").write_text(json.dumps({"input_video_path": "video.mp4", **EDGE, "prompt": "order=hang"}))
    command = ["torchrun", TRANSFER, "--controlnet_specs", "spec.json", "--video_save_folder", "out"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, cwd=place.folder, env=place.env, encoding="utf-8", **pipes)
    while "Starting diffusion sampling" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate()

    worker = int(re.search(r"Sending process (\d+) closing signal SIGTERM", err)[1])
    assert process.returncode == 1
    assert "got signal: 15" in err
    until = time.monotonic() + 30
    while Path("/proc", str(worker)).exists() and time.monotonic() < until:
        time.sleep(0.05)
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def test_checkpoints_must_be_there_where_they_are_checked(place):
    found = []
    for _ in range(12):
        ended = place.batch(EDGE, {"prompt": "a"}, SIM_CHECKPOINTS="1")
        if ended.code == 0 or "FileNotFoundError" not in ended.last_error():
            break
        path = place.folder / re.search(r"'(.*)'", ended.last_error())[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        found.append(str(path.relative_to(place.folder / "checkpoints")))

    assert {"nvidia/Cosmos-Transfer1-7B/base_model.pt", "nvidia/Cosmos-Transfer1-7B/edge_control.pt"} <= set(found)
    assert "meta-llama/Llama-Guard-3-8B/model-00001-of-00004.safetensors" in found
    assert any("Failed to load T5 model using cache_dir" in message for message in ended.messages())
    t5 = place.folder / "checkpoints" / "google-t5" / "t5-11b" / "pytorch_model.bin"
    t5.parent.mkdir(parents=True)
    t5.touch()
    assert place.batch(EDGE, {"prompt": "a"}, SIM_CHECKPOINTS="1").code == 0

    # A depth that it computes itself comes from a model in the cache of the hub.
    (place.folder / "checkpoints" / "nvidia" / "Cosmos-Transfer1-7B" / "depth_control.pt").touch()
    depth = {"depth": {"control_weight": 1}}
    assert "OSError: We couldn't connect to 'https://huggingface.co'" in place.transfer(depth, SIM_CHECKPOINTS="1").err
    (place.folder / "hub" / "models--depth-anything--Depth-Anything-V2-Small-hf").mkdir(parents=True)
    assert place.transfer(depth, SIM_CHECKPOINTS="1", HF_HOME=str(place.folder)).code == 0


def test_the_upsampler_needs_torchrun_and_answers_equal_questions_equally(place):
    flags = ("--prompt", "a wet road", "--input_video", "video.mp4", "--offload_prompt_upsampler")
    answers = [place.run("torchrun", "--nproc_per_node=1", UPSAMPLER, *flags).out for _ in range(2)]

    assert answers[0] == answers[1]
    assert answers[0].startswith("Upsampled prompt: a wet road ")
    assert place.run("python", UPSAMPLER, *flags).last_error() == "KeyError: 'RANK'"


def test_the_class_of_the_upsampler_is_where_it_is_imported_from_and_looks_at_two_frames(place):
    write_clip(place.folder / "large.mp4", frame_count=2, width=1280, height=720)
    script = (
        "from cosmos_transfer1.auxiliary.upsampler.model.upsampler import PixtralPromptUpsampler\n"
        "model = PixtralPromptUpsampler(checkpoint_dir='checkpoints', offload_prompt_upsampler=False)\n"
        "print(model._prompt_upsample_with_offload(prompt='a', video_path='video.mp4'))\n"
        "print(model._prompt_upsample_with_offload(prompt='a', video_path='large.mp4'))\n"
    )
    ended = place.run("python", "-c", script)

    assert ended.out.startswith("a ")
    # 36 rows of 64 patches and one more for each row, twice, and a word.
    assert "The decoder prompt (length 4681) is longer than the maximum model length of 4096" in ended.err


def test_upsampled_prompts_are_checked_used_and_saved(place):
    ended = place.batch(EDGE, *prompts("a"), flags=("--upsample_prompt",), torchrun=("--nproc_per_node=1",))
    automatic = place.batch({"depth": {"control_weight": 1}}, *prompts("a"), flags=("--upsample_prompt",), RANK="0")

    assert ended.code == 0
    assert ended.prompts()["video_0"].startswith("a ")
    assert len(ended.prompts()["video_0"]) > 10
    assert "Upsampling prompt 1/1: a..." in ended.messages()
    assert automatic.last_error() == "TypeError: 'NoneType' object is not iterable"


def test_a_benchmark_generates_four_times_and_saves_once(place):
    ended = place.transfer(EDGE, "--benchmark", "--save_input_noise")

    assert ended.messages().count("Starting diffusion sampling") == 4
    assert any(message.startswith("The benchmarked generation time for Cosmos-Transfer1 is") for message in ended.messages())
    assert ended.files() == ["noise.pickle", "output.mp4", "output.txt"]
