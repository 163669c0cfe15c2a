"""What a dispatch shows in Prefect: its plan as a table; at the end a timeline, and what was expected beside what it took."""

import base64
import logging
import time
from collections import defaultdict
from datetime import datetime

from prefect.artifacts import create_image_artifact, create_markdown_artifact, create_table_artifact

from cosmos_ops.comparisons import comparison, markdown_table
from cosmos_ops.dispatching.assignments import Assignment
from cosmos_ops.dispatching.dispatcher import Dispatched, Report
from cosmos_ops.dispatching.prospect import Prospect
from cosmos_ops.planning.preview import duration, rows
from cosmos_ops.timelines import headline, timeline, write_picture
from cosmos_ops.workplace import Records
from flows.artifacts import only_shown

Logger = logging.Logger | logging.LoggerAdapter[logging.Logger]
PLAN_EVERY_S, PICTURE_EVERY_S = 60.0, 600.0
"""How often at most the table of a plan is written anew, and the picture of a dispatch that is still at work."""
NAMED_MAX = 5
ROWS_MAX = 200
JOBS_MAX = 500
"""In one picture; the newest ones."""
FOLDER = "dispatches"


class FlowReport(Report):
    """Writes artifacts and the log of the flow run."""

    def __init__(self, place: Records, logger: Logger, flow_run_id: str) -> None:
        self._place = place
        self._logger = logger
        self._picture = place.results.root / FOLDER / f"{datetime.now():%Y-%m-%d_%H%M%S}_{flow_run_id[:8]}" / "timeline.png"
        self._job_ids: list[str] = []
        self._shown_plan_at = -PLAN_EVERY_S
        self._shown_picture_at = time.monotonic()

    def planned(self, planned: Prospect) -> None:
        """What is planned now; the table of it at most once a minute."""
        if not planned.plan.batches or time.monotonic() - self._shown_plan_at < PLAN_EVERY_S:
            return
        self._shown_plan_at = time.monotonic()
        description = planned.description
        saved = "; ".join(f"{seconds:,.0f} by {name}" for name, seconds in description["baseline_gpu_s"].items())
        batches = planned.plan.batches
        words = (
            f"{sum(len(batch.run_ids) for batch in batches)} runs in {len(batches)} batches, "
            f"done after {duration(description['makespan_s'])}, {description['gpu_s']:,.0f} GPU seconds ({saved})"
        )
        self._logger.info("Planned: %s", words)
        with only_shown():
            create_table_artifact(table=rows(description)[:ROWS_MAX], key="dispatch-plan", description=words)

    def ended(self, assignment: Assignment) -> None:
        """A batch is over; say how right its prediction was."""
        if assignment.job is None:
            return
        self._job_ids.append(assignment.job.id)
        for row in comparison([self._place.store.job(assignment.job.id)]):
            if row.predicted_s is not None and row.took_s is not None:
                self._logger.info(
                    "Job %s on host %s: predicted %.0f s, took %.0f s", row.job_id, row.host, row.predicted_s, row.took_s
                )
        if time.monotonic() - self._shown_picture_at > PICTURE_EVERY_S:
            self._show_times()

    def finish(self, done: Dispatched) -> None:
        """The queue is drained."""
        by_reason: dict[str, list[str]] = defaultdict(list)
        for run_id, why in done.waiting.items():
            by_reason[why].append(run_id)
        for why, run_ids in by_reason.items():
            more = f" and {len(run_ids) - NAMED_MAX} more" if len(run_ids) > NAMED_MAX else ""
            self._logger.warning("%d runs wait: %s (%s%s)", len(run_ids), why, ", ".join(run_ids[:NAMED_MAX]), more)
        if self._job_ids:
            self._show_times()

    def _show_times(self) -> None:
        """Lanes over time as a picture, and expected beside measured seconds of each job."""
        self._shown_picture_at = time.monotonic()
        jobs = [self._place.store.job(job_id) for job_id in self._job_ids[-JOBS_MAX:]]
        shown = timeline(jobs)
        with only_shown():
            create_markdown_artifact(markdown_table(comparison(jobs)), key="dispatch-times", description="Predicted and measured")
        if not write_picture(shown, self._picture):
            return
        self._logger.info("Timeline: %s, %s", headline(shown), self._picture)
        picture = base64.b64encode(self._picture.read_bytes()).decode("ascii")
        with only_shown():
            create_image_artifact(f"data:image/png;base64,{picture}", key="dispatch-timeline", description=headline(shown))
