"""The last lines of a program in Python, taken apart: ranks, levels, tracebacks. Which failure they tell of is in `failures`."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MESSAGE_LENGTH_MAX = 300

_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_RANK = re.compile(r"^\[(?:rank|default)(?P<rank>\d+)\]: ?")
_PREFIX = re.compile(r"\[\d\d-\d\d \d\d:\d\d:\d\d\|(?:job=[^|]*\|)?(?P<level>[A-Z]+)\|[^\]]*\] (?:\[RANK \d+\] )?")
_QUIET = frozenset({"TRACE", "DEBUG", "INFO", "SUCCESS"})
# Requests are printed as JSON over several lines, and a prompt may hold any words.
_MEMBER = re.compile(r'^\s*"\w+": ')
_BOX = "╭╮╰╯│┃─━ "
_TRACEBACK = "Traceback (most recent call last)"
_RAISED = re.compile(
    r"^(?:\w+\.)*(?:[A-Z]\w*(?:Error|Exception|Interrupt|Exit|Iteration|Timeout|Warning)|Exception)(?::|$)|^(?:\w+\.)+[A-Z]\w*(?::|$)"
)
_FOLLOWS = re.compile(r"ChildFailedError|A different GPU rank failed")
"""Raised because another process failed."""
_ASIDE = re.compile(r"Parameters: |The above exception |During handling |For further information ")
_FAILURES_TABLE = "ChildFailedError"
_MACHINERY = re.compile(r"torch/distributed/elastic/|\d+%\|")
"""Lines of torchrun, and progress bars."""
_START = re.compile(r"running preprocessor|\] Processing sample |Saved sample args to ")
_TOKEN = re.compile(r"\bhf_(?:(?:oauth|jwt)_)?[A-Za-z0-9]{10,}[\w.-]*")


def said(line: str) -> str:
    """A line without colour, rank, box, and the prefix of the program's log."""
    return _read(line).text.strip(_BOX)


def shortened(text: str) -> str:
    """The text on one line, not longer than a message should be."""
    text = " ".join(text.split())
    return text if len(text) <= MESSAGE_LENGTH_MAX else text[: MESSAGE_LENGTH_MAX - 1] + "…"


def without_tokens(text: str) -> str:
    """The text with `hf_***` for what looks like a token of Hugging Face."""
    return _TOKEN.sub("hf_***", text)


@dataclass(frozen=True)
class _Line:
    rank: str
    text: str
    is_logged: bool
    is_quiet: bool


def _read(line: str) -> _Line:
    text = _COLOUR.sub("", line).rstrip()
    rank = ""
    if found := _RANK.match(text):
        rank, text = found["rank"], text[found.end() :]
    prefix = _PREFIX.search(text)
    if prefix:
        text = text[prefix.end() :]
    is_quiet = prefix["level"] in _QUIET if prefix else _MEMBER.match(text) is not None
    return _Line(rank, text, prefix is not None, is_quiet)


class ProgramLog:
    """The last lines of a program; a line is named by its index."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = [_read(line) for line in lines]
        tracebacks = list(self._tracebacks())
        self.raised = [end for _, end in tracebacks if not _FOLLOWS.search(self._lines[end].text)]
        """The last line of each traceback, but of those that follow from the end of another process."""
        self.complaints = [index for index, line in enumerate(self._lines) if line.text and not line.is_quiet]
        """All lines but those that report progress."""
        self.last_start = max((index for index, line in enumerate(self._lines) if _START.search(line.text)), default=-1)
        """Where the program went on to its last sample; -1 if it never came so far."""
        tables = [start for start, end in tracebacks if _FAILURES_TABLE in self._lines[end].text]
        self._end = min(tables, default=len(self._lines))

    def text(self, index: int, more_lines: int = 0) -> str:
        """What a line says, with some of those that follow it; for a frame of a traceback also what was raised."""
        line = self._lines[index]
        following = [other.text for other in self._lines[index + 1 :] if other.rank == line.rank and not other.is_logged]
        told = [text.strip(_BOX) for text in [line.text, *following[:more_lines]]]
        text = ", ".join(part for part in told if part and not _ASIDE.match(part))
        if text.startswith('File "') and (raised := next((end for end in self.raised if end > index), None)) is not None:
            return f"{self._lines[raised].text}, {text}"
        return text

    def last_words(self) -> str:
        """What an unknown failure may have said: what was raised first, or the last line before the table of torchrun."""
        if self.raised:
            return self.text(self.raised[0])
        spoken = [self.text(index) for index in self.complaints if index < self._end]
        return next((text for text in reversed(spoken) if re.search(r"\w", text) and not _MACHINERY.search(text)), "")

    def _tracebacks(self) -> Iterator[tuple[int, int]]:
        """First line and the line that says what was raised."""
        for start, line in enumerate(self._lines):
            if _TRACEBACK not in line.text or (start and self._lines[start - 1].text.startswith("Exception ignored in")):
                continue
            for index in range(start + 1, len(self._lines)):
                other = self._lines[index]
                if other.rank != line.rank or other.is_logged:
                    continue
                if _TRACEBACK in other.text:
                    break
                if _RAISED.match(other.text):
                    yield start, index
                    break
