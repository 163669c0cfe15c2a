"""The simulated Cosmos 3 does what is documented of the real one: options, samples, transfer, files, lines and failures."""

import itertools
import json
import re
import signal

import pytest

from tests.media.videos import write_clip

from .cosmos3 import main
from .program import video_info
from .running import Place, Programs

MODULE = ("-m", "cosmos_framework.scripts.inference")
NANO = ("--checkpoint-path", "Cosmos3-Nano")
EDGE = {"edge": {"control_path": "edge.mp4"}}


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    return Programs(tmp_path_factory.mktemp("cosmos3"), "cosmos3")


@pytest.fixture
def place(tmp_path, programs):
    return Place(tmp_path, programs)


def sample(name="a", **values):
    return {"name": name, "prompt": f"prompt of {name}", "num_steps": 2, "seed": 1, "resolution": "256", **values}


def generate(place, *samples, flags=(), torchrun=(), **env):
    command = ["torchrun", *torchrun] if torchrun else ["python"]
    return place.run(*command, *MODULE, "-i", place.write(*samples), "-o", "out", *NANO, *flags, **env)


def refused(place, samples, monkeypatch, *flags):
    """The error that ends a process before it loads a model; in this process, for speed."""
    monkeypatch.chdir(place.folder)
    with pytest.raises(ValueError, match="Error validating parameters from") as error:
        main(["-i", place.write(*samples), "-o", "out", *NANO, *flags])
    return str(error.value)


def statuses(ended):
    """What each started or skipped sample came to; none without the last file."""
    found = {}
    for path in sorted(path for path in ended.folder.iterdir() if path.is_dir()):
        outputs = path / "sample_outputs.json"
        found[path.name] = json.loads(outputs.read_text())["status"] if outputs.exists() else "started"
    return found


# Options


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--bogus", "3"), "Unrecognized options: --bogus, 3"),
        (("--name", "x"), "Unrecognized options: --name, x"),
        (("--guardrails", "False"), "Unrecognized options: False"),
        (("--model-mode=text2video",), "invalid choice 'text2video' for argument '--model-mode'"),
        (("--show-input",), "Missing value for argument '--show-input'"),
        (("--parallelism-preset", "fast"), "invalid choice 'fast'"),
        (("--resolution", "1080"), "invalid choice '1080'"),
        (("--fps", "29.97"), "Error parsing --fps"),
        (("--guidance", "8"), "less than or equal to 7"),
        (("--cfgp-size", "3"), "less than or equal to 2"),
    ],
)
def test_a_wrong_option_ends_it_with_2_and_a_box(place, monkeypatch, capsys, flags, words):
    monkeypatch.chdir(place.folder)
    with pytest.raises(SystemExit) as ended:
        main(["-i", place.write(sample(**EDGE)), "-o", "out", *NANO, *flags])

    assert ended.value.code == 2
    assert words in re.sub(r" *│\n│ *", " ", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (("-i", "specs/batch.jsonl", "-o", "out"), 2, "--checkpoint-path STR"),
        (("-i", "specs/batch.jsonl", *NANO), 1, "ValueError: 'output_dir' is required"),
        (
            ("-i", "specs/batch.jsonl", "-o", "out", "--checkpoint-path", "Cosmos4"),
            1,
            "ValueError: Checkpoint directory does not exist: ",
        ),
        (("-i", "specs/batch.jsonl", "-o", "out", "--checkpoint-path", "specs"), 1, "ValueError: Unknown checkpoint type: "),
        (
            ("-i", "specs/batch.jsonl", "-o", "out", *NANO, "--cp-size", "3"),
            1,
            "Value error, cp_size * cfgp_size (3) must divide",
        ),
        (("-i", "specs/batch.jsonl", "-o", "out", *NANO, "--num-iterations", "2"), 1, "requires 'benchmark'"),
        (("-i", "specs/batch.txt", "-o", "out", *NANO), 1, "ValueError: Unsupported file extension: specs/batch.txt"),
        (("-i", "-o", "out", *NANO), 1, "ValueError: No inference parameter files"),
    ],
)
def test_a_wrong_setup_ends_it(place, argv, code, words):
    place.write(sample(**EDGE))
    ended = place.run("python", *MODULE, *argv)

    assert ended.code == code
    assert words in ended.err


