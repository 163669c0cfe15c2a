"""A GPU family is set up on a simulated server: from nothing to a smoke job of its program, again, after faults, and with limits.

The program is the simulated transfer1, so that all but NVIDIA's own installation steps is as it is for users.
"""

import re
from dataclasses import replace

import pytest

from cosmos_ops.checkpoints import DEFAULT_MODES
from cosmos_ops.errors import AccessRefusedError, DiskFullError, HostUnhealthyError, ImageMissingError, ProcessFailedError
from cosmos_ops.remote.setup_record import SetupRecord
from tests.models.image import COMMON

from .machine_setup import COMMIT, FAMILY, a_place

MODEL = "nvidia/Cosmos-Transfer1-7B"

pytestmark = pytest.mark.gpu_machines


@pytest.fixture
def place(machine, tmp_path):
    with a_place(machine, tmp_path) as place:
        yield place


def steps(said):
    """The numbered lines."""
    return [line for line in said if line.startswith("[")]


def the_step(said, number):
    return next(line for line in said if line.startswith(f"[{number}/6]"))


def test_from_nothing_to_a_smoke_job_and_then_nothing_is_left_to_do(machine, place):
    first = place.set_up()
    image = machine.docker.images.get(place.recipe.tag)
    asked, sent = len(place.registry.asked), place.registry.sent_bytes
    second = place.set_up()

    assert [line[:5] for line in steps(first)] == [f"[{number}/6]" for number in range(1, 7)]
    plan = "\n".join(first[: first.index(the_step(first, 2))])
    assert f"image: {place.recipe.tag} will be built from nvidia/tiny at {COMMIT[:12]} on {COMMON}" in plan
    assert re.search(r"model files for edge: will download \d+ kB in \d+ files$", plan, re.MULTILINE)
    assert not any("not consumed" in line for line in first)
    assert image.labels["org.opencontainers.image.revision"] == COMMIT
    control = machine.workspace / "models" / "transfer1" / MODEL / "edge_control.pt"
    assert control.read_bytes() == f"{MODEL} edge_control.pt".encode()
    assert (machine.workspace / "models" / "hf").is_dir()
    assert "5 frames came home" in first[first.index(the_step(first, 5)) + 1]
    assert place.noted == [place.recipe.tag] * 2

    assert "already" in the_step(second, 2)
    assert "already" in the_step(second, 3)
    assert "completed already" in the_step(second, 5)
    assert [asked, sent] == [len(place.registry.asked), place.registry.sent_bytes]
    assert place.server.asked == ["/source.tar.gz"]
    assert machine.docker.images.get(place.recipe.tag).id == image.id
    assert machine.containers() == []
    assert not list((machine.workspace / "jobs").iterdir())
    assert not list((machine.workspace / "inputs").iterdir())


@pytest.mark.parametrize(("family", "modes"), DEFAULT_MODES.items(), ids=DEFAULT_MODES)
def test_every_family_comes_to_its_smoke_job(machine, tmp_path, family, modes):
    with a_place(machine, tmp_path, family=family, modes=modes) as place:
        said = place.set_up()

    assert "5 frames came home" in said[-2]
    assert place.noted == [place.recipe.tag]


def test_after_a_fault_it_goes_on_where_it_stopped(place):
    place.registry.orders.gated.add(MODEL)
    with pytest.raises(AccessRefusedError, match=f"https://huggingface.co/{MODEL}"):
        place.set_up()
    assert place.noted == []
    assert place.server.asked == ["/source.tar.gz"]

    place.registry.orders.gated.remove(MODEL)
    said = place.set_up()

    assert "is there already" in the_step(said, 3)
    assert place.server.asked == ["/source.tar.gz"]
    assert "5 frames came home" in said[-2]
    assert place.noted == [place.recipe.tag]
    assert SetupRecord.read(place.host, FAMILY).modes == ("edge",)


