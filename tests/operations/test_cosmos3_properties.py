"""Whatever passes our check of Cosmos 3, a strict simulation of its program takes and makes."""

from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmos_ops.job import Sample
from cosmos_ops.media.probe import probe
from cosmos_ops.operations.cosmos3_checks import check
from cosmos_ops.operations.cosmos3_params import Checkpoint, InferenceCosmos3
from cosmos_ops.operations.inference_cosmos3 import INFERENCE_COSMOS3
from cosmos_ops.params import active_controls, process_values
from cosmos_ops.runs import Prompt
from tests.builders import a_run
from tests.models import cosmos3_arguments, cosmos3_files, cosmos3_samples, cosmos3_setup

from .cosmos3_place import SHORT, Place, only, write_clips
from .cosmos3_samples import specs


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return write_clips(tmp_path_factory.mktemp("clips"))


FIELDS = {
    "seed": st.integers(0, 2**31 - 1),
    "resolution": st.sampled_from(["auto", "256", "480", "720", "768"]),
    "aspect_ratio": st.sampled_from(["auto", "16,9", "1,1"]),
    "fps": st.integers(0, 60),
    "num_frames": st.integers(0, 400),
    "max_frames": st.integers(0, 60),
    "num_steps": st.integers(0, 60),
    "guidance": st.none() | st.floats(0, 7),
    "control_guidance": st.none() | st.floats(0, 10),
    "guidance_interval": st.none() | st.tuples(st.integers(0, 500), st.integers(501, 1000)),
    "control_guidance_interval": st.none() | st.tuples(st.floats(0, 500), st.floats(501, 1000)),
    "shift": st.none() | st.floats(0.1, 20),
    "num_video_frames_per_chunk": st.integers(0, 200),
    "num_conditional_frames": st.integers(0, 12),
    "num_first_chunk_conditional_frames": st.integers(0, 12),
    "show_input": st.booleans(),
    "show_control_condition": st.booleans(),
    "share_vision_temporal_positions": st.booleans(),
    "enable_sound": st.booleans(),
    "prompt_upsampling": st.booleans(),
    "condition_frame_indexes_vision": st.none() | st.lists(st.integers(0, 4), min_size=1, max_size=3),
    "condition_video_keep": st.sampled_from(["first", "last"]),
    "negative_prompt": st.text(max_size=20),
    "negative_metadata_mode": st.sampled_from(["none", "same", "inverse"]),
    "edge_threshold": st.sampled_from(["very_low", "high"]),
    "blur_strength": st.sampled_from(["none", "very_high"]),
    "mode": st.sampled_from(["auto", "text2image", "text2video", "image2image", "image2video", "video2video"]),
    "prompt_upsampler_seed": st.none() | st.integers(0, 2**31 - 1),
    "prompt_upsampler_temperature": st.none() | st.floats(0, 2),
    "prompt_upsampler_top_k": st.none() | st.integers(1, 50),
    "checkpoint": st.sampled_from(get_args(Checkpoint)),
    "guardrails": st.booleans(),
    "diffusion_cache": st.booleans(),
    "diffusion_cache_thresh": st.none() | st.floats(0, 1),
    "use_torch_compile": st.booleans(),
    "compile_dynamic": st.booleans(),
    "compiled_region": st.sampled_from(["all", "language"]),
    "quantization_method": st.sampled_from(["none", "mxfp8"]),
    "sampler": st.sampled_from(["unipc", "edm"]),
    **{f"{control}_weight": st.just(0.0) | st.floats(0.01, 10) for control in ("edge", "vis", "depth", "seg", "wsm")},
}
# Few at a time, so that what is asked for can often be met.
REQUESTS = st.lists(st.sampled_from(sorted(FIELDS)), max_size=5, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: FIELDS[name] for name in names})
)
PER_PROCESS = {name for name, _ in process_values(InferenceCosmos3())}
OF_RUNS = REQUESTS.map(lambda values: {name: value for name, value in values.items() if name not in PER_PROCESS})
GIVEN = st.sets(st.sampled_from(["video", "edge", "vis", "depth", "seg", "wsm", "image"]))


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    return Place(tmp_path_factory.mktemp("desk") / "host")


@pytest.fixture(scope="module")
def infos_of(clips):
    return {role: probe(path, takes_pictures=True) for role, path in clips.items()}


@settings(max_examples=200, deadline=None)
@given(request_=REQUESTS, roles=GIVEN, text=st.text(min_size=1, max_size=30))
def test_whatever_passes_our_check_the_program_takes(desk, clips, infos_of, request_, roles, text):
    params = InferenceCosmos3.read(request_)
    infos = {role: infos_of[role] for role in roles & INFERENCE_COSMOS3.reads(params)}
    full = INFERENCE_COSMOS3.complete(params, Prompt(text), infos)
    if check(full, infos):
        return
    inputs = {role: desk.put(clips[role]) for role in infos}
    run = a_run(full, id="rs_1", family="cosmos3")
    job = INFERENCE_COSMOS3.build_job("jb_1", [Sample(run, Prompt(text), inputs, infos)], desk.paths)
    (desk.job / "specs.jsonl").write_text(job.files[0].text)
    argv = job.container.argv
    paths, setup, overrides = cosmos3_arguments.parse_arguments(list(argv[argv.index("-m") + 2 :]))
    (read,) = cosmos3_files.read_samples(paths, overrides)
    built = cosmos3_samples.build(
        {**read, "output_dir": str(desk.job / "out")}, cosmos3_setup.find_model(setup.checkpoint_path), Quiet()
    )

    assert overrides == {}
    assert setup.parallelism_preset == "latency"
    assert built.name == "rs_1"
    assert built.prompt == text
    assert set(cosmos3_samples.hints_of(built)) == {{"vis": "blur"}.get(name, name) for name in active_controls(full)}
    assert built.seed == full.seed
    assert (built.num_frames == 1) == (job.items[0].outputs[0].role == "image")


@settings(max_examples=5, deadline=None)
@given(data=st.data())
def test_whatever_passes_our_check_the_program_makes(clips, infos_of, tmp_path_factory, data):
    place, samples = Place(tmp_path_factory.mktemp("made") / "host"), []
    for number in range(1, 41):
        params = InferenceCosmos3.read(data.draw(OF_RUNS) | SHORT)
        infos = {role: infos_of[role] for role in data.draw(GIVEN) & INFERENCE_COSMOS3.reads(params)}
        full = INFERENCE_COSMOS3.complete(params, Prompt("a street"), infos)
        if not check(full, infos):
            samples.append(place.sample(INFERENCE_COSMOS3, number, {role: clips[role] for role in infos}, **full.model_dump()))
    outcomes = place.run(INFERENCE_COSMOS3, samples)[2] if samples else {}

    assert {type(outcome).__name__ for outcome in outcomes.values()} <= {"Completed"}


class Quiet:
    """Takes the warnings of the program."""

    def say(self, *_, **__):
        """Nothing."""


def test_specs_of_a_batch_are_lines_of_their_own(desk, clips):
    samples = [desk.sample(INFERENCE_COSMOS3, n, only(clips, "video"), text="a\u2028b\x85c", **SHORT) for n in (1, 2)]
    job = INFERENCE_COSMOS3.build_job("jb_1", samples, desk.paths)

    assert [spec["prompt"] for spec in specs(job)] == ["a\u2028b\x85c"] * 2
    assert replace(job, id="jb_2") != job
    assert all(Path(spec["vision_path"]).is_file() for spec in specs(job))