def test_options_override_all_samples(place):
    flags = ("--seed", "7", "--num_steps=3", "--model-mode", "VIDEO2VIDEO", "--show-input", "None", "-n", "1")
    ended = generate(place, sample("a", **EDGE), sample("b", **EDGE), flags=flags)

    assert ended.code == 0
    written = [ended.json(f"{name}/sample_args.json") for name in "ab"]
    assert [(one["seed"], one["num_steps"], one["model_mode"]) for one in written] == [(7, 3, "video2video")] * 2


# Samples


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"control_weight": 1}, "control_weight\n  Extra inputs are not permitted"),
        ({"edge": {"control_path": "edge.mp4", "control_weight": 1}}, "edge.control_weight\n  Extra inputs are not permitted"),
        ({"edge": {"mask_path": "edge.mp4"}}, "edge.mask_path\n  Extra inputs are not permitted"),
        ({"vis": {}}, "vis\n  Extra inputs are not permitted"),
        ({"resolution": 720}, "resolution\n  Input should be '256', '480', '704', '720' or '768'"),
        ({"resolution": "1080"}, "resolution\n  Input should be"),
        ({"aspect_ratio": "16:9"}, "aspect_ratio\n  Input should be '1,1', '4,3', '3,4', '16,9' or '9,16'"),
        ({"fps": 29.97}, "fps\n  Input should be a valid integer, got a number with a fractional part"),
        ({"fps": 0}, "fps\n  Input should be greater than or equal to 1"),
        ({"num_frames": 0}, "num_frames\n  Input should be greater than 0"),
        ({"guidance": 7.5}, "guidance\n  Input should be less than or equal to 7"),
        ({"control_guidance": 11}, "control_guidance\n  Input should be less than or equal to 10"),
        ({"control_guidance_interval": [0]}, "control_guidance_interval.1\n  Field required"),
        ({"guidance_interval": [-1, 2]}, "guidance_interval.0\n  Input should be greater than or equal to 0"),
        ({"num_conditional_frames": -1}, "num_conditional_frames\n  Input should be greater than or equal to 0"),
        ({"video_save_quality": 11}, "video_save_quality\n  Input should be less than or equal to 10"),
        ({"model_mode": "transfer"}, "model_mode\n  Input should be 'text2image', 'text2video'"),
        ({"negative_metadata_mode": "SAME"}, "negative_metadata_mode\n  Input should be 'none', 'same' or 'inverse'"),
        ({"prompt": {"subjects": []}}, "prompt\n  Input should be a valid string"),
        ({"prompt_path": "missing.txt"}, "prompt_path\n  Path does not point to a file"),
        ({"vision_path": "missing.mp4"}, "Value error, Path does not point to a file: missing.mp4"),
        (
            {"edge": {"control_path": "missing.mp4"}},
            "edge.control_path\n  Value error, Path does not point to a file: missing.mp4",
        ),
        ({"edge": {"preset_edge_threshold": "none"}}, "edge.preset_edge_threshold\n  Input should be 'very_low', 'low',"),
        ({"edge": None, "max_frames": 9}, "at least one control hint (edge, blur, depth, seg, wsm)"),
        ({"edge": None, "control_guidance": 1.5}, "at least one control hint (edge, blur, depth, seg, wsm)"),
        ({"extra": "run"}, "extra\n  Input should be a valid dictionary"),
    ],
)
def test_a_wrong_sample_rejects_the_whole_batch_before_loading(place, monkeypatch, capsys, values, words):
    error = refused(place, [sample("good", **EDGE), sample(**{**EDGE, **values})], monkeypatch)

    assert error.startswith(f"Error validating parameters from '{place.specs / 'batch.jsonl'}' at sample 1\nParameters: {{")
    assert words in error
    assert "Loaded" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "values",
    [
        {"fps": 24.0},
        {"control_guidance": 1, "edge": None},
        {"edge": None, "blur": {"preset_blur_strength": "none"}, "vision_path": "video.mp4"},
        {"edge": {"control_path": "edge.mp4", "weight": 30}},
        {"seed": -5},
        {"resolution": "704"},
        {"extra": {"run": 1}, "output_dir": "elsewhere"},
        {"negative_prompt_file": "missing.json"},
        {"prompt": None, "prompt_path": "prompt.txt"},
        {"prompt": None},
    ],
    ids=repr,
)
def test_a_lax_sample_is_taken(place, monkeypatch, values):
    monkeypatch.chdir(place.folder)
    monkeypatch.setenv("DISABLE_TQDM", "1")

    assert main(["-i", place.write(sample(**{**EDGE, "num_frames": 25, **values})), "-o", "out", *NANO]) == 0
    assert json.loads((place.folder / "out" / "a" / "sample_outputs.json").read_text())["status"] == "success"


