"""What is seen: controls steer, the text decides the look, the seed repeats exactly."""

import json
from itertools import combinations

import numpy as np
import pytest

from cosmos_ops.preview.effects import MOODS, TIMES, WEATHERS
from cosmos_ops.preview.look import Look, found_effects, look_of

from .program import names, pictures, run_samples, write_scene

CITY = "a city"
NAMES = ("vis", "edge", "depth", "seg")


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """One batch of many samples over one clip: folders by name."""
    folder = tmp_path_factory.mktemp("rendered")
    video = str(write_scene(folder / "in.mp4", frame_count=3, width=320, height=180))
    all_controls = {name: {"weight": 0.6} for name in NAMES}
    samples = {f"only_{name}": {"controls": {name: {"weight": 1.0}}} for name in NAMES}
    samples["edge_0.2"] = {"controls": {"vis": {"weight": 1.0}, "edge": {"weight": 0.2}}}
    samples["edge_1.0"] = {"controls": {"vis": {"weight": 1.0}, "edge": {"weight": 1.0}}}
    samples["plain"] = samples["again"] = {}
    samples["seed"] = {"seed": 2}
    samples["neon"] = {"prompt": "a rainy neon city at night"}
    samples["golden"] = {"prompt": "a misty golden-hour city"}
    samples["none"] = {"prompt": "a rainy neon city at night", "guidance": 0}
    samples["no_grain"], samples["much_grain"] = {"grain": 0}, {"grain": 4}
    samples["none_plain"] = {"guidance": 0}
    lines = [
        {"name": name.replace(".", "_"), "prompt": CITY, "video": video, "controls": all_controls, **changes}
        for name, changes in samples.items()
    ]
    result, out = run_samples(folder, "inference", *lines)
    assert result.returncode == 0, result.stdout
    return lambda name: out / name.replace(".", "_")


def frame(folder, name="video.mp4"):
    return pictures(folder / name)[1]


def difference(a, b):
    return np.abs(a - b).mean()


def test_grain_makes_the_picture_rougher(rendered):
    roughness = [np.abs(np.diff(frame(rendered(name)), axis=1)).mean() for name in ("no_grain", "plain", "much_grain")]

    assert roughness[0] < roughness[1] < roughness[2]


def test_every_control_gives_its_own_picture(rendered):
    for a, b in combinations(NAMES, 2):
        assert difference(frame(rendered(f"only_{a}")), frame(rendered(f"only_{b}"))) > 6, (a, b)


def test_lines_are_where_the_edge_control_is(rendered):
    control = frame(rendered("only_edge"), "control_edge.mp4")[..., 1] > 128
    drawn = frame(rendered("only_edge")).mean(axis=2)

    assert drawn[~control].mean() - drawn[control].mean() > 60


def test_more_edge_weight_draws_stronger_lines(rendered):
    control = frame(rendered("edge_1.0"), "control_edge.mp4")[..., 1] > 128

    assert frame(rendered("edge_0.2"))[control].mean() - frame(rendered("edge_1.0"))[control].mean() > 20


def test_colours_follow_the_vis_control(rendered):
    shown, control = frame(rendered("only_vis")), frame(rendered("only_vis"), "control_vis.mp4")

    assert np.corrcoef(shown.ravel(), control.ravel())[0, 1] > 0.9


def test_the_text_changes_the_look(rendered):
    plain, neon, golden = (frame(rendered(name)) for name in ("plain", "neon", "golden"))

    assert difference(plain, neon) > 25
    assert difference(neon, golden) > 40
    assert golden[..., 0].mean() > golden[..., 2].mean() + 15
    assert neon[..., 2].mean() > neon[..., 1].mean()


def test_without_guidance_the_text_does_not_matter(rendered):
    assert (rendered("none") / "video.mp4").read_bytes() == (rendered("none_plain") / "video.mp4").read_bytes()


def test_the_same_seed_gives_the_same_bytes(rendered):
    for name in ("video.mp4", *(f"control_{name}.mp4" for name in NAMES)):
        assert (rendered("plain") / name).read_bytes() == (rendered("again") / name).read_bytes()


def test_another_seed_gives_a_slightly_other_picture(rendered):
    assert 0.5 < difference(frame(rendered("plain")), frame(rendered("seed"))) < 12


def test_computed_segments_are_flat_and_few(rendered):
    segments = frame(rendered("only_seg"), "control_seg.mp4")

    colours, counts = np.unique((segments // 24).reshape(-1, 3), axis=0, return_counts=True)
    assert counts[np.argsort(-counts)][:12].sum() > 0.85 * counts.sum(), len(colours)


def test_computed_depth_is_nearer_below(rendered):
    depth = frame(rendered("only_depth"), "control_depth.mp4")

    assert depth[-30:].mean() > depth[:60].mean() + 60


def test_negative_words_and_negations_switch_effects_off():
    assert found_effects("rainy night", "") == ["night", "rain"]
    assert found_effects("rainy night", "snow, blur") == ["night", "rain"]
    assert found_effects("rainy night", "rainy") == ["night"]
    assert found_effects("a night without rain, no fog", "") == ["night"]
    assert found_effects("a knight in training", "") == []


@pytest.mark.parametrize("row", [*TIMES, *WEATHERS, *MOODS], ids=lambda row: row.name)
def test_every_effect_changes_the_look_and_is_found_by_its_words(row):
    assert look_of([row.name]) != Look()
    for word in row.words:
        assert row.name in found_effects(f"A street, {word}.", ""), word


def test_the_enhanced_text_is_written_and_listed(tmp_path):
    _, out = run_samples(tmp_path, "enhance", {"name": "a", "prompt": "夜の街 🌃"})

    assert names(out / "a") == ["done.json", "prompt.txt", "spec.json"]
    assert set(json.loads((out / "a" / "done.json").read_text())["files"]) == {"prompt", "spec"}
    assert (out / "a" / "prompt.txt").read_text().startswith("夜の街 🌃")
