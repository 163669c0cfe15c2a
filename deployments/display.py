"""What a terminal shows of records and of running flows: tables, JSON, and live progress."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from typing_extensions import Self

from cosmos_ops.results import ResultsFolder
from cosmos_ops.runs import Prompt, Run
from flows.observer import Observer

OUTPUT_FILES = ("video", "thumbnail", "contact_sheet", "spec", "log", "prompt")


class LiveProgress(Observer):
    """One bar for each run in a terminal; plain lines where the output is piped."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=False,
        )
        self._bars: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._console.is_terminal:
            self._progress.stop()

    def started(self, run: Run) -> None:
        """Show its bar, or say so."""
        if self._console.is_terminal:
            self._bars[run.id] = self._progress.add_task(f"{run.operation:<9} {run.id}", total=None)
        else:
            self._console.print(f"{run.operation} {run.id}: sampling", highlight=False)

    def progressed(self, run_id: str, done: int, total: int) -> None:
        """Move its bar."""
        if run_id in self._bars:
            self._progress.update(self._bars[run_id], completed=done, total=total)

    def ended(self, run: Run) -> None:
        """Fill its bar and say how it went."""
        if run.id in self._bars:
            self._progress.update(self._bars[run.id], total=1, completed=1, visible=False)
        seconds = f" in {run.duration_s:.1f} s" if run.duration_s is not None else ""
        why = f": {run.failure.message}" if run.failure else ""
        self._console.print(f"{run.operation} {run.id}: {run.status.value}{seconds}{why}", highlight=False, markup=False)


def run_record(run: Run, results: ResultsFolder) -> dict[str, Any]:
    """A run as JSON; all paths are absolute."""
    outputs: dict[str, str] = {
        name: str(results.absolute(path)) for name in OUTPUT_FILES if (path := getattr(run.outputs, name)) is not None
    }
    if run.outputs.prompt_id is not None:
        outputs["prompt_id"] = run.outputs.prompt_id
    return {
        "id": run.id,
        "prompt_id": run.prompt_id,
        "parent_run_id": run.parent_id,
        "operation": run.operation,
        "family": run.family,
        "status": run.status.value,
        "phase": run.phase.value if run.phase else None,
        "params": run.params.model_dump(mode="json"),
        "outputs": outputs,
        "failure": run.failure.model_dump(mode="json") if run.failure else None,
        "job_id": run.job_id,
        "flow_run_id": run.flow_run_id,
        "created_at": run.created_at.isoformat(),
        "started_at": run.started_at.isoformat() if run.started_at else None,
        "ended_at": run.ended_at.isoformat() if run.ended_at else None,
        "duration_s": run.duration_s,
    }


def prompt_record(prompt: Prompt) -> dict[str, Any]:
    """A prompt as JSON."""
    return {
        "id": prompt.id,
        "parent_prompt_id": prompt.parent_id,
        "name": prompt.name,
        "text": prompt.text,
        "negative_text": prompt.negative_text,
        "inputs": {role: str(path) for role, path in prompt.inputs.items()},
        "created_at": prompt.created_at.isoformat(),
    }


def lines_of(records: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[str]:
    """Records as aligned plain columns, which a terminal shows whole and a shell can cut."""
    rows = [list(columns), *([_cell(record[column]) for column in columns] for record in records)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(columns))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _cell(value: Any) -> str:
    text = "-" if value is None or value == "" else " ".join(str(value).split())
    return text if len(text) <= 60 else text[:57] + "..."
