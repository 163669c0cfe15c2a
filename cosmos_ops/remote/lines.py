"""Container output to lines: split on line feeds and on the carriage returns that redraw progress bars."""

import codecs
import re
from collections.abc import Generator, Iterator

from cosmos_ops.job import LogLine

LINE_LENGTH_MAX = 100_000
"""A longer line is handed over in pieces, so that memory stays bounded."""

_END = re.compile(r"[\r\n]")


class LineSplitter:
    """Takes bytes as they come, in pieces cut anywhere, and gives whole lines."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""
        self._is_redraw = False

    def feed(self, data: bytes, *, is_last: bool = False) -> Iterator[LogLine]:
        """The lines that are complete now; with `is_last`, also what is left."""
        known = len(self._rest)
        text = self._rest + self._decoder.decode(data, final=is_last)
        start = 0
        # What was there before holds no end of a line.
        for end in _END.finditer(text, known):
            end_of_bar = end[0] == "\r"
            start = yield from self._cut(text, start, end.start())
            yield from self._line(text[start : end.start()], is_redraw=self._is_redraw or end_of_bar)
            start = end.end()
            self._is_redraw = end_of_bar
        start = yield from self._cut(text, start, len(text))
        self._rest = text[start:]
        if is_last:
            yield from self._line(self._rest, is_redraw=self._is_redraw)
            self._rest = ""

    def _cut(self, text: str, start: int, end: int) -> Generator[LogLine, None, int]:
        """Hand over what is too long, piece by piece; gives where the rest begins."""
        while end - start > LINE_LENGTH_MAX:
            yield from self._line(text[start : start + LINE_LENGTH_MAX], is_redraw=self._is_redraw)
            start += LINE_LENGTH_MAX
            self._is_redraw = False
        return start

    def _line(self, text: str, *, is_redraw: bool) -> Iterator[LogLine]:
        if text:
            yield LogLine(text, is_redraw)
