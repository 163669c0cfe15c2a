"""What jobs were expected to take beside what they took, job by job and in sum."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from cosmos_ops.store.records import JobRecord

ROWS_MAX = 100
_COLUMNS = ("job", "host", "slot", "runs", "load predicted", "load took", "total predicted", "total took", "error", "remark")
_LEFT, _RIGHT = "---", "---:"
_ALIGNED = (_LEFT, _LEFT, _LEFT, *[_RIGHT] * 6, _LEFT)


@dataclass(frozen=True)
class Comparison:
    """One job."""

    job_id: str
    host: str
    gpus: str
    """Its slot, such as `0,1`; empty where that is not known or there are none."""
    run_count: int
    model: str = ""
    gpu_type: str = ""
    """Empty where nobody knows."""
    predicted_load_s: float | None = None
    """Start and load, until the first sample began."""
    load_s: float | None = None
    predicted_s: float | None = None
    """From the start of its container to its end."""
    took_s: float | None = None
    remark: str = ""
    """Why it says nothing of how good the prediction was; empty where it does."""

    @property
    def error(self) -> float | None:
        """Relative to what it took, above 0 if it was quicker than expected; none where the two cannot be compared."""
        if self.remark or self.predicted_s is None or not self.took_s:
            return None
        return self.predicted_s / self.took_s - 1

    def __str__(self) -> str:
        if self.error is None:
            return self.remark
        return f"predicted {self.predicted_s:.0f} s, took {self.took_s:.0f} s ({100 * self.error:+.0f} %)"


def comparison(jobs: Sequence[JobRecord]) -> list[Comparison]:
    """One row for each job, in the order given."""
    return [_compared(record) for record in jobs]


def _compared(record: JobRecord) -> Comparison:
    timing, job = record.timing, record.job
    if timing is None:
        return Comparison(job.id, record.host, "", len(job.items), remark="no times were kept")
    return Comparison(
        job.id,
        record.host,
        timing.gpus,
        len(job.items),
        model=timing.model,
        gpu_type=timing.gpu_type,
        predicted_load_s=timing.predicted_load_s,
        load_s=timing.load_s if timing.is_observed else None,
        predicted_s=timing.predicted_s,
        took_s=timing.seconds if timing.is_observed else None,
        remark=_remark(record),
    )


def _remark(record: JobRecord) -> str:
    timing = record.timing
    assert timing is not None
    if timing.ended_at is None and record.ended_at is None:
        return "not ended" if timing.started_at is not None else "not started"
    if not timing.is_observed:
        return "not followed all the time"
    if timing.seconds is None:
        return "never computed"
    unfinished = sum(sample.ended_at is None for sample in timing.samples)
    if unfinished:
        return f"{unfinished} of {len(timing.samples)} runs not completed"
    return "" if timing.predicted_s is not None else "nothing was predicted"


def median_error(rows: Sequence[Comparison]) -> float | None:
    """The usual size of the error; none if no row can be compared."""
    errors = [abs(row.error) for row in rows if row.error is not None]
    return statistics.median(errors) if errors else None


def markdown_table(rows: Sequence[Comparison], *, most: int = ROWS_MAX) -> str:
    """The rows as a Markdown table, and below it what they come to."""
    lines = [_line(_COLUMNS), _line(_ALIGNED), *(_line(_cells(row)) for row in rows[:most])]
    if len(rows) > most:
        lines += ["", f"{len(rows) - most} more jobs are not in the table."]
    return "\n".join([*lines, "", summary(rows)]) + "\n"


def summary(rows: Sequence[Comparison]) -> str:
    """What the rows come to, in a sentence."""
    compared = [row for row in rows if row.error is not None]
    median = median_error(compared)
    if median is None:
        return "No job has ended whose prediction can be compared with what it took."
    predicted_s, took_s = sum(row.predicted_s or 0 for row in compared), sum(row.took_s or 0 for row in compared)
    jobs = f"{len(compared)} of {len(rows)} jobs" if len(compared) < len(rows) else f"{len(rows)} job{'s' * (len(rows) > 1)}"
    return (
        f"{jobs} compared: predicted {_seconds(predicted_s)} s, took {_seconds(took_s)} s "
        f"({100 * (predicted_s / took_s - 1):+.0f} %), median error {100 * median:.0f} %."
    )


def _cells(row: Comparison) -> tuple[str, ...]:
    measures = (row.predicted_load_s, row.load_s, row.predicted_s, row.took_s)
    error = "" if row.error is None else f"{100 * row.error:+.0f} %"
    return (
        f"`{row.job_id}`",
        row.host,
        row.gpus,
        str(row.run_count),
        *(_seconds(value) for value in measures),
        error,
        row.remark,
    )


def _seconds(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
