"""Container output to lines: split on line feeds and on the carriage returns that redraw progress bars."""

import codecs
from collections.abc import Iterator

from cosmos_ops.job import LogLine

LINE_LENGTH_MAX = 100_000
"""A longer line is handed over in pieces, so that memory stays bounded."""


class LineSplitter:
    """Takes bytes as they come, in pieces cut anywhere, and gives whole lines."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""
        self._is_redraw = False

    def feed(self, data: bytes, *, is_last: bool = False) -> Iterator[LogLine]:
        """The lines that are complete now; with `is_last`, also what is left."""
        text = self._rest + self._decoder.decode(data, final=is_last)
        start = 0
        for position, character in enumerate(text):
            if character in "\r\n" or position - start >= LINE_LENGTH_MAX:
                end_of_bar = character == "\r"
                yield from self._line(text[start:position], is_redraw=self._is_redraw or end_of_bar)
                start = position if character not in "\r\n" else position + 1
                self._is_redraw = end_of_bar
        self._rest = text[start:]
        if is_last:
            yield from self._line(self._rest, is_redraw=self._is_redraw)
            self._rest = ""

    def _line(self, text: str, *, is_redraw: bool) -> Iterator[LogLine]:
        if text:
            yield LogLine(text, is_redraw)
