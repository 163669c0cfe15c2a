"""Where log lines go: ours to the terminal from a level on, and to a file in the home folder; those of a job to its own file."""

import sys
from contextlib import suppress
from pathlib import Path
from traceback import format_exception
from typing import TextIO

from loguru import logger
from typing_extensions import Self

from cosmos_ops.errors import CosmosError


def set_up_log(folder: Path, *, level: str = "WARNING") -> None:
    """Send our log to stderr and to `cosmos.log` in a folder (10 MB a file, three kept)."""
    logger.remove()
    logger.add(sys.stderr, level=level, format="<level>{level: <8}</level> {message}")
    logger.add(folder / "cosmos.log", level="DEBUG", rotation="10 MB", retention=3, delay=True)


def tell(error: Exception, text: str, *values: object, level: str = "WARNING") -> None:
    """Log that something was passed over because of an error; one that nobody foresaw with its traceback."""
    if not isinstance(error, CosmosError | OSError):
        # Loguru's own would show the values of variables, and with them maybe secrets.
        text, values = text + "\n{}", (*values, "".join(format_exception(error)))
    logger.opt(depth=1).log(level, text, *values)


class LineLog:
    """A new text file that grows line by line; a disk that takes none is no error, and a gap is said where the lines go on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None
        self._is_new = True
        self._missing = 0

    def __enter__(self) -> Self:
        try:
            self._open()
        except OSError as error:
            logger.warning("The log {} cannot be written: {}", self._path, error)
        return self

    def __exit__(self, *_: object) -> None:
        if self._missing:
            self._put("")
        self._close()

    def add(self, line: str) -> None:
        """Add a line; it is on the disk at once."""
        self._put(f"{line}\n")

    def _put(self, text: str) -> None:
        missing = f"\n[{self._missing} lines are missing here: the disk took none]\n" if self._missing else ""
        try:
            file = self._file or self._open()
            file.write(missing + text)
            file.flush()
            self._missing = 0
        except OSError as error:
            if not self._missing:
                logger.warning("The log {} cannot be written: {}", self._path, error)
            self._missing += 1
            # With what is left in its buffer.
            self._close()

    def _open(self) -> TextIO:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("w" if self._is_new else "a", encoding="utf-8")
        self._is_new = False
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None
