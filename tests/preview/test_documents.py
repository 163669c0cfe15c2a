"""docs/preview.md says what the tables say."""

from cosmos_ops.preview.effects import MOODS, TIMES, WEATHERS
from cosmos_ops.preview.guardrail import BLOCKED_WORDS

from .program import ROOT


def test_every_effect_and_every_blocked_word_is_documented():
    text = (ROOT / "docs" / "preview.md").read_text(encoding="utf-8")

    for row in (*TIMES, *WEATHERS, *MOODS):
        assert f"| {row.name} | {', '.join(row.words)} |" in text
    assert ", ".join(BLOCKED_WORDS) in " ".join(text.split())
