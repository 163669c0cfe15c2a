"""The tables of words: what each word for time, weather or mood sets in a look."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Effect:
    """One row of a table: the words that ask for it and the fields of `Look` that it sets."""

    name: str
    words: tuple[str, ...]
    sets: dict[str, Any]


TIMES = (
    Effect(
        "golden hour",
        ("golden hour", "golden-hour", "golden light", "golden sun", "warm sunlight", "late afternoon"),
        {
            "exposure": 1.06,
            "contrast": 1.10,
            "saturation": 1.16,
            "shadows": (0.055, 0.022, 0.035),
            "highlights": (1.20, 0.98, 0.70),
            "sky_top": (0.50, 0.52, 0.66),
            "sky_bottom": (1.0, 0.80, 0.50),
            "sky_share": 0.80,
            "haze": (1.0, 0.77, 0.49),
            "haze_amount": 0.28,
            "sun": 0.95,
            "ink": (0.24, 0.11, 0.06),
        },
    ),
    Effect(
        "sunset",
        ("sunset", "sundown", "evening sun"),
        {
            "exposure": 0.84,
            "contrast": 1.16,
            "saturation": 1.25,
            "shadows": (0.05, 0.012, 0.075),
            "highlights": (1.24, 0.82, 0.66),
            "sky_top": (0.27, 0.20, 0.44),
            "sky_bottom": (1.0, 0.50, 0.26),
            "sky_share": 0.90,
            "haze": (0.98, 0.48, 0.36),
            "haze_amount": 0.28,
            "sun": 0.9,
            "sun_colour": (1.0, 0.45, 0.22),
            "lights": 0.22,
            "ink": (0.18, 0.05, 0.14),
        },
    ),
    Effect(
        "dawn",
        ("dawn", "sunrise", "daybreak", "first light"),
        {
            "exposure": 0.92,
            "contrast": 0.98,
            "saturation": 0.98,
            "shadows": (0.035, 0.035, 0.085),
            "highlights": (1.10, 0.93, 0.94),
            "sky_top": (0.40, 0.48, 0.70),
            "sky_bottom": (1.0, 0.76, 0.70),
            "sky_share": 0.80,
            "haze": (0.88, 0.77, 0.82),
            "haze_amount": 0.34,
            "sun": 0.45,
            "sun_colour": (1.0, 0.66, 0.58),
            "ink": (0.16, 0.13, 0.26),
        },
    ),
    Effect(
        "dusk",
        ("dusk", "twilight", "blue hour", "nightfall", "evening"),
        {
            "exposure": 0.56,
            "contrast": 1.10,
            "saturation": 0.98,
            "shadows": (0.012, 0.022, 0.085),
            "highlights": (0.86, 0.90, 1.16),
            "sky_top": (0.09, 0.13, 0.33),
            "sky_bottom": (0.60, 0.46, 0.60),
            "sky_share": 0.90,
            "haze": (0.33, 0.34, 0.52),
            "haze_amount": 0.30,
            "lights": 0.65,
            "ink": (0.05, 0.06, 0.18),
        },
    ),
    Effect(
        "night",
        ("night", "midnight", "nighttime", "night-time", "nocturnal", "moonlight", "moonlit", "after dark"),
        {
            "exposure": 0.29,
            "contrast": 1.12,
            "saturation": 0.82,
            "shadows": (0.010, 0.016, 0.050),
            "highlights": (0.80, 0.90, 1.20),
            "sky_top": (0.008, 0.013, 0.048),
            "sky_bottom": (0.075, 0.085, 0.17),
            "sky_share": 0.94,
            "haze": (0.085, 0.10, 0.19),
            "haze_amount": 0.30,
            "lights": 1.0,
            "vignette": 0.30,
            "ink": (0.0, 0.0, 0.02),
        },
    ),
    Effect(
        "morning",
        ("morning",),
        {
            "exposure": 1.05,
            "shadows": (0.02, 0.026, 0.045),
            "highlights": (1.07, 1.01, 0.92),
            "sky_top": (0.42, 0.62, 0.88),
            "sky_bottom": (0.98, 0.92, 0.82),
            "sky_share": 0.55,
            "haze": (0.95, 0.92, 0.86),
            "haze_amount": 0.24,
            "sun": 0.35,
            "sun_colour": (1.0, 0.88, 0.66),
        },
    ),
    Effect(
        "noon",
        ("noon", "midday", "bright daylight", "harsh sun"),
        {"exposure": 1.14, "contrast": 1.20, "highlights": (1.03, 1.02, 0.97), "sky_top": (0.18, 0.46, 0.88), "sky_share": 0.6},
    ),
)
"""Time of day; the first row with a word in the text wins."""

WEATHERS = (
    Effect("fog", ("fog", "foggy", "mist", "misty", "haze", "hazy", "smog"), {"haze_amount": 0.80, "contrast": 1.04}),
    Effect("rain", ("rain", "rainy", "raining", "drizzle", "downpour", "wet"), {"rain": 0.8, "haze_amount": 0.34}),
    Effect("snow", ("snow", "snowy", "snowing", "blizzard", "snowfall"), {"snow": 0.9, "haze_amount": 0.46, "saturation": 0.82}),
    Effect("storm", ("storm", "stormy", "thunderstorm", "tempest"), {"rain": 1.25, "haze_amount": 0.44, "contrast": 1.2}),
    Effect("overcast", ("overcast", "cloudy", "grey sky", "gray sky", "clouds"), {"saturation": 0.84, "contrast": 0.98}),
    Effect("clear", ("clear", "cloudless", "sunny"), {"haze_amount": 0.06}),
)
"""Weather; all rows with a word in the text apply, in this order."""

# By day these weathers also hide the sun and grey the sky; at night the night has done so.
_GREY_DAY = {"sky_top": (0.56, 0.60, 0.65), "sky_bottom": (0.80, 0.82, 0.84), "sky_share": 0.80, "haze": (0.76, 0.79, 0.82)}
GREY_DAYS = {
    "fog": {**_GREY_DAY, "exposure": 1.02},
    "rain": {**_GREY_DAY, "exposure": 0.78, "highlights": (0.92, 0.98, 1.05), "haze": (0.60, 0.66, 0.72)},
    "snow": {**_GREY_DAY, "exposure": 1.14, "highlights": (0.97, 1.0, 1.06), "haze": (0.90, 0.93, 0.97)},
    "storm": {
        **_GREY_DAY,
        "exposure": 0.58,
        "highlights": (0.88, 0.98, 1.06),
        "haze": (0.36, 0.41, 0.47),
        "sky_top": (0.18, 0.21, 0.26),
        "sky_bottom": (0.46, 0.50, 0.55),
        "lights": 0.25,
    },
    "overcast": {**_GREY_DAY, "exposure": 0.93},
}

MOODS = (
    Effect(
        "neon",
        ("neon", "cyberpunk", "synthwave", "vaporwave"),
        {
            "saturation": 1.35,
            "shadows": (0.035, 0.006, 0.085),
            "highlights": (1.0, 0.86, 1.22),
            "haze": (0.30, 0.09, 0.42),
            "sky_top": (0.025, 0.012, 0.085),
            "sky_bottom": (0.30, 0.06, 0.36),
            "sky_share": 0.94,
            "lights": 1.45,
            "light_colours": ((1.0, 0.10, 0.62), (0.06, 0.85, 1.0), (0.58, 0.24, 1.0)),
            "ink": (0.02, 0.0, 0.07),
            "vignette": 0.30,
        },
    ),
    Effect(
        "noir",
        ("noir", "monochrome", "black and white", "black-and-white", "grayscale", "greyscale"),
        {"monochrome": 1.0, "contrast": 1.42, "vignette": 0.36, "grain": 0.022},
    ),
    Effect(
        "vintage",
        ("vintage", "sepia", "retro", "old film", "1920s", "nostalgic"),
        {"monochrome": 0.72, "tone": (1.10, 0.94, 0.70), "contrast": 0.96, "vignette": 0.34, "grain": 0.022},
    ),
    Effect(
        "pastel",
        ("pastel", "dreamy", "soft colors", "soft colours", "watercolor", "watercolour"),
        {
            "saturation": 0.78,
            "contrast": 0.82,
            "shadows": (0.13, 0.11, 0.14),
            "highlights": (1.04, 0.99, 1.02),
            "sky_top": (0.66, 0.74, 0.94),
            "sky_bottom": (0.99, 0.87, 0.88),
            "sky_share": 0.75,
            "vignette": 0.0,
        },
    ),
    Effect(
        "autumn",
        ("autumn", "autumnal", "fall colors", "fall colours", "october"),
        {"saturation": 1.18, "shadows": (0.035, 0.015, 0.0), "highlights": (1.15, 0.96, 0.74)},
    ),
    Effect(
        "arctic",
        ("arctic", "icy", "frozen", "frost", "frosty", "winter", "wintry", "glacial"),
        {
            "saturation": 0.66,
            "exposure": 1.08,
            "shadows": (0.015, 0.04, 0.075),
            "highlights": (0.88, 1.0, 1.16),
            "haze": (0.82, 0.91, 0.98),
        },
    ),
    Effect(
        "desert",
        ("desert", "arid", "dusty", "sandstorm", "mars", "martian"),
        {
            "saturation": 0.94,
            "shadows": (0.06, 0.028, 0.0),
            "highlights": (1.20, 0.96, 0.70),
            "haze": (0.92, 0.72, 0.46),
            "haze_amount": 0.45,
            "sky_top": (0.66, 0.62, 0.54),
            "sky_bottom": (0.96, 0.80, 0.56),
            "sky_share": 0.75,
        },
    ),
    Effect("vivid", ("vivid", "vibrant", "colorful", "colourful", "saturated"), {"saturation": 1.42, "contrast": 1.16}),
    Effect("muted", ("muted", "desaturated", "bleak", "gritty"), {"saturation": 0.60, "contrast": 1.14}),
)
"""Mood and palette; all rows with a word in the text apply, in this order, after the weather."""
