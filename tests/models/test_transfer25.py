"""The simulated Transfer2.5 does what is documented of the real one: options, samples, models, files, lines and failures."""

import itertools
import json
import re
import signal
import sys
from fractions import Fraction
from types import SimpleNamespace

import pytest

from tests.media.videos import write_clip

from .program import digest_of, video_info
from .running import Place, Programs
from .transfer25 import main
from .transfer25_arguments import HINTS
from .transfer25_pipeline import chunk_count, effective_weights

EDGE = {"edge": {"control_path": "edge.mp4", "control_weight": 0.5}}
STARTED = r"\[\d+/\d+\] Processing sample \w+"


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    return Programs(tmp_path_factory.mktemp("transfer25"), "transfer25")


@pytest.fixture
def place(tmp_path, programs):
    return Place(tmp_path, programs)


def sample(name="a", **values):
    return {"name": name, "prompt": f"prompt of {name}", "video_path": "video.mp4", "num_steps": 2, **values}


def script(place):
    return str(place.workspace / "examples" / "inference.py")


def generate(place, *samples, flags=(), torchrun=(), **env):
    command = ["torchrun", *torchrun] if torchrun else ["python"]
    return place.run(*command, script(place), "-i", place.write(*samples), "-o", "out", *flags, **env)


def refused(place, samples, monkeypatch, capsys, *flags):
    """The exit status and the words of a process that ends before it loads a model; in this process, for speed."""
    monkeypatch.chdir(place.folder)
    with pytest.raises(SystemExit) as ended:
        main(["-i", place.write(*samples), "-o", "out", *flags])
    assert not (place.folder / "out").exists()
    return ended.value.code, capsys.readouterr().err


# Options


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--keep-going", "False"), "Unrecognized options: False"),
        (("--disable-guardrails=True",), "Unrecognized options: --disable-guardrails=True"),
        (("--keep-input-resolution",), "Missing value for argument '--keep-input-resolution'"),
        (("--no-show-input",), "Unrecognized options: --no-show-input"),
        (("--compile-tokenizer", "moderate"), "invalid choice 'moderate' for argument '--compile-tokenizer'"),
        (("--guidance", "3.5"), "Error parsing --guidance"),
        (("--guidance", "8"), "less than or equal to 7"),
        (("--num-conditional-frames", "3"), "invalid choice '3'"),
        (("--name", "b"), "Unrecognized options: --name, b"),
        (("--edge", "x"), "Unrecognized options: --edge, x"),
        (("--model", "edge/distilled"), "invalid choice 'edge/distilled'"),
        (("--context-parallel-size", "0"), "greater than 0"),
    ],
)
def test_a_wrong_option_ends_it_with_2_and_a_box(place, monkeypatch, capsys, flags, words):
    code, err = refused(place, [sample(**EDGE)], monkeypatch, capsys, *flags)

    assert code == 2
    assert words in re.sub(r" *│\n│ *", " ", err)


def test_without_required_options_it_names_one(place):
    ended = place.run("python", script(place), "-i", "specs/batch.jsonl")

    assert (ended.code, ended.out) == (2, "")
    assert "Required options" in ended.err
    assert "-o PATH, --output-dir PATH" in ended.err


def test_options_override_all_samples(place):
    flags = (
        "--num_steps",
        "3",
        "--seed=7",
        "--keep-input-resolution",
        "False",
        "--resolution",
        "480",
        "--compile-tokenizer",
        "NONE",
    )
    ended = generate(place, sample("a", seed=1, **EDGE), sample("b", **EDGE), flags=(*flags, "--no-keep-going"))

    assert ended.code == 0
    assert [ended.json(f"{name}.json")[key] for name in "ab" for key in ("seed", "num_steps", "resolution")] == [7, 3, "480"] * 2
    assert ended.ended_bars() == ["Generating samples 3"] * 2
    # 768x432, by the scale of simulations.
    assert video_info(ended.folder / "a.mp4")[2:] == (96, 54)