@pytest.mark.parametrize(
    ("line", "words"),
    [(" ", "json.decoder.JSONDecodeError"), ("[]", "Input should be a valid dictionary or instance of OmniSampleOverrides")],
)
def test_a_line_that_is_no_sample_ends_it(place, line, words):
    ended = generate(place, sample("a", **EDGE), line)

    assert (ended.code, words in ended.err) == (1, True)


def test_specs_are_sorted_and_named_after_their_files(place):
    unnamed = {key: value for key, value in sample(**EDGE).items() if key != "name"}
    for name in ("b.json", "a.json"):
        place.write(unnamed, name=name)
    place.write(unnamed, "", unnamed, name="c.jsonl")
    ended = place.run("python", *MODULE, "-i", "specs/*.json", "specs/c.jsonl", "specs/a.json", "-o", "out", *NANO)

    started = [re.search(r"/(\w+)/sample_args", text) for text in ended.messages() if text.startswith("Saved sample args")]
    assert [found[1] for found in started] == ["a", "b", "c_0", "c_1"]
    assert "Loaded 4 samples" in ended.messages()


def test_a_name_that_comes_twice_overwrites(place):
    ended = generate(place, sample("a", **EDGE), sample("a", prompt="second", **EDGE))

    assert (ended.code, statuses(ended)) == (0, {"a": "success"})
    assert ended.json("a/sample_args.json")["prompt"] == "second"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"edge": {}}, {"guidance": 3.0, "control_guidance": 1.5, "shift": 10.0, "num_steps": 35, "fps": 24, "num_frames": 189}),
        ({"edge": {}, "guidance": 5}, {"guidance": 5, "control_guidance": 1.5}),
        ({"seg": {"control_path": "edge.mp4"}}, {"guidance": 3.0, "control_guidance": 2.0, "num_video_frames_per_chunk": 93}),
        (
            {"wsm": {"control_path": "edge.mp4"}},
            {"guidance": 1.0, "control_guidance": 3.0, "num_frames": 101, "fps": 10, "num_video_frames_per_chunk": 101},
        ),
        ({"edge": {}, "blur": {}}, {"guidance": 6.0, "control_guidance": 1.0, "emphasize_control_in_prompt": True}),
        ({}, {"model_mode": "video2video", "condition_frame_indexes_vision": [0, 1], "num_conditional_frames": None}),
        (
            {"vision_path": None},
            {"model_mode": "text2video", "guidance": 6.0, "negative_metadata_mode": "same", "control_guidance": 1.0},
        ),
        (
            {"vision_path": None, "num_frames": 1},
            {"model_mode": "text2image", "num_steps": 50, "aspect_ratio": "1,1", "shift": 3.0},
        ),
        ({"num_frames": 30}, {"num_frames": 33}),
        ({"edge": {}, "defaults_file": "defaults.json"}, {"guidance": 3.0, "num_steps": 4, "fps": 12}),
    ],
)
def test_what_a_sample_leaves_out_has_the_default_of_mode_and_hint(place, monkeypatch, values, expected):
    monkeypatch.chdir(place.folder)
    monkeypatch.setenv("DISABLE_TQDM", "1")
    (place.specs / "defaults.json").write_text(
        json.dumps({"guidance": 2, "num_steps": 4, "fps": 12, "num_frames": 25, "shift": 1})
    )
    given = {"name": "a", "prompt": "p", "seed": 1, "vision_path": "video.mp4", **values}
    main(["-i", place.write(given), "-o", "out", *NANO])

    written = json.loads((place.folder / "out" / "a" / "sample_args.json").read_text())
    assert {key: written[key] for key in expected} == expected


