"""Where log lines go: to the terminal from a chosen level on, and always to a file in the home folder."""

import sys
from pathlib import Path

from loguru import logger


def set_up_log(folder: Path, *, level: str = "WARNING") -> None:
    """Send our log to stderr and to `cosmos.log` in a folder (10 MB a file, three kept)."""
    logger.remove()
    logger.add(sys.stderr, level=level, format="<level>{level: <8}</level> {message}")
    logger.add(folder / "cosmos.log", level="DEBUG", rotation="10 MB", retention=3, delay=True)