# Samples


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"name": None}, "name\n  Input should be a valid string"),
        ({"prompt": None}, "prompt\n  Input should be a valid string"),
        ({"resolution": 480}, "resolution\n  Input should be a valid string"),
        ({"sigma_max": 70}, "sigma_max\n  Input should be a valid string"),
        ({"guidance": 3.5}, "guidance\n  Input should be a valid integer, got a number with a fractional part"),
        ({"guidance": 8}, "guidance\n  Input should be less than or equal to 7"),
        ({"seed": None}, "seed\n  Input should be a valid integer"),
        ({"num_steps": 0}, "num_steps\n  Input should be greater than 0"),
        ({"context_frame_index": 0}, "context_frame_index\n  Input should be greater than 0"),
        ({"num_conditional_frames": 3}, "num_conditional_frames\n  Input should be 0, 1 or 2"),
        ({"keep_input_resolution": None}, "keep_input_resolution\n  Input should be a valid boolean"),
        ({"fps": 24}, "fps\n  Extra inputs are not permitted"),
        ({"output_dir": "x"}, "output_dir\n  Extra inputs are not permitted"),
        ({"video_path": "missing.mp4"}, "video_path\n  Path does not point to a file"),
        ({"edge": {"control_path": "missing.mp4"}}, "edge.control_path\n  Path does not point to a file"),
        ({"edge": {"mask_path": "missing.mp4"}}, "edge.mask_path\n  Path does not point to a file"),
        ({"edge": {"control_weight": 1.5}}, "edge.control_weight\n  Input should be less than or equal to 1"),
        ({"edge": {"preset_edge_threshold": "none"}}, "edge.preset_edge_threshold\n  Input should be 'very_low', 'low',"),
        ({"edge": []}, "edge\n  Input should be a valid dictionary or instance of EdgeConfig"),
        ({"edge": None}, "Value error, No controls provided, please provide at least one control key"),
        ({"blur": {}}, "blur\n  Extra inputs are not permitted"),
        ({"vis": {}, "image_context_path": "video.mp4"}, "Value error, vis control and image_context_path"),
        ({"guided_generation_mask": "missing"}, "guided_generation_mask\n  Path does not point to a file"),
    ],
)
def test_a_wrong_sample_rejects_the_whole_batch_before_loading(place, monkeypatch, capsys, values, words):
    code, err = refused(place, [sample("good", **EDGE), sample(**{**EDGE, **values})], monkeypatch, capsys)

    assert code == 1
    assert err.startswith(
        "Error validating parameters from 'specs/batch.jsonl' at line 1\n1 validation error for InferenceArguments"
    )
    assert words in err


def test_a_sample_without_prompt_lacks_a_field(place, monkeypatch, capsys):
    code, err = refused(place, [{"name": "a", "video_path": "video.mp4", "edge": {}}], monkeypatch, capsys)

    assert (code, "prompt\n  Field required" in err) == (1, True)


def test_a_name_comes_once_in_all_files(place):
    place.write(sample("a", **EDGE), name="one.json")
    ended = place.run(
        "python", script(place), "-i", "specs/one.json", place.write(sample("b", **EDGE), sample("a", **EDGE)), "-o", "out"
    )

    assert (ended.code, ended.err) == (1, "Error: Inference samplename a is not unique\n")


@pytest.mark.parametrize(
    ("lines", "name", "words"),
    [
        ((sample(**EDGE), "", sample("b", **EDGE)), "batch.jsonl", "json.decoder.JSONDecodeError"),
        (([sample(**EDGE)],), "batch.json", "TypeError: unsupported operand type(s) for |: 'list' and 'dict'"),
        ((sample(**EDGE),), "batch.yaml", "ValueError: Unsupported file extension: .yaml"),
        ((), "batch.jsonl", "Error: No inference samples"),
        ((sample(prompt=None, prompt_path="missing.txt", **EDGE),), "batch.jsonl", "FileNotFoundError: [Errno 2]"),
    ],
)
def test_a_file_that_is_no_spec_ends_it_with_1(place, lines, name, words):
    ended = place.run("python", script(place), "-i", place.write(*lines, name=name), "-o", "out")

    assert ended.code == 1
    assert ended.last_error().startswith(words)