# What is found only once the model is loaded


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"edge": {}}, "transfer inference requires 'vision_path' or a pre-computed 'control_path' (hint: edge)"),
        ({"vision_path": "clip.mov"}, "Invalid vision extension: .mov"),
        ({"vision_path": "video.mp4", "num_frames": 1}, "'video2image' is not a valid ModelMode"),
        ({"model_mode": "reasoner", "prompt": " "}, "Reasoner inference requires a non-empty 'prompt'."),
        ({"model_mode": "audio_image2video"}, "model_mode=audio_image2video requires a `sound_path`"),
        ({"model_mode": "wam"}, "model_mode='wam' requires a model with action support"),
        ({"defaults_file": "defaults.json"}, "at least one control hint"),
    ],
)
def test_keys_that_do_not_fit_end_it_after_loading_or_are_skipped(place, values, words):
    (place.specs / "clip.mov").write_bytes(b"")
    (place.specs / "defaults.json").write_text(json.dumps({"negative_prompt_file": "neg_prompts.json"}))
    batch = [sample("a", **EDGE), sample("b", **values)]
    ended = generate(place, *batch)

    assert (ended.code, statuses(ended)) == (1, {})
    assert words in ended.err
    assert any(text.startswith("Enabled diffusion cache") for text in ended.messages())
    ended = generate(place, *batch, flags=("--skip-invalid-samples",))
    assert (ended.code, statuses(ended)) == (0, {"a": "success", "b": "skip"})
    assert words in ended.json("b/sample_outputs.json")["message"]
    assert ended.messages("WARNING")[0].startswith("Skipping sample 'b': ")


def test_a_model_without_sound_makes_none(place):
    spec = place.write(sample(enable_sound=True))
    ended = place.run("python", *MODULE, "-i", spec, "-o", "out", "--checkpoint-path", "Cosmos3-Edge")

    assert (ended.code, "the loaded checkpoint has no sound tokenizer" in ended.err) == (1, True)


@pytest.mark.parametrize("samples", [[], [sample(model_mode="wam")]])
def test_without_any_sample_it_fails_after_loading(place, samples):
    ended = generate(place, *samples, flags=("--skip-invalid-samples",))

    assert (ended.code, ended.last_error()) == (1, "IndexError: list index out of range")
    assert f"Loaded {len(samples)} samples" in ended.messages()


# Transfer


def test_a_batch_leaves_its_files_and_lines_in_order(place):
    ended = generate(place, sample("a", **EDGE), sample("b", edge={}, vision_path="video.mp4"))

    out = ended.folder
    each = ("control_edge.mp4", "sample_args.json", "sample_outputs.json", "vision.mp4")
    assert ended.code == 0
    assert ended.files() == [*(f"{name}/{file}" for name in "ab" for file in each), "console.log", "debug.log"]
    lines = [text for text in ended.messages() if not text.startswith(("uv run", "[transfer]"))]
    reads = {"a": f"Loaded pre-computed edge control from {place.specs}/edge.mp4", "b": "Computing edge control input on the fly"}
    assert lines == [
        f"Console log saved to {out}/console.log",
        "Loaded 2 samples",
        "Enabled diffusion cache (diffusion-time inference cache) with thresh=0.35",
        *itertools.chain.from_iterable(
            [
                f"Saved sample args to '{out}/{name}/sample_args.json'",
                reads[name],
                "Using sampler: UniPC (shift=10.0, num_steps=2)",
                "[Diffusion Cache] sample done: full=2 skipped=0",
                f"Saved control video to '{out}/{name}/control_edge.mp4'",
                f"Saved transfer outputs to '{out}/{name}/sample_outputs.json'",
            ]
            for name in "ab"
        ),
    ]
    assert ended.messages("SUCCESS") == [lines[8], lines[14]]
    assert ended.messages_in("console.log") == ended.messages()
    assert ended.ended_bars() == ["Sampling 2"] * 2
    assert "[RANK 0] Saved transfer outputs" in ended.out