def test_model_files_that_came_in_another_way_are_verified_without_the_registry(machine, place):
    place.set_up()
    (machine.workspace / "models" / ".verified.json").unlink()
    place.registry.orders.is_down = True
    said = place.set_up()

    assert "all are there already" in "\n".join(said)
    assert "completed already" in the_step(said, 5)
    assert len(place.noted) == 2


def test_without_a_token_the_page_and_the_place_for_it_are_named(machine, tmp_path):
    with a_place(machine, tmp_path, secrets={}) as place, pytest.raises(AccessRefusedError) as caught:
        place.set_up()

    assert "https://huggingface.co/meta-llama/Llama-Guard-3-8B" in str(caught.value)
    assert "HF_TOKEN" in str(caught.value)


def test_a_driver_that_is_too_old_is_seen_before_anything_is_brought(place):
    place.recipe = replace(place.recipe, drivers={COMMON: "580.65.06"})

    with pytest.raises(HostUnhealthyError, match=r"driver is 570\.133\.20, but transfer1 needs 580\.65\.06 or newer"):
        place.set_up()

    assert place.server.asked == []
    assert place.registry.sent_bytes == 0


def test_all_that_is_missing_is_said_at_once(machine, place):
    machine.set_gpus("no_driver")

    with pytest.raises(HostUnhealthyError, match=r"not ready for transfer1: gpus: .*nvidia-smi") as caught:
        place.set_up()

    assert "sudo reboot" in str(caught.value)


@pytest.mark.parametrize(("size_gb", "model_bytes", "what"), [(10_000_000, 0, "the image"), (0, 10**16, "the model files")])
def test_a_disk_that_is_too_small_is_seen_before_anything_is_brought(machine, tmp_path, size_gb, model_bytes, what):
    with machine.small_disk(300) as disk, a_place(machine, tmp_path, workspace=str(disk)) as place:
        place.recipe = replace(place.recipe, size_gb=size_gb)
        place.checkpoints = (replace(place.checkpoints[0], size_bytes=model_bytes), *place.checkpoints[1:])
        with pytest.raises(DiskFullError, match=f"too little room for {what}"):
            place.set_up()

        assert place.server.asked == []


def test_an_image_that_is_there_is_taken_as_it_is(machine, place):
    place.set_up()
    machine.docker.api.tag(place.recipe.tag, "ours", "1")
    try:
        said = place.set_up(image="ours:1")
    finally:
        machine.docker.images.remove("ours:1")

    assert "ours:1 is there already" in the_step(said, 3)
    assert place.noted[-1] == "ours:1"


def test_an_image_that_no_registry_has_stops_it(place):
    image = f"{place.server.address}/no-such:1"

    with pytest.raises(ImageMissingError, match="no-such:1"):
        place.set_up(image=image)

    assert place.noted == []


def test_an_image_from_a_registry_is_fetched_and_has_to_do_its_job(place):
    image = place.server.add_image("empty", "1", [{"readme": b"nothing that runs"}])

    with pytest.raises((HostUnhealthyError, ProcessFailedError)):
        place.set_up(image=image)

    assert "/v2/empty/manifests/1" in place.server.asked
    place.machine.docker.images.remove(image, force=True)
    assert place.noted == []


def test_without_model_files_the_smoke_job_is_left_out(place):
    said = place.set_up(has_checkpoints=False)

    assert "left out, as asked for" in the_step(said, 4)
    assert "model files are not there, such as nvidia/Cosmos-Tokenize1-CV8x8x8-720p/autoencoder.jit" in the_step(said, 5)
    assert place.registry.asked == []
    assert place.noted == [place.recipe.tag]


def test_after_another_image_the_smoke_job_is_run_again(place, tmp_path):
    place.set_up()
    place.recipe.dockerfile.write_text(place.recipe.dockerfile.read_text() + "RUN touch /another\n")
    said = place.set_up()

    assert the_step(said, 3).startswith("[3/6] Building")
    assert "5 frames came home" in said[-2]