def test_a_weak_spec_is_completed(place):
    given = {"name": "a", "prompt_path": "prompt.txt", "video_path": "video.mp4", "num_steps": 2.0, "vis": {"unknown": 1}}
    ended = generate(place, given)

    written = ended.json("a.json")
    assert (ended.code, (ended.folder / "a.txt").read_text()) == (0, "a street at night")
    assert (written["seed"], written["guidance"], written["num_steps"], written["resolution"]) == (2025, 3, 2, "720")
    assert written["video_path"] == str(place.specs / "video.mp4")
    assert written["vis"] == {
        **dict.fromkeys(("control_path", "mask_path", "mask_prompt")),
        "control_weight": 1.0,
        "preset_blur_strength": "medium",
    }


def test_of_prompt_and_prompt_path_the_prompt_wins(place):
    ended = generate(place, sample(prompt_path="prompt.txt", **EDGE))

    assert (ended.folder / "a.txt").read_text() == "prompt of a"


# Files and lines


def test_a_batch_leaves_its_files_and_lines_in_order(place):
    ended = generate(place, sample("a", **EDGE), sample("b", **EDGE))

    assert ended.code == 0
    each = ["{}.json", "{}.mp4", "{}.txt", "{}_control_edge.mp4"]
    names = [name.format(sample) for sample in "ab" for name in each]
    assert ended.files() == sorted([*names, "config.yaml", "console.log", "debug.log"])
    assert video_info(ended.folder / "a.mp4") == (10, 24, 20, 16)
    lines = [text for text in ended.messages() if not text.startswith(("Downloading", "uvx", "Saved arg", "Processing the"))]
    assert lines == [
        "Found 1 hint keys across all samples",
        "Saved config to out/config.yaml",
        "Generating 2 samples: ['a', 'b']",
        *itertools.chain.from_iterable(
            [
                f"[{number}/2] Processing sample {name}",
                "Running guardrail check on prompt...",
                "Passed guardrail on prompt",
                "Passed guardrail on negative prompt",
                f"edge control video saved to out/{name}_control_edge.mp4",
                "Running guardrail check on video...",
                "Passed guardrail on generated video",
                f"Generated video saved to out/{name}.mp4",
            ]
            for number, name in enumerate("ab", 1)
        ),
    ]
    assert ended.messages_in("console.log") == ended.messages()
    assert set(ended.messages_in("debug.log")) - set(ended.messages()) >= {"Loading input video...", "Generating chunk 1/1"}
    assert ended.ended_bars() == ["Generating samples 2"] * 2


def test_the_marker_is_the_last_file_and_the_arguments_are_the_first(place):
    ended = generate(place, sample(edge={"mask_prompt": "car"}))

    made = sorted(ended.folder.glob("a*"), key=lambda path: path.stat().st_mtime_ns)
    assert [path.name for path in made] == ["a.json", "a_control_edge.mp4", "a_mask_edge.mp4", "a.mp4", "a.txt"]


def test_all_lines_are_on_the_console_if_it_shall_be_verbose(place):
    ended = generate(place, sample(**EDGE), COSMOS_VERBOSE="1")

    assert "Generating chunk 1/1" in ended.messages()
    assert any(text.startswith("Average time per chunk: ") for text in ended.messages())


@pytest.mark.parametrize(
    ("frames", "overlap", "chunks"),
    [(1, 1, 1), (93, 1, 1), (94, 1, 2), (185, 1, 2), (186, 1, 3), (185, 0, 2), (185, 2, 3)],
)
def test_a_video_has_chunks_of_93_frames_less_the_overlap(frames, overlap, chunks):
    assert chunk_count(frames, overlap) == chunks


def test_a_long_video_has_a_bar_and_a_seed_for_each_chunk(place):
    ended = generate(place, sample(video_path="long.mp4", edge={}))

    assert video_info(ended.folder / "a.mp4")[:2] == (100, 24)
    assert ended.ended_bars() == ["Generating samples 2"] * 2
    assert len({text for text in ended.messages_in("debug.log") if text.startswith("Seed: ")}) == 2


def test_one_frame_is_an_image(place):
    ended = generate(place, sample(edge={}, max_frames=1, num_video_frames_per_chunk=1))

    assert {"a.jpg", "a.txt", "a_control_edge.jpg"} < set(ended.files())
    assert video_info(ended.folder / "a.jpg")[2:] == (20, 16)
    assert ended.messages("SUCCESS")[-1] == "Generated video saved to out/a.jpg"


def test_the_frame_rate_is_cut_to_an_integer(place):
    write_clip(place.specs / "video.mp4", fps=Fraction(30000, 1001))
    ended = generate(place, sample(edge={}))

    assert video_info(ended.folder / "a.mp4").fps == 29


