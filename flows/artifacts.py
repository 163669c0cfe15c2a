"""What a flow run shows in Prefect's UI: a progress bar while frames are computed, and the results at the end."""

import base64
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import cast
from uuid import UUID

import httpx
from prefect.artifacts import create_image_artifact, create_markdown_artifact, create_progress_artifact, update_progress_artifact
from prefect.exceptions import PrefectException
from typing_extensions import Self

from cosmos_ops.errors import HostUnreachableError
from cosmos_ops.job import Job
from cosmos_ops.log import tell
from cosmos_ops.media.pictures import jpeg_preview
from cosmos_ops.results import ResultsFolder
from cosmos_ops.runs import Run, RunStatus
from cosmos_ops.workplace import Records

UPDATE_S = 1.0
PICTURES_MAX = 8
"""Each picture is stored in Prefect's database; the folder of results has them all."""
PICTURE_BYTES_MAX = 60_000
ROWS_MAX = 200
SHOWN_FROM_BYTES = 50_000_000
SAY_S = 5.0


@contextmanager
def only_shown() -> Iterator[None]:
    """What is only shown must not harm a job: what a server, a store or a disk refuses is left out, and the log says so."""
    try:
        yield
    except Exception as error:  # noqa: BLE001
        # A server that does not answer is nothing that nobody foresaw.
        known = HostUnreachableError(str(error)) if isinstance(error, PrefectException | httpx.HTTPError) else error
        tell(known, "An artifact could not be written: {}", error)


class ProgressArtifact:
    """One bar for a batch; moves at most once a second, because each move is a request to the server."""

    def __init__(self, operation: str, job_id: str, sample_count: int) -> None:
        description = f"{operation} of {sample_count} run{'s' if sample_count != 1 else ''}"
        self._id: UUID | None = None
        with only_shown():
            self._id = cast(
                UUID, create_progress_artifact(0.0, key=_key(f"progress-{operation}-{job_id}"), description=description)
            )
        self._sample_count = sample_count
        self._fractions: dict[str, float] = {}
        self._moved_at = time.monotonic()

    def move(self, run_id: str, fraction: float) -> None:
        """So much of a run is done."""
        self._fractions[run_id] = fraction
        if time.monotonic() - self._moved_at >= UPDATE_S:
            self._moved_at = time.monotonic()
            self._show(round(100 * sum(self._fractions.values()) / self._sample_count, 1))

    def finish(self) -> None:
        """All samples are through."""
        self._show(100.0)

    def _show(self, percent: float) -> None:
        if self._id is not None:
            with only_shown():
                update_progress_artifact(self._id, percent)


class SentBytes:
    """How much of a job's inputs has gone to the host: a bar where there is much to send, and the log where it takes long."""

    def __init__(self, job: Job, logger: logging.Logger | logging.LoggerAdapter[logging.Logger]) -> None:
        self._total = sum(file.size_bytes for file in job.inputs)
        self._bar = ProgressArtifact("stage in", job.id, 1) if self._total >= SHOWN_FROM_BYTES else None
        self._logger = logger
        self._sent = 0
        self._said_at = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._bar is not None and kind is None:
            self._bar.finish()

    def add(self, count: int) -> None:
        """So many more bytes have gone."""
        self._sent += count
        if self._bar is not None:
            self._bar.move("inputs", min(1.0, self._sent / self._total))
        if time.monotonic() - self._said_at >= SAY_S:
            self._said_at = time.monotonic()
            self._logger.info("Sent %.0f MB of at most %.0f MB", self._sent / 1e6, self._total / 1e6)


def show_results(place: Records, title: str, runs: Sequence[Run]) -> None:
    """A table of the runs with durations and paths, and the contact sheets of the first of them as pictures."""
    with only_shown():
        _create_results(place, title, runs)


def _create_results(place: Records, title: str, runs: Sequence[Run]) -> None:
    create_markdown_artifact(_table(place, title, runs), key=_key(f"results-{title}"), description=f"Results of {title}")
    shown = [run for run in runs if run.outputs.contact_sheet is not None][:PICTURES_MAX]
    for run in shown:
        _show_picture(place.results, run)


def _show_picture(results: ResultsFolder, run: Run) -> None:
    assert run.outputs.contact_sheet is not None
    picture = jpeg_preview(results.absolute(run.outputs.contact_sheet), bytes_max=PICTURE_BYTES_MAX)
    url = "data:image/jpeg;base64," + base64.b64encode(picture).decode("ascii")
    create_image_artifact(
        url, key=_key(f"picture-{run.id}"), description=f"{run.operation} {run.id}: input, controls and output over time"
    )


def _table(place: Records, title: str, runs: Sequence[Run]) -> str:
    done = sum(run.status is RunStatus.COMPLETED for run in runs)
    lines = [
        f"# {title}: {done} of {len(runs)} runs completed",
        "",
        "| run | operation | prompt | status | seconds |",
        "|---|---|---|---|---|",
    ]
    for run in runs[:ROWS_MAX]:
        prompt = place.store.prompt(run.prompt_id)
        seconds = f"{run.duration_s:.1f}" if run.duration_s is not None else ""
        cells = [f"`{run.id}`", run.operation, prompt.name or prompt.text[:60], run.status.value, seconds]
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    if len(runs) > ROWS_MAX:
        lines.append(f"\n{len(runs) - ROWS_MAX} more: `cosmos runs list`")
    # Paths are long: below the table they wrap, inside it they would be cut.
    lines += ["", *(f"- `{run.id}` {_cell(_result(place, run))}" for run in runs[:ROWS_MAX])]
    if any(run.family == "preview" for run in runs):
        lines += ["", "Preview family: classical video processing, no neural model."]
    return "\n".join(lines) + "\n"


def _result(place: Records, run: Run) -> str:
    if run.failure is not None:
        return f"{run.failure.kind}: {run.failure.message}"
    if run.outputs.image is not None:
        return f"`{place.results.absolute(run.outputs.image)}`"
    if run.outputs.prompt_id is not None:
        return f"`{run.outputs.prompt_id}` {place.store.prompt(run.outputs.prompt_id).text}"
    return f"`{place.results.absolute(run.outputs.video)}`" if run.outputs.video else ""


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _key(text: str) -> str:
    return "".join(character if character.isascii() and character.isalnum() else "-" for character in text.lower()).strip("-")
