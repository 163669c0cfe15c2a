"""Keeps the times of a job while it is followed; a store that is away loses some of them and never harms the job."""

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from cosmos_ops.errors import StoreError
from cosmos_ops.store import Store
from cosmos_ops.timing import JobTiming, SampleTiming


def utc_now() -> datetime:
    """The time by the clock of this machine."""
    return datetime.now(timezone.utc)


@dataclass
class Timekeeper:
    """Notes when what happens to a job. Of each moment the first time counts; a job without a timing keeps none."""

    store: Store
    job_id: str
    now: Callable[[], datetime] = utc_now
    _timing: JobTiming | None = None
    _is_read: bool = False

    @property
    def timing(self) -> JobTiming | None:
        """The times so far; none for a job without."""
        return self._read()

    def staging_in(self) -> None:
        """Its inputs begin to be sent."""
        self._note("staging_in_at")

    def staged_in(self) -> None:
        """Its inputs are on the host."""
        self._note("staged_in_at")

    def started(self, *, is_new: bool) -> None:
        """Its container runs; nobody knows since when, if it was there before."""
        if is_new:
            self._note("started_at")
        else:
            self._change(is_observed=False)

    def on(self, gpus: str) -> None:
        """Its slot has these GPUs."""
        self._change(gpus=gpus)

    def sample_started(self, run_id: str) -> None:
        """The process works on a run."""
        self._note_sample(run_id, "started_at")

    def sample_ended(self, run_id: str) -> None:
        """The process is through with a run."""
        self._note_sample(run_id, "ended_at")

    def lost(self) -> None:
        """The host does not answer: what happens from now on is heard of too late."""
        timing = self._read()
        if timing is not None and timing.staged_in_at is not None and timing.ended_at is None:
            self._change(is_observed=False)

    def ended(self) -> None:
        """Its container has ended."""
        self._note("ended_at")

    def home(self, completed: Collection[str]) -> None:
        """All that it left is at home; what a run took that did not complete says nothing."""
        timing = self._read()
        if timing is not None:
            samples = tuple(one if one.run_id in completed else replace(one, ended_at=None) for one in timing.samples)
            self._change(samples=samples, home_at=timing.home_at or self.now())

    def _note(self, moment: str) -> None:
        at, timing = self.now(), self._read()
        if timing is not None and getattr(timing, moment) is None:
            self._change(**{moment: at})

    def _note_sample(self, run_id: str, moment: str) -> None:
        at, timing = self.now(), self._read()
        if timing is None:
            return

        def noted(sample: SampleTiming) -> SampleTiming:
            is_it = sample.run_id == run_id and getattr(sample, moment) is None
            return replace(sample, **{moment: at}) if is_it else sample  # type: ignore[arg-type]

        self._change(samples=tuple(noted(sample) for sample in timing.samples))

    def _change(self, **values: Any) -> None:
        before = self._read()
        if before is None:
            return
        self._timing = after = replace(before, **values)
        if after != before:
            with suppress(StoreError):
                self.store.set_timing(self.job_id, after)

    def _read(self) -> JobTiming | None:
        if not self._is_read:
            with suppress(StoreError):
                self._timing = self.store.job(self.job_id).timing
                self._is_read = True
        return self._timing