def test_shown_inputs_make_the_video_wider(place):
    ended = generate(place, sample(edge={}, vis={}, show_control_condition=True, show_input=True))

    assert video_info(ended.folder / "a.mp4")[2:] == (80, 16)


# Models and results


def digests(place, *samples):
    ended = generate(place, *samples)
    return [ended.digest(f"{one['name']}.mp4") for one in samples]


def test_samples_with_equal_hints_have_the_results_that_they_have_alone(place):
    samples = [sample("a", **EDGE), sample("b", edge={"control_weight": 0.9}), sample("c", seed=3, **EDGE)]
    together = digests(place, *samples)

    assert together == [digests(place, one)[0] for one in samples]
    assert len(set(together)) == 3


def test_a_mixed_batch_is_made_by_another_model_with_wrong_weights(place):
    samples = [sample("a", edge={"control_weight": 1.0}), sample("b", vis={"control_weight": 0.4})]
    ended = generate(place, *samples)
    together = [ended.digest(f"{name}.mp4") for name in "ab"]

    assert ended.messages("WARNING")[0].startswith("Loading the multicontrol model. Multicontrol inference is not strictly equal")
    assert all(one != digests(place, alone)[0] for one, alone in zip(together, samples, strict=True))
    # The control of b is lost: another weight makes no difference.
    samples[1]["vis"]["control_weight"] = 0.9
    assert digests(place, *samples) == together


def weights_of(union, hints):
    controls = {hint: {"control_weight": (1 + HINTS.index(hint)) / 10} if hint in hints else None for hint in HINTS}
    return effective_weights(SimpleNamespace(**controls), union)


@pytest.mark.parametrize(
    ("union", "hints", "weights"),
    [
        (["vis"], ["vis"], [0.2]),
        (["edge", "vis"], ["edge", "vis"], [0.1, 0.2, 0, 0]),
        (["edge", "vis"], ["edge"], [0.1, 0, 0, 0]),
        (["edge", "vis"], ["vis"], [0, 0, 0, 0]),
        (["edge", "vis", "depth"], ["vis", "depth"], [0, 0, 0.2, 0]),
        (["edge", "vis", "depth", "seg"], ["vis", "seg"], [0, 0.2, 0, 0.4]),
    ],
)
def test_the_zeros_for_absent_hints_displace_weights(union, hints, weights):
    assert weights_of(union, hints) == weights


def test_nine_of_61_sets_of_hints_get_wrong_weights_in_a_mixed_batch():
    unions = [list(union) for size in (2, 3, 4) for union in itertools.combinations(HINTS, size)]
    pairs = [(union, hints) for union in unions for size in range(1, 5) for hints in itertools.combinations(union, size)]
    wrong = [pair for pair in pairs if weights_of(*pair) != weights_of(list(HINTS), pair[1])]

    assert (len(pairs), len(wrong)) == (61, 9)


def test_the_pictures_follow_from_what_decides_them(place):
    base = {**EDGE, "prompt": "p"}
    others = {
        "prompt": {"prompt": "other"},
        "negative_prompt": {"negative_prompt": "other"},
        "seed": {"seed": 2},
        "guidance": {"guidance": 5},
        "steps": {"num_steps": 3},
        "weight": {"edge": {"control_path": "edge.mp4", "control_weight": 0.6}},
        "computed": {"edge": {"control_weight": 0.5}},
        "preset": {"edge": {"control_weight": 0.5, "preset_edge_threshold": "high"}},
        "mask": {"edge": {"control_path": "edge.mp4", "control_weight": 0.5, "mask_path": "video.mp4"}},
        "style": {"image_context_path": "video.mp4"},
    }
    equals = {"sigma_max": {"sigma_max": "40"}, "overlap": {"num_conditional_frames": 2}}
    samples = {"base": {}, **others, **equals}
    ended = generate(place, *(sample(**{"name": name, **base, **values}) for name, values in samples.items()))

    made = {name: ended.digest(f"{name}.mp4") for name in samples}
    assert len({made[name] for name in ("base", *others)}) == 1 + len(others)
    assert {made[name] for name in equals} == {made["base"]}


