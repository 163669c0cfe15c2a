"""Ids, and the one function through which a name from outside becomes a file name."""

import re
import secrets
import threading
import time
import unicodedata

ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32 in lower case: sorts like the number it stands for and has no look-alikes."""

NAME_LENGTH_MAX = 48
_lock = threading.Lock()
_last = 0
RESERVED_NAMES = frozenset({"con", "prn", "aux", "nul", *(f"com{n}" for n in range(10)), *(f"lpt{n}" for n in range(10))})


def new_id(prefix: str) -> str:
    """Make an id such as `rs_01k9v3qp5jx7m2ab`: prefix, 10 characters of Unix milliseconds, 6 random ones; sorts by time."""
    global _last
    with _lock:
        # Within one process ids sort in the order in which they were made, even within a millisecond.
        _last = max(((time.time_ns() // 1_000_000) << 30) | secrets.randbits(30), _last + 1)
        return f"{prefix}_{_base32(_last, 16)}"


def file_name(name: str, *, fallback: str = "unnamed") -> str:
    """Make a name from outside safe as one path component on Linux, macOS and Windows.

    Letters, digits, dot, dash and underscore stay (letters of every script); all else becomes a dash. The result
    is never empty, hidden, reserved on Windows, or longer than `NAME_LENGTH_MAX` characters.
    """
    text = unicodedata.normalize("NFC", name)
    text = re.sub(r"[^\w.-]+", "-", text)
    text = re.sub(r"-{2,}", "-", re.sub(r"\.{2,}", ".", text)).strip("-._")
    # 48 characters of any script stay below the 255 bytes that file systems allow.
    text = text[:NAME_LENGTH_MAX].strip("-._")
    if not text or text.split(".")[0].lower() in RESERVED_NAMES:
        return f"{fallback}-{text}".strip("-")
    return text


def _base32(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 32)
        digits.append(ID_ALPHABET[digit])
    return "".join(reversed(digits))