def test_the_outputs_name_their_files_and_come_last(place):
    ended = generate(place, sample(extra={"run": "r-1"}, blur={"control_path": "edge.mp4"}, **EDGE))

    written = ended.json("a/sample_outputs.json")
    files = [f"{ended.folder}/a/{name}.mp4" for name in ("vision", "control_edge", "control_blur")]
    assert written["outputs"] == [{"content": {}, "files": files}]
    assert (written["status"], written["message"], written["stack_trace"]) == ("success", None, None)
    assert written["args"] == ended.json("a/sample_args.json")
    assert written["args"]["extra"] == {"run": "r-1"}
    made = sorted((ended.folder / "a").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    assert [path.name for path in (made[0], made[-1])] == ["sample_args.json", "sample_outputs.json"]


def test_clips_have_length_rate_and_size_of_what_decides_them(place):
    shapes = {
        # Size and ratio of the control, 160x96, and not of the sample; the rate of the sample, and not of the control.
        "control": ({"aspect_ratio": "1,1", "fps": 12, **EDGE}, (10, 12, 40, 24)),
        "resolution": ({"resolution": "480", **EDGE}, (10, 24, 104, 60)),
        "first": ({"blur": {"control_path": "long.mp4"}, **EDGE}, (10, 24, 40, 24)),
        "cut": ({"max_frames": 6, **EDGE}, (6, 24, 40, 24)),
        # Rate of the input, and ratio of the sample.
        "input": ({"vision_path": "video.mp4", "aspect_ratio": "1,1", "fps": 12, **EDGE}, (10, 24, 32, 32)),
        "wide": ({"show_control_condition": True, **EDGE}, (10, 24, 80, 24)),
        "wider": ({"vision_path": "video.mp4", "show_input": True, "show_control_condition": True, **EDGE}, (10, 24, 120, 24)),
        "nothing": ({"show_input": True, **EDGE}, (10, 24, 40, 24)),
    }
    ended = generate(place, *(sample(name, **values) for name, (values, _) in shapes.items()))

    found = {name: video_info(ended.folder / name / "vision.mp4") for name in shapes}
    assert found == {name: shape for name, (_, shape) in shapes.items()}


@pytest.mark.parametrize(
    ("values", "chunks"),
    [
        ({}, 2),
        ({"num_video_frames_per_chunk": 100}, 1),
        ({"num_video_frames_per_chunk": 34}, 3),
        ({"num_conditional_frames": 90}, 4),
    ],
)
def test_a_long_clip_has_a_bar_for_each_chunk(place, values, chunks):
    ended = generate(place, sample(edge={"control_path": "long.mp4"}, **values))

    assert ended.ended_bars() == ["Sampling 2"] * chunks
    assert len([text for text in ended.messages() if text.startswith("Using sampler")]) == chunks
    assert video_info(ended.folder / "a" / "vision.mp4").frames == 100


def test_the_prompt_gets_length_and_size_and_an_emphasis(place):
    (place.specs / "caption.json").write_text('{"subjects": [], "fps": 7, "resolution": "4K"}')
    plain = generate(place, sample(prompt="A street.", **EDGE)).messages()
    bare = generate(place, sample(prompt="A street.", emphasize_control_in_prompt=False, **EDGE)).messages()
    caption = generate(
        place, sample(prompt=None, prompt_path="caption.json", emphasize_control_in_prompt=False, **EDGE)
    ).messages()

    text = "[transfer] final user prompt: A street. The video is 3.9 seconds long and is of 24 FPS. This video is of 192x320"
    text += " resolution."
    assert text in bare
    assert any(line.startswith(f"{text} Follow the edge control video precisely: shape, contour,") for line in plain)
    found = next(line for line in caption if line.startswith("[transfer]")).partition("prompt: ")[2]
    assert json.loads(found) == {
        "subjects": [],
        "fps": 24.0,
        "duration": "3s",
        "resolution": {"H": 192, "W": 320},
        "aspect_ratio": "16,9",
    }


def test_a_sample_has_the_result_that_it_has_alone(place):
    samples = [
        sample("a", **EDGE),
        sample("b", blur={"control_path": "edge.mp4"}, **EDGE),
        sample("c", edge={}, vision_path="video.mp4"),
    ]
    together = generate(place, *samples)
    digests = {name: together.digest(f"{name}/vision.mp4") for name in "abc"}

    assert len(set(digests.values())) == 3
    for one in samples:
        assert generate(place, one).digest(f"{one['name']}/vision.mp4") == digests[one["name"]]


def test_the_pictures_follow_from_what_decides_them(place):
    base = {**EDGE, "depth": {"control_path": "edge.mp4"}, "prompt": "p"}
    others = {
        "seed": {"seed": 2},
        "guidance": {"guidance": 4},
        "control_guidance": {"control_guidance": 2},
        "steps": {"num_steps": 3},
        "content": {"edge": {"control_path": "video.mp4"}},
        "weight": {"edge": {"control_path": "edge.mp4", "weight": 2}},
    }
    equals = {
        "weights": {hint: {"control_path": "edge.mp4", "weight": 2} for hint in ("edge", "depth")},
        "overlap": {"num_conditional_frames": 2},
        "extra": {"extra": {"run": 2}},
    }
    samples = {"base": {}, **others, **equals}
    ended = generate(place, *(sample(**{"name": name, **base, **values}) for name, values in samples.items()))

    digests = {name: ended.digest(f"{name}/vision.mp4") for name in samples}
    assert len({digests[name] for name in ("base", *others)}) == 1 + len(others)
    assert {digests[name] for name in equals} == {digests["base"]}


def test_without_a_seed_a_transfer_is_random_and_the_rest_is_not(place):
    random = [sample(f"r{number}", prompt="p", **EDGE, seed=None) for number in range(4)]
    fixed = sample("t", seed=None, num_frames=25)
    ended = generate(place, *random, fixed)

    assert len({ended.digest(f"r{number}/vision.mp4") for number in range(4)}) > 1
    assert generate(place, fixed).digest("t/vision.mp4") == ended.digest("t/vision.mp4")


def test_several_outputs_have_folders_and_seeds_of_their_own(place):
    ended = generate(place, sample(num_outputs=2, **EDGE))

    assert [ended.json(f"a/{number}/sample_args.json")["seed"] for number in (0, 1)] == [1, 2]
    assert ended.digest("a/0/vision.mp4") != ended.digest("a/1/vision.mp4")
    assert not (ended.folder / "a" / "sample_args.json").exists()


def test_an_image_control_makes_an_image(place):
    write_clip(place.specs / "one.png", frame_count=1, codec="png", pix_fmt="rgb24")
    ended = generate(place, sample(edge={"control_path": "one.png"}, num_frames=1, model_mode="image2image"))

    assert (ended.code, statuses(ended)) == (0, {"a": "success"})
    assert {"a/vision.jpg", "a/control_edge.jpg"} < set(ended.files())


@pytest.mark.parametrize(("control", "num_frames", "left"), [("one.png", 25, "a/vision.jpg"), ("edge.mp4", 1, "a/vision.mp4")])
def test_an_image_control_for_a_video_fails_when_it_is_saved(place, control, num_frames, left):
    write_clip(place.specs / "one.png", frame_count=1, codec="png", pix_fmt="rgb24")
    ended = generate(place, sample(edge={"control_path": control}, num_frames=num_frames, model_mode="video2video"))

    assert (ended.code, statuses(ended)) == (1, {"a": "started"})
    assert ended.last_error().startswith("ValueError: Error generating sample 'a': ")
    assert left in ended.files()


# Failures


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"edge": {"control_path": "broken.mp4"}}, "ValueError: "),
        (
            {"edge": {"control_path": "edge.mp4", "weight": -1}},
            "AssertionError: control_weights must all be non-negative, got [-1.0]",
        ),
        (
            {"edge": {"control_path": "edge.mp4", "weight": 0}},
            "AssertionError: control_weights must have a positive sum, got [0.0]",
        ),
        ({"prompt": "order=oom"}, "torch.OutOfMemoryError: CUDA out of memory."),
        ({"prompt": "order=crash"}, "RuntimeError: CUDA error: "),
        (
            {"edge": None, "depth": {}, "vision_path": "video.mp4"},
            "FileNotFoundError: Missing pre-computed control input for 'depth'.",
        ),
        ({"num_first_chunk_conditional_frames": 1}, "ValueError: num_first_chunk_conditional_frames > 0 requires 'vision_path'"),
    ],
)
def test_a_failure_of_generation_ends_it_also_with_keep_going(place, values, error):
    samples = [sample("a", **EDGE), sample(**{"name": "b", **EDGE, **values}), sample("c", **EDGE)]
    ended = generate(place, *samples, flags=("--keep-going",))

    assert (ended.code, statuses(ended)) == (1, {"a": "success", "b": "started"})
    assert ended.last_error().startswith(error)


