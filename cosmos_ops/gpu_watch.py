"""Looks at the GPUs of a job now and then while it runs; the figures are kept beside its log until its runs get their plot."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from loguru import logger

from cosmos_ops.errors import CosmosError
from cosmos_ops.gpu_samples import GPUSample, read_gpu_samples

EVERY_S = 5.0
AT_FIRST_S = 0.5
"""Until there is an answer: a job may wait for its slot."""
END_LIMIT_S = 10.0


@contextmanager
def watching(ask: Callable[[], str], file: Path) -> Iterator[None]:
    """Ask for the figures every `EVERY_S` while we are inside; a host that does not answer is asked again later.

    Args:
        ask: Gives what `GPU_SAMPLE_COMMAND` prints; nothing if there is no GPU.
        file: Where the answers are appended, each line behind its time in Unix seconds.
    """
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(ask, file, over), name="gpu watch", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join(END_LIMIT_S)


def read_watched(file: Path) -> list[GPUSample]:
    """The figures of a job, in seconds since the first; none if nobody has looked."""
    if not file.exists():
        return []
    times = [found for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if (found := _timed(line))]
    return [sample for at, text in times for sample in read_gpu_samples(text, at - times[0][0])]


def _timed(line: str) -> tuple[float, str] | None:
    """The time of a line and what follows; nothing of a line that a full disk cut off."""
    at, comma, text = line.partition(",")
    try:
        return (float(at), text) if comma else None
    except ValueError:
        return None


def _watch(ask: Callable[[], str], file: Path, over: threading.Event) -> None:
    pause_s = AT_FIRST_S
    while True:
        try:
            answer = ask()
            if answer.strip():
                pause_s = EVERY_S
                with file.open("a", encoding="utf-8") as target:
                    target.writelines(f"{time.time():.2f},{line}\n" for line in answer.splitlines())
        except (CosmosError, OSError) as error:
            logger.debug("The GPUs could not be looked at: {}", error)
        if over.wait(pause_s):
            return
