"""Enhancement keeps the user's words, is the same every time, and contradicts nothing."""

import pytest

from cosmos_ops.preview.enhancement import STYLES, enhance

TEXTS = [
    "",
    "x",
    "a city at night",
    'He said "go!"',
    "  spaces  ",
    "Straße bei Nacht 🌃",
    "雨の街",
    "a\nb\ttab",
    "word " * 5000,
    "🙂" * 20,
]


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: repr(text[:12]))
@pytest.mark.parametrize("style", STYLES)
def test_the_text_comes_first_and_little_is_added(text, style):
    enhanced = enhance(text, "", 1, style)

    assert enhanced.startswith(text)
    assert 0 < len(enhanced) - len(text) <= 2000


def test_the_same_seed_gives_the_same_text_and_seeds_differ():
    texts = {seed: enhance("a city at night in the rain", "", seed, "cinematic") for seed in range(8)}

    assert all(enhance("a city at night in the rain", "", seed, "cinematic") == text for seed, text in texts.items())
    assert len(set(texts.values())) > 2


def test_there_is_no_sun_at_night():
    for seed in range(20):
        assert "sun" not in enhance("city at night", "", seed, "cinematic").lower()


def test_nothing_is_said_of_the_time_and_weather_where_the_text_is_silent():
    for seed in range(20):
        enhanced = enhance("a robot arm on a table", "", seed, "documentary").lower()
        assert not any(word in enhanced for word in ("rain", "snow", "fog", "sun ", "dusk", "night"))


def test_negative_words_are_not_described():
    for seed in range(20):
        added = enhance("city at night, rainy", "rainy", seed, "plain").removeprefix("city at night, rainy")
        assert "rain" not in added.lower()
