"""The manifest says for each family and mode which files are needed, where they come from, and where they lie."""

import re
from itertools import chain

import pytest

from cosmos_ops.checkpoints import ALWAYS, DEFAULT_MODES, MANIFEST, MODES, Checkpoint, checkpoints_for
from cosmos_ops.errors import InputError

ALL = [one for modes in MANIFEST.values() for one in chain(*modes.values())]
# What the operations of the families ask for.
ASKED = {
    "transfer1": "vis edge depth seg keypoint upscale hdmap lidar distilled enhance auto-seg auto-depth auto-keypoint mask",
    "transfer25": "edge vis depth seg multi distilled guardrails auto-seg auto-depth mask",
    "cosmos3": "nano super edge vae guardrails",
}


def files(family, *modes):
    return {f"{one.repository}/{one.file}" for one in checkpoints_for(family, modes)}


@pytest.mark.parametrize("one", ALL, ids=lambda one: f"{one.repository}/{one.file}")
def test_an_entry_can_be_asked_for(one):
    assert re.fullmatch(r"[\w.-]+/[\w.-]+", one.repository)
    assert re.fullmatch("main|[0-9a-f]{40}", one.revision)
    assert one.is_pinned == (one.revision != "main")
    assert re.fullmatch("([0-9a-f]{32})?", one.md5)
    assert one.file
    assert not one.file.startswith("/")
    assert one.licence
    assert not (one.is_pattern and (one.md5 or one.sha256)), "a checksum is of one file"


@pytest.mark.parametrize(("family", "mode"), [(family, mode) for family, modes in ASKED.items() for mode in modes.split()])
def test_every_mode_that_operations_ask_for_is_known_and_brings_what_is_always_needed(family, mode):
    assert mode in MODES[family]
    assert files(family, mode) >= files(family, ALWAYS)


@pytest.mark.parametrize("family", MANIFEST)
def test_nobody_is_asked_twice_for_a_file(family):
    everything = checkpoints_for(family, MODES[family])

    assert len({(one.source, one.layout, one.file) for one in everything}) == len(everything)
    assert set(DEFAULT_MODES[family]) <= set(MODES[family])


def test_a_hint_of_transfer1_needs_the_base_model_and_its_own_control_alone():
    needed = {name for name in files("transfer1", "edge") if name.startswith("nvidia/Cosmos-Transfer1-7B/")}

    assert needed == {"nvidia/Cosmos-Transfer1-7B/base_model.pt", "nvidia/Cosmos-Transfer1-7B/edge_control.pt"}


def test_the_distilled_model_of_transfer1_does_not_read_the_base_model():
    assert "nvidia/Cosmos-Transfer1-7B/base_model.pt" not in files("transfer1", "distilled")


def test_hdmap_needs_the_base_model_for_driving():
    needed = files("transfer1", "hdmap")

    assert "nvidia/Cosmos-Transfer1-7B-Sample-AV/base_model.pt" in needed
    assert "nvidia/Cosmos-Transfer1-7B/base_model.pt" not in needed


def test_several_hints_of_transfer25_need_all_four_branches():
    assert files("transfer25", "multi") == files("transfer25", "edge", "vis", "depth", "seg")


def test_the_sizes_of_cosmos3_are_apart():
    assert "nvidia/Cosmos3-Super/*" not in files("cosmos3", "nano")


def test_both_layouts_lie_below_the_folder_of_models():
    folder, hub = (Checkpoint("nvidia/Model", "model.pt", layout, "") for layout in ("folder", "hub"))

    assert str(folder.folder) == "transfer1/nvidia/Model"
    assert str(hub.folder) == "hf/hub/models--nvidia--Model"


@pytest.mark.parametrize(
    ("family", "mode", "words"),
    [("transfer9", "edge", "transfer1, transfer25, cosmos3"), ("cosmos3", "vis", "its modes: always, vae, edge, nano")],
)
def test_what_is_unknown_is_refused_with_what_there_is(family, mode, words):
    with pytest.raises(InputError, match=words):
        checkpoints_for(family, [mode])
