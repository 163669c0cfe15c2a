"""The small guardrail: prompts that name one of a few words are refused."""

import re

BLOCKED_WORDS = (
    "beheading",
    "decapitation",
    "dismemberment",
    "gore",
    "gory",
    "gruesome",
    "mutilation",
    "nude",
    "nudity",
    "torture",
)
"""Whole words, in any case."""

_PATTERN = re.compile(rf"\b({'|'.join(BLOCKED_WORDS)})\b", re.IGNORECASE)


def refusal(prompt: str) -> str | None:
    """Why a prompt is refused, or nothing."""
    found = _PATTERN.search(prompt)
    return f"the prompt names '{found[0].lower()}', which the guardrail refuses; reword it" if found else None