@pytest.mark.parametrize(
    ("flags", "code", "expected"),
    [((), 1, {"a": "success", "b": "started"}), (("--keep-going",), 0, {"a": "success", "b": "started", "c": "success"})],
)
def test_a_failure_of_saving_ends_it_only_without_keep_going(place, flags, code, expected):
    ended = generate(place, sample("a", **EDGE), sample("b", prompt="order=diskfull", **EDGE), sample("c", **EDGE), flags=flags)

    text = "Error generating sample 'b': [Errno 28] No space left on device"
    assert (ended.code, statuses(ended)) == (code, expected)
    assert (ended.messages("ERROR")[0] if flags else ended.last_error().removeprefix("ValueError: ")).startswith(text)


def test_a_killed_process_says_nothing(place):
    ended = generate(place, sample(prompt="order=kill", **EDGE))

    assert (ended.code, "Traceback" in ended.err) == (-signal.SIGKILL, False)


def test_transfers_have_no_batches(place):
    two = generate(place, sample("a", **EDGE), sample("b", **EDGE), flags=("--max-num-seqs", "2"))
    mixed = generate(place, sample("a", **EDGE), sample("b", num_frames=25), flags=("--max-num-seqs", "2"))
    packed = generate(place, sample("a", **EDGE), flags=("--max-model-len", "9000"))

    assert two.last_error() == "AssertionError: Batching is not supported for transfer inference"
    assert mixed.last_error() == "AssertionError: Cannot mix transfer and non-transfer samples in a batch"
    assert packed.last_error().startswith("AssertionError: Either max_model_len or max_num_seqs must be set")