def test_the_hints_and_not_the_model_option_choose_the_checkpoint(place):
    ended = generate(place, sample(seg={}), flags=("--model", "depth"))

    downloads = [text for text in ended.messages() if text.startswith("Downloading checkpoint")]
    assert downloads == ["Downloading checkpoint nvidia/Cosmos-Transfer2.5-2B/general/seg(5136ef49-6d8d-42e8-8abf-7dac722a304a)"]
    assert any("using the first 128 words of the input prompt" in text for text in ended.messages("WARNING"))


def test_the_distilled_model_takes_four_steps_and_edge_alone(place):
    flags, env = ("--model", "edge/distilled"), {"COSMOS_EXPERIMENTAL_CHECKPOINTS": "1"}
    good = generate(place, sample(**EDGE), flags=flags, **env)
    other = generate(place, sample(vis={}), flags=flags, **env)

    assert (good.code, good.ended_bars()) == (0, ["Generating samples 4"])
    assert "Passed guardrail on negative prompt" not in good.messages()
    assert (other.code, other.last_error()) == (1, "KeyError: ModelKey(variant='vis', distilled=True)")


# Guardrails


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"prompt": "BLOCKME"}, "Guardrail blocked generation. Prompt: BLOCKME"),
        ({"prompt": "a order=block"}, "Guardrail blocked generation. Prompt: a order=block"),
        ({"negative_prompt": "BLOCKME"}, "Guardrail blocked generation. Negative prompt: BLOCKME"),
    ],
)
def test_a_blocked_sample_is_skipped_in_silence(place, values, line):
    ended = generate(place, sample("a", **EDGE, **values), sample("b", **EDGE))

    assert ended.code == 0
    assert ended.messages("CRITICAL") == [line]
    assert "a.json" in ended.files()
    assert not {"a.mp4", "a.txt"} & set(ended.files())
    assert {"b.mp4", "b.txt"} < set(ended.files())


def test_a_blocked_video_has_no_line_of_its_own_on_the_console(place):
    ended = generate(place, sample("a", prompt="order=blockvideo", **EDGE), sample("b", **EDGE))

    checked = ended.messages().index("Running guardrail check on video...")
    assert (ended.code, ended.messages()[checked + 1]) == (0, "[2/2] Processing sample b")
    assert any(text.startswith("GUARDRAIL BLOCKED") for text in ended.messages_in("debug.log"))
    assert [name for name in ended.files() if name.startswith("a")] == ["a.json", "a_control_edge.mp4"]


def test_without_keep_going_a_block_ends_it(place):
    ended = generate(place, sample("a", prompt="BLOCKME", **EDGE), sample("b", **EDGE), flags=("--no-keep-going",))

    assert (ended.code, ended.last_error()) == (1, "Exception: Guardrail blocked generation. Prompt: BLOCKME")
    assert "b.json" not in ended.files()


def test_without_guardrails_nothing_is_blocked(place):
    ended = generate(place, sample(prompt="BLOCKME order=blockvideo", **EDGE), flags=("--disable-guardrails",))

    assert (ended.code, "a.txt" in ended.files()) == (0, True)
    assert ended.messages("WARNING")[-1] == "Guardrail checks on video are disabled"


# Failures


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"prompt": "order=crash"}, "RuntimeError: CUDA error: "),
        ({"prompt": "order=oom"}, "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 71.19 GiB."),
        ({"prompt": "order=diskfull"}, "OSError: [Errno 28] No space left on device"),
        ({"resolution": "999"}, "KeyError: '999'"),
        (
            {"edge": {"control_path": "short.mp4"}},
            "ValueError: No input frames; cannot pad. Verify that video frame counts match.",
        ),
        ({"edge": {"control_path": "broken.mp4"}}, "ValueError: "),
        ({"video_path": "broken.mp4"}, "ValueError: "),
        ({"edge": {"mask_path": "short.mp4"}}, "ValueError: No input frames; cannot pad."),
        ({"num_video_frames_per_chunk": 61}, "AssertionError"),
        ({"max_frames": 1}, "TimeoutError: a chunk of a single frame is reflected for ever"),
        (
            {"video_path": "long.mp4", "max_frames": 94, "num_conditional_frames": 0, "edge": {}},
            "TimeoutError: a chunk of a single frame",
        ),
        ({"edge": {"control_path": "long.mp4"}}, "RuntimeError: The size of tensor a (960) must match"),
        ({"max_frames": 2, "num_conditional_frames": 2}, "RuntimeError: torch.cat(): expected a non-empty list of Tensors"),
        (
            {"max_frames": 1, "num_video_frames_per_chunk": 1, "edge": {"mask_prompt": "car"}},
            "RuntimeError: Input and output sizes should be greater than 0",
        ),
        ({"guided_generation_mask": "prompt.txt"}, "ValueError: Unknown video mask format: "),
        ({"name": "x/y"}, "FileNotFoundError: [Errno 2]"),
    ],
)
def test_a_failure_ends_it_after_the_samples_before(place, values, error):
    ended = generate(place, sample("a", **EDGE), sample(**{"name": "b", **EDGE, **values}), sample("c", **EDGE))

    assert ended.code == 1
    assert ended.last_error().startswith(error)
    assert "a.txt" in ended.files()
    assert not {"b.txt", "c.json"} & set(ended.files())


