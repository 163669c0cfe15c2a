"""The image of simulated Transfer1 runs as the hosts run it: as a user, without a network, with its folders mounted."""

import json

import docker
import pytest

from tests.media.videos import write_clip

from .image import MODEL_IMAGES, give_models
from .program import video_info

pytestmark = pytest.mark.gpu_machines

TRANSFER = "cosmos_transfer1/diffusion/inference/transfer.py"


def test_a_batch_runs_in_a_container_without_network_and_without_rights(machine):
    give_models(machine, "transfer1")
    job, inputs, weights = (machine.workspace / name for name in ("job", "inputs", "weights"))
    for folder in (job, inputs, weights):
        folder.mkdir()
    job.chmod(0o777)
    write_clip(inputs / "video.mp4", width=160, height=90)
    (job / "spec.json").write_text(json.dumps({"input_video_path": "/cosmos/inputs/video.mp4", "edge": {"control_weight": 1.0}}))
    lines = [{"visual_input": "/cosmos/inputs/video.mp4", "prompt": text} for text in ("day", "night")]
    (job / "batch.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    output = machine.docker.containers.run(
        MODEL_IMAGES["transfer1"],
        [
            *("torchrun", "--nproc_per_node=1", "--master_port=29511", TRANSFER, "--checkpoint_dir", "/cosmos/models/transfer1"),
            *("--controlnet_specs", "/cosmos/job/spec.json", "--batch_input_path", "/cosmos/job/batch.jsonl"),
            *("--video_save_folder", "/cosmos/job/out"),
        ],
        user="4321:4321",
        network_mode="none",
        environment={"HOME": "/tmp", "PYTHONUNBUFFERED": "1"},
        cap_drop=["ALL"],
        init=True,
        mounts=[
            docker.types.Mount("/cosmos/job", str(job), type="bind"),
            docker.types.Mount("/cosmos/inputs", str(inputs), type="bind", read_only=True),
            docker.types.Mount("/cosmos/models", str(weights), type="bind", read_only=True),
        ],
        stderr=True,
        remove=True,
    ).decode()

    assert "Saved prompt to /cosmos/job/out/video_1/prompt.txt" in output
    assert "\r100%|██████████| 1/1 [" in output
    assert [(job / "out" / f"video_{number}" / "prompt.txt").read_text() for number in (0, 1)] == ["day", "night"]
    assert video_info(job / "out" / "video_1" / "output.mp4") == (12, 24, 160, 88)
    assert (job / "out" / "video_0" / "output.mp4").stat().st_uid == 4321


def test_an_image_that_is_there_is_not_built_again(machine):
    give_models(machine, "transfer1")
    first = machine.docker.images.get(MODEL_IMAGES["transfer1"]).id
    give_models(machine, "transfer1")

    assert machine.docker.images.get(MODEL_IMAGES["transfer1"]).id == first