# Guardrails


def test_the_guardrail_reads_prompts_only_where_no_controls_are(place):
    samples = [sample("a", prompt="BLOCKME", **EDGE), sample("b", prompt="BLOCKME", num_frames=25), sample("c", num_frames=25)]
    going = generate(place, *samples, flags=("--keep-going",))
    stopped = generate(place, *samples)
    without = generate(place, *samples, flags=("--no-guardrails",))

    blocked = f"Error generating sample 'b': Guardrail blocked prompt '{going.folder}/b': 'BLOCKME."
    assert going.messages("CRITICAL")[0].startswith("GUARDRAIL BLOCKED: ")
    assert going.messages("ERROR")[0].startswith(blocked)
    assert stopped.last_error().startswith(f"ValueError: {blocked}")
    assert (going.code, stopped.code, without.code) == (0, 1, 0)
    assert statuses(without) == {"a": "success", "b": "success", "c": "success"}


def test_what_a_blocked_sample_leaves(place):
    samples = [
        sample("a", prompt="BLOCKME", **EDGE),
        sample("b", prompt="order=block", num_frames=25),
        sample("c", num_frames=25),
    ]
    ended = generate(place, *samples, flags=("--keep-going",))

    assert statuses(ended) == {"a": "success", "b": "started", "c": "success"}
    assert [name for name in ended.files() if name.startswith("b/")] == ["b/sample_args.json"]


# Other modes