def test_a_killed_process_says_nothing(place):
    ended = generate(place, sample(prompt="order=kill", **EDGE))

    assert (ended.code, "Traceback" in ended.err) == (-signal.SIGKILL, False)


def test_a_waiting_sample_goes_on_at_the_sign(place):
    spec = place.write(sample(prompt="order=wait", **EDGE))
    process = place.start("python", script(place), "-i", spec, "-o", "out")
    for line in process.stdout:
        if "Processing sample a" in line:
            break
    assert not (place.folder / "out" / "a.txt").exists()
    (place.folder / "go").touch()
    process.communicate()

    assert (process.returncode, (place.folder / "out" / "a.txt").read_text()) == (0, "order=wait")


# Several processes


def test_under_torchrun_each_rank_draws_and_one_writes(place):
    ended = generate(place, sample(**EDGE), torchrun=("--nproc_per_node=2", "--master_port=29531"))

    assert ended.code == 0
    assert ended.ended_bars() == ["Generating samples 2"] * 2
    assert len([text for text in ended.messages() if re.fullmatch(STARTED, text)]) == 1


def test_under_torchrun_a_failure_has_the_traceback_before_the_table(place):
    ended = generate(place, sample(prompt="order=crash", **EDGE), torchrun=("--nproc_per_node=1", "--master_port=29532"))

    assert ended.code == 1
    assert ended.err.index("RuntimeError: CUDA error") < ended.err.index("ChildFailedError")


def test_a_block_on_several_gpus_hangs(place):
    spec = place.write(sample("a", prompt="BLOCKME", **EDGE), sample("b", **EDGE))
    code = "import sys; from simulated_models.transfer25 import main; sys.exit(main(sys.argv[1:]))"
    ranks = [place.start(sys.executable, "-c", code, "-i", spec, "-o", "out", RANK=str(rank), WORLD_SIZE="2") for rank in (0, 1)]
    try:
        for line in ranks[0].stdout:
            if "Processing the following paths" in line:
                break
        assert [rank.poll() for rank in ranks] == [None, None]
        assert not (place.folder / "out" / "b.mp4").exists()
    finally:
        for rank in ranks:
            rank.kill()
            rank.communicate()


# The rest


def test_a_benchmark_repeats_a_single_sample_four_times(place):
    ended = generate(place, sample(**EDGE), flags=("--benchmark",))

    assert ended.messages().count("Passed guardrail on generated video") == 4
    assert "BENCHMARK RESULTS" in ended.messages()


def test_another_call_overwrites_logs_and_results(place):
    generate(place, sample("a", **EDGE))
    video = place.folder / "out" / "a.mp4"
    before = video.stat().st_mtime_ns
    ended = generate(place, sample("a", **EDGE))

    assert ended.messages_in("console.log") == ended.messages()
    assert video.stat().st_mtime_ns > before


def test_a_control_is_written_as_it_was_used(place):
    ended = generate(place, sample("a", **EDGE), sample("b", edge={}))

    assert ended.digest("a_control_edge.mp4") != ended.digest("b_control_edge.mp4")
    assert ended.digest("a_control_edge.mp4") != digest_of("")
    assert json.loads((ended.folder / "a.json").read_text())["edge"]["control_weight"] == 0.5
