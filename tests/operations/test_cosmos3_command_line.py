"""The process of a Cosmos 3 batch: its command line, environment and patience, and who may share it."""

import pytest

from cosmos_ops.operations.cosmos3_params import InferenceCosmos3
from cosmos_ops.planning import control_signature
from cosmos_ops.runs import Phase
from tests.builders import a_run

from .cosmos3_samples import a_job, a_sample, files


def flags(job):
    """The command line as the program takes it: flag to value, a switch to nothing."""
    argv = job.container.argv[job.container.argv.index("cosmos_framework.scripts.inference") + 1 :]
    found, name = {}, ""
    for part in argv:
        if part.startswith("-"):
            name, _, value = part.partition("=")
            found[name] = value
        else:
            found[name] = part
    return found


def test_the_command_line_names_all_that_the_program_might_change_its_mind_about():
    job = a_job(a_sample())

    assert job.container.argv[:3] == ("python", "-m", "cosmos_framework.scripts.inference")
    assert flags(job) == {
        "--parallelism-preset": "latency",
        "--keep-going": "",
        "--skip-invalid-samples": "",
        "-i": "/cosmos/job/specs.jsonl",
        "-o": "/cosmos/job/out",
        "--checkpoint-path": "Cosmos3-Nano",
        "--no-guardrails": "",
        "--diffusion-cache": "",
        "--sampler": "unipc",
        "--use-torch-compile": "",
    }
    assert "--seed" not in job.container.argv, "a flag overrides the seeds of all samples"


def test_a_process_without_a_network_finds_all_in_the_folder_of_models():
    container = a_job(a_sample(guardrails=True, checkpoint="Cosmos3-Super")).container

    assert container.modes == ("super", "vae", "guardrails")
    assert (container.env["HF_HOME"], container.env["HF_HUB_OFFLINE"]) == ("/cosmos/models/hf", "1")
    assert container.env["PYTORCH_ALLOC_CONF"] == "expandable_segments:True"
    assert {"PYTHONNOUSERSITE", "IMAGINAIRE_HF_CLI_ENVIRONMENT"} <= container.env.keys()
    assert not container.has_network
    assert not any("TOKEN" in name for name in container.env)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"guardrails": True, "offload_guardrail_models": True}, {"--guardrails": "", "--offload-guardrail-models": ""}),
        ({"diffusion_cache": False}, {"--no-diffusion-cache": ""}),
        ({"diffusion_cache_thresh": 0.5, "diffusion_cache_residual_order": 0}, {"--diffusion-cache-thresh": "0.5"}),
        ({"use_torch_compile": False}, {"--no-use-torch-compile": ""}),
        ({"quantization_method": "nvfp4"}, {"--quantization-method": "nvfp4"}),
        ({"sampler": "edm", "sigma_max": 70}, {"--sampler": "edm"}),
        ({"use_cuda_graphs": True}, {"--use-cuda-graphs": ""}),
        ({"num_gpus": 4, "dp_shard_size": 1}, {"--dp-shard-size": "1"}),
        (
            {"compile_dynamic": False, "compiled_region": "language"},
            {"--no-compile-dynamic": "", "--compiled-region": "language"},
        ),
    ],
)
def test_what_a_process_takes_once_is_a_flag(values, expected):
    given = flags(a_job(a_sample(**values)))

    assert expected.items() <= given.items()


def test_several_gpus_start_by_torchrun_on_a_port_of_their_own():
    one, other = a_job(a_sample(num_gpus=4)), a_job(a_sample(number=2, num_gpus=4))
    ports = {job.container.argv[2] for job in (one, other)}

    assert one.container.argv[:2] == ("torchrun", "--nproc_per_node=4")
    assert one.container.argv[3:5] == ("-m", "cosmos_framework.scripts.inference")
    assert one.container.gpu_count == 4
    assert len(ports) == 2
    assert all(20_000 <= int(port.removeprefix("--master_port=")) < 29_500 for port in ports)
    assert a_job(a_sample(num_gpus=4)) == one


def test_all_hints_and_modes_share_a_process_and_what_is_loaded_does_not():
    def signature(**values):
        return control_signature(a_run(InferenceCosmos3.read(values), family="cosmos3"))

    alike = [{"depth_weight": 1}, {"edge_weight": 1, "seg_weight": 2}, {"mode": "text2video"}, {"seed": 2, "resolution": "480"}]
    apart = [
        {"checkpoint": "Cosmos3-Super"},
        {"num_gpus": 2},
        {"guardrails": True},
        {"diffusion_cache": False},
        {"sampler": "edm"},
    ]

    assert {signature(**values) for values in alike} == {signature()}
    assert len({signature(**values) for values in apart} | {signature()}) == len(apart) + 1


@pytest.mark.parametrize(("variant", "mode"), [("Text2Image", "text2image"), ("Image2Video-4Step", "image2video")])
def test_the_models_for_one_mode_have_files_of_their_own_and_the_patience_of_the_large_one(variant, mode):
    job, base = (
        a_job(a_sample(videos=files("image.png"), mode=mode, checkpoint=checkpoint, num_steps=4, guidance=1, resolution="480"))
        for checkpoint in (f"Cosmos3-Super-{variant}", "Cosmos3-Super")
    )

    assert flags(job)["--checkpoint-path"] == f"Cosmos3-Super-{variant}"
    assert job.container.modes == (f"super-{variant.lower()}", "vae")
    assert job.stall_limits_s == base.stall_limits_s


def test_a_large_model_and_several_controls_may_be_silent_for_longer():
    def limit(**values):
        return a_job(a_sample(videos=files("video", "depth", "seg"), **values)).stall_limits_s[Phase.SAMPLING.value]

    assert 900 < limit(resolution="256") < limit() < limit(checkpoint="Cosmos3-Super")
    assert limit() < limit(edge_weight=1, depth_weight=1, seg_weight=1)
    assert a_job(a_sample()).stall_limits_s[Phase.LOADING.value] == 3600


def test_one_stored_file_is_sent_once():
    first, second = a_sample(number=1), a_sample(number=2)
    shared = [type(first)(sample.run, sample.prompt, first.inputs, sample.videos) for sample in (first, second)]

    assert len(a_job(*shared).inputs) == 1