def test_the_other_modes_leave_their_files(place):
    write_clip(place.specs / "one.jpg", frame_count=1, codec="mjpeg", pix_fmt="yuvj420p")
    samples = [
        sample("t2i", model_mode="text2image"),
        sample("t2v", num_frames=25, aspect_ratio="9,16", fps=10),
        sample("i2v", vision_path="one.jpg", num_frames=25),
        sample("v2v", vision_path="video.mp4", num_frames=26, prompt_upsampling=True),
    ]
    ended = generate(place, *samples)

    assert (ended.code, set(statuses(ended).values())) == (0, {"success"})
    assert [ended.json(f"{name}/sample_args.json")["model_mode"] for name in ("i2v", "v2v")] == ["image2video", "video2video"]
    assert video_info(ended.folder / "t2v" / "vision.mp4") == (25, 10, 24, 40)
    assert video_info(ended.folder / "v2v" / "vision.mp4")[:2] == (29, 24)
    assert ended.json("t2i/sample_outputs.json")["outputs"][0]["files"] == [f"{ended.folder}/t2i/vision.jpg"]
    assert ended.messages("SUCCESS")[0] == f"Saved sample outputs to '{ended.folder}/t2i/sample_outputs.json'"
    assert any(re.fullmatch(r"Prompt upsampling took [\d.]+ seconds", text) for text in ended.messages())


def test_the_reasoner_answers_with_a_text(place):
    samples = [sample(name, model_mode="reasoner", prompt="A street.") for name in "ab"]
    samples[1]["vision_path"] = "video.mp4"
    ended = generate(place, *samples)
    again = generate(place, *samples)

    texts = [(ended.folder / name / "reasoner_text.txt").read_text() for name in "ab"]
    assert texts[0].startswith("A street. ")
    assert "10 frames of 160x96 pixels" in texts[1]
    assert ended.json("a/sample_outputs.json")["outputs"] == [
        {"content": {"reasoner_text": texts[0]}, "files": [f"{ended.folder}/a/reasoner_text.txt"]}
    ]
    assert ended.messages()[-2:] == [f"Saved reasoner outputs to '{ended.folder}/{name}'" for name in "ab"]
    assert [(again.folder / name / "reasoner_text.txt").read_text() for name in "ab"] == texts


def test_a_blocked_prompt_of_the_reasoner_ends_it(place):
    ended = generate(place, sample(model_mode="reasoner", prompt="BLOCKME"))

    assert (ended.code, ended.files()) == (1, ["a/sample_args.json", "console.log", "debug.log"])
    assert (
        ended.last_error() == f"ValueError: Error generating sample 'a': Guardrail blocked prompt '{ended.folder}/a': 'BLOCKME'"
    )


# Several processes, and the rest


def test_a_benchmark_has_a_file_and_no_bar(place):
    ended = generate(place, sample(**EDGE), flags=("--benchmark", "--no-diffusion-cache"))

    assert ended.ended_bars() == []
    assert not any("iffusion cache" in text.lower() for text in ended.messages())
    assert ended.json("benchmark.json")["average"].keys() == {"OmniInference.generate_batch"}
    assert ended.messages()[-1] == f"Saved benchmark to '{ended.folder}/benchmark.json'"


def test_under_torchrun_one_rank_writes_and_draws(place):
    ended = generate(place, sample(**EDGE), torchrun=("--nproc-per-node=2", "--master-port=29541"))

    assert (ended.code, ended.ended_bars()) == (0, ["Sampling 2"])
    assert len([text for text in ended.messages() if text.startswith("Saved transfer outputs")]) == 1


def test_replicas_share_the_samples_and_transfers_on_sharded_ones_hang(place):
    samples = [sample(name, num_frames=25) for name in "abc"]
    flags, torchrun = ("--parallelism-preset=throughput",), ("--nproc-per-node=2", "--master-port=29542")
    ended = generate(place, *samples, flags=flags, torchrun=torchrun)

    assert (ended.code, set(statuses(ended).values())) == (0, {"success"})
    assert sorted(re.findall(r"\[RANK (\d)\] Saved sample outputs to '.*/(\w)/", ended.out)) == [
        ("0", "a"),
        ("0", "c"),
        ("1", "b"),
    ]
    spec = place.write(sample("x", **EDGE))
    process = place.start("python", *MODULE, "-i", spec, "-o", "out", *NANO, *flags, RANK="0", WORLD_SIZE="2")
    try:
        for line in process.stdout:
            if "[transfer] final user prompt" in line:
                break
        assert process.poll() is None
        assert not (place.folder / "out" / "x" / "vision.mp4").exists()
    finally:
        process.kill()
        process.communicate()
