"""`cosmos host setup` for a GPU family as a user types it; tests/setting_up has the steps themselves."""

import json

import pytest

from cosmos_ops.setting_up import FAMILIES
from deployments.hosts import setup
from tests.models.image import MODEL_IMAGES, give_models

from .command import the_error

pytestmark = pytest.mark.gpu_machines

FAMILY = "transfer25"


def test_an_image_of_ones_own_is_noted_in_the_block(run, saved, machine):
    give_models(machine, FAMILY)
    name, image = saved("setup-gpu"), MODEL_IMAGES[FAMILY]

    done = run("host", "setup", name, "--family", FAMILY, "--image", image, "--no-checkpoints")
    shown = json.loads(run("host", "show", name).stdout)

    assert (done.returncode, done.stderr) == (0, "")
    steps = [line for line in done.stdout.splitlines() if line.startswith("[")]
    assert [line[:5] for line in steps] == [f"[{number}/6]" for number in range(1, 7)]
    assert "left out, as asked for" in done.stdout
    assert f"Saved: host {name} has the image {image}" in steps[-1]
    assert shown["images"] == {FAMILY: image}


def test_what_is_wrong_is_one_line(run, saved):
    name = saved("setup-wrong")

    assert "has no mode 'no-such'" in the_error(run("host", "setup", name, "--family", FAMILY, "--mode", "no-such"))
    assert "not for the family preview" in the_error(run("host", "setup", name, "--family", "preview", "--mode", "edge"))
    assert "there is no host 'nowhere'" in the_error(run("host", "setup", "nowhere", "--family", FAMILY))


def test_every_family_can_be_chosen():
    (family,) = [option for option in setup.params if option.name == "family"]
    assert tuple(family.type.choices) == FAMILIES
