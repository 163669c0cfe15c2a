"""The look that a text asks for: light, weather and colour, put together from the tables in `effects`."""

import re
from dataclasses import dataclass, replace

from cosmos_ops.preview.effects import GREY_DAYS, MOODS, TIMES, WEATHERS, Effect

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Look:
    """Light, weather and colour of the picture; the default is a clear neutral day. Colours are RGB from 0 to 1."""

    exposure: float = 1.0
    contrast: float = 1.06
    saturation: float = 1.06
    shadows: Colour = (0.0, 0.0, 0.0)
    """Added to the dark parts."""
    highlights: Colour = (1.0, 1.0, 1.0)
    """Multiplied with the bright parts."""
    sky_top: Colour = (0.33, 0.55, 0.86)
    sky_bottom: Colour = (0.83, 0.89, 0.94)
    sky_share: float = 0.0
    """How much of the sky is painted anew."""
    haze: Colour = (0.82, 0.86, 0.90)
    haze_amount: float = 0.10
    sun: float = 0.0
    """Strength of the glow of a low sun."""
    sun_colour: Colour = (1.0, 0.72, 0.40)
    lights: float = 0.0
    """Strength of lit windows and lamps."""
    light_colours: tuple[Colour, Colour, Colour] = ((1.0, 0.78, 0.45), (1.0, 0.64, 0.30), (1.0, 0.88, 0.66))
    rain: float = 0.0
    snow: float = 0.0
    ink: Colour = (0.07, 0.08, 0.11)
    """Colour of the contour lines by day; with `lights` they glow in `light_colours`."""
    monochrome: float = 0.0
    tone: Colour = (1.0, 1.0, 1.0)
    """Colour of the paper that a monochrome picture is printed on."""
    vignette: float = 0.14
    grain: float = 0.012


_DARK_TIMES = ("night", "dusk")


def found_effects(text: str, negative_text: str) -> list[str]:
    """Names of the effects that a text asks for: at most one time, then weathers and moods."""
    times = [row.name for row in TIMES if _asks(row, text) and not _mentions(row, negative_text)]
    others = [row.name for row in (*WEATHERS, *MOODS) if _asks(row, text) and not _mentions(row, negative_text)]
    return times[:1] + others


def look_of(effects: list[str]) -> Look:
    """Apply the rows of all named effects, one after the other."""
    look = Look()
    is_dark = bool({*_DARK_TIMES} & {*effects})
    has_light = is_dark or any(row.name in effects for row in TIMES)
    for row in (*TIMES, *WEATHERS, *MOODS):
        if row.name not in effects:
            continue
        sets = dict(row.sets)
        if row.name in GREY_DAYS and not has_light:
            sets = {**GREY_DAYS[row.name], **sets}
        if row.name == "neon" and not is_dark:
            sets["exposure"] = 0.5 * look.exposure
        look = replace(look, **sets)
    if has_light and {"rain", "storm", "snow", "overcast"} & {*effects}:
        look = replace(look, sun=0.3 * look.sun)
    return look


def _asks(row: Effect, text: str) -> bool:
    """Whether a word of the row is there without a "no", "not" or "without" before it."""
    return any(
        re.search(rf"(?<!\bno )(?<!\bnot )(?<!\bwithout )\b{re.escape(word)}\b", text, re.IGNORECASE) for word in row.words
    )


def _mentions(row: Effect, text: str) -> bool:
    return any(re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) for word in row.words)
