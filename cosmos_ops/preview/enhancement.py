"""The operation `enhance`: one to three fitting sentences after the user's own text, chosen by rule and seed."""

import random
import re

from cosmos_ops.preview.look import found_effects

STYLES = ("plain", "cinematic", "documentary")

_LIGHT = {
    "golden hour": (
        "Low warm light rakes across the surfaces and draws long soft shadows.",
        "The sun stands low, edges glow amber, and long shadows reach towards the camera.",
    ),
    "sunset": (
        "The last light turns the horizon orange while the shadows cool to violet.",
        "A burning sky reflects in glass and polished metal as the light fades.",
    ),
    "dawn": (
        "Pale light spreads slowly, with cool shadows and a rosy horizon.",
        "The first light is soft and even, and the colours are still half asleep.",
    ),
    "dusk": (
        "Blue dusk settles between the forms while the first lamps come on.",
        "The sky keeps a last cool glow, and warm lamps begin to stand out.",
    ),
    "night": (
        "Pools of lamp light stand against deep blue shadows.",
        "Windows and lamps are the only light, with soft halos against the dark.",
    ),
    "morning": (
        "Clear morning light falls at an angle, with crisp but gentle shadows.",
        "Fresh, slightly warm light models every form.",
    ),
    "noon": (
        "Hard light from high above gives short, dark shadows and strong contrast.",
        "The light is high and bright, and colours are at their fullest.",
    ),
}
_WEATHER = {
    "fog": (
        "Fog swallows the distance step by step, and contours grow soft.",
        "Thin veils of mist drift slowly between the planes of depth.",
    ),
    "rain": (
        "Rain falls in fine streaks, and wet ground carries broken reflections.",
        "Drops run down the surfaces, and every light doubles on the wet ground.",
    ),
    "snow": (
        "Flakes drift down calmly, and a thin white layer softens every edge.",
        "Snow hangs in the air and dampens contrast in the distance.",
    ),
    "storm": ("Gusts drive the rain sideways under a heavy, moving sky.", "The air is thick with rain, and the sky presses low."),
    "overcast": ("A closed layer of cloud gives even, shadowless light.", "The light is diffuse and calm, without hard shadows."),
}
_CAMERA = {
    "plain": ("Sharp focus, natural exposure, steady motion.", "Even exposure, true proportions, consistent motion."),
    "cinematic": (
        "Cinematic framing with a slow, steady camera move and shallow depth of field.",
        "Filmic contrast, a gently gliding camera and fine texture in every material.",
    ),
    "documentary": (
        "Documentary style, natural colours, a calm camera at eye level, unobtrusive exposure.",
        "Observed rather than staged: natural light, honest colours, a patient camera.",
    ),
}
_MATERIALS = (
    (
        ("city", "street", "building", "urban", "downtown", "skyline"),
        (
            "Glass, brick and asphalt show fine, distinct textures.",
            "Facades, road and pavement keep their own materials and small signs of use.",
        ),
    ),
    (
        ("forest", "tree", "meadow", "mountain", "river", "garden"),
        ("Leaves, bark and stone show fine natural texture.", "Every plant moves a little, with natural variation in colour."),
    ),
    (
        ("robot", "factory", "warehouse", "machine", "workshop"),
        (
            "Painted metal, rubber and worn edges are clearly told apart.",
            "Surfaces show machining marks, dust and believable wear.",
        ),
    ),
    (
        ("kitchen", "room", "office", "interior", "table"),
        (
            "Wood, fabric and metal are clearly told apart by how they take the light.",
            "Small irregularities make the materials believable.",
        ),
    ),
)
_ANY_MATERIAL = (
    "Materials are clearly told apart and keep their shape over time.",
    "Fine detail stays stable from frame to frame.",
)
_INSIDE = ("interior", "indoor", "indoors", "inside", "kitchen", "room", "office", "warehouse", "factory", "workshop")


def enhance(prompt: str, negative_prompt: str, seed: int, style: str) -> str:
    """The text as it is, followed by sentences on light, weather, materials and camera that agree with it.

    The time and the weather are described only where the text names them, so nothing can contradict it; what the negative
    text names is left out. Same arguments, same text; at most 2,000 characters are added.
    """
    choose = random.Random(f"{seed}:{style}")  # noqa: S311 - a choice of words, no secret
    effects = found_effects(prompt, negative_prompt)
    words = _words(prompt)
    sentences = [choose.choice(_LIGHT[name]) for name in effects if name in _LIGHT][:1]
    is_inside = not words.isdisjoint(_INSIDE)
    if not is_inside:
        sentences += [choose.choice(_WEATHER[name]) for name in effects if name in _WEATHER][:1]
    if len(sentences) < 2:
        sentences.append(choose.choice(_materials(words)))
    sentences.append(choose.choice(_CAMERA[style]))
    return _joined(prompt, sentences[:3])


def _words(text: str) -> set[str]:
    """All words, and for each plural its singular."""
    words = set(re.findall(r"\w+", text.casefold()))
    return words | {word.removesuffix("s") for word in words}


def _materials(words: set[str]) -> tuple[str, ...]:
    for asked, sentences in _MATERIALS:
        if not words.isdisjoint(asked):
            return sentences
    return _ANY_MATERIAL


def _joined(prompt: str, sentences: list[str]) -> str:
    end = prompt.rstrip()[-1:]
    gap = "" if not prompt or prompt[-1].isspace() else " "
    stop = "" if not end or end in ".!?…。！？\"'”’»:;,)" else "."
    return f"{prompt}{stop}{gap}{' '.join(sentences)}"
