"""What the lines of the Cosmos 3 program tell: which sample it works on, what it does, how far it is, what it gives up."""

import json
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

from cosmos_ops.job import (
    Event,
    Job,
    ProcessFailure,
    SampleBlocked,
    SampleEnded,
    SampleFailed,
    SamplePhase,
    SampleProgress,
    SampleStarted,
)
from cosmos_ops.operations.program_log import shortened, without_tokens
from cosmos_ops.runs import Phase

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_LINE = re.compile(r"\[\d\d-\d\d \d\d:\d\d:\d\d\|job=[^|]*\|[A-Z]+\|[^|\]]*\] (?:\[RANK \d+\] )?(.*)")
_START = re.compile(r"Saved sample args to '.+/([^/]+)/sample_args\.json'$")
_CHUNK = re.compile(r"Using sampler: \w+")
_SAVING = re.compile(r"Saved control video to '")
_ENDED = re.compile(r"Saved (?:transfer|sample|reasoner) outputs to '(.+?)(?:/sample_outputs\.json)?'$")
_FAILED = re.compile(r"Error generating sample '(.+?)': (.*)$")
_SKIPPED = re.compile(r"Skipping sample '(.+?)': (.*)$")
_BLOCKED = re.compile(r"GUARDRAIL BLOCKED: (.*)$")
_REFUSED = re.compile(r"Guardrail blocked (prompt|video) '")
_BAR = re.compile(r"Sampling:\s+\d+%\|[^|]*\|\s*(\d+)/(\d+) \[")
_RAISED = re.compile(r"(?:\[rank\d+\]:\s*)?([A-Za-z_][\w.]*(?:Error|Exception)(?:: .*)?)$")


class Reader:
    """Follows one process; the number of chunks of each run decides what its bars count for."""

    def __init__(self, job: Job, chunks: Mapping[str, int], *, order: Sequence[str] = ()) -> None:
        """Where the program does not say when a sample begins, each that is over begins the next of `order`."""
        self._runs = {item.run_id for item in job.items}
        self._chunks = chunks
        self._next = dict(pairwise(order))
        self._run = ""
        self._chunk, self._step, self._done = 1, 0, 0
        self._reason = ""

    def __call__(self, line: str) -> list[Event]:
        """What one line tells."""
        line = plain(line)
        if found := _LINE.match(line):
            return self._logged(found[1])
        if found := _BAR.search(line):
            # A bar has no line break, so what is logged next stands behind it.
            behind = _LINE.search(line, found.end())
            return self._progress(int(found[1]), int(found[2])) + (self._logged(behind[1]) if behind else [])
        if found := _RAISED.match(line):
            return [ProcessFailure(found[1])]
        return []

    def _logged(self, text: str) -> list[Event]:
        if (found := _START.match(text)) and found[1] in self._runs:
            return self._start(found[1])
        if found := _ENDED.match(text):
            return self._over(found[1].rsplit("/", 1)[-1], [])
        if found := _BLOCKED.match(text):
            self._reason = found[1]
        elif found := _FAILED.match(text) or _SKIPPED.match(text):
            return self._given_up(found[1], found[2])
        elif self._run and _CHUNK.match(text):
            return [SamplePhase(self._run, Phase.SAMPLING)]
        elif self._run and _SAVING.match(text):
            return [SamplePhase(self._run, Phase.SAVING)]
        return []

    def _start(self, run_id: str) -> list[Event]:
        self._run, self._chunk, self._step, self._done, self._reason = run_id, 1, 0, 0, ""
        return [SampleStarted(run_id), SamplePhase(run_id, Phase.PREPROCESSING)]

    def _progress(self, step: int, steps: int) -> list[Event]:
        """A bar that goes back is the next chunk's; lines of several streams may overtake each other, progress may not."""
        if not self._run:
            return []
        if step < self._step:
            self._chunk += 1
        self._step = step
        total = steps * max(self._chunks.get(self._run, 1), self._chunk)
        self._done = max(self._done, (self._chunk - 1) * steps + step)
        events: list[Event] = [SampleProgress(self._run, self._done, total)]
        return events + [SamplePhase(self._run, Phase.DECODING)] * (step == steps)

    def _given_up(self, run_id: str, why: str) -> list[Event]:
        if run_id not in self._runs:
            return []
        if refused := _REFUSED.match(why):
            text = f"the guardrail refused the {refused[1]}" + (f": {self._reason}" if self._reason else "")
            return self._over(run_id, [SampleBlocked(run_id, text)])
        return self._over(run_id, [SampleFailed(run_id, shortened(without_tokens(why)))])

    def _over(self, run_id: str, events: list[Event]) -> list[Event]:
        if run_id not in self._runs:
            return []
        self._run = ""
        events = [*events, SampleEnded(run_id)]
        return events + ([SampleStarted(self._next[run_id])] if run_id in self._next else [])


def plain(line: str) -> str:
    """A line without colours."""
    return _ANSI.sub("", line).rstrip()


def spec_lines(text: str) -> list[dict[str, object]]:
    """The objects of a JSONL file."""
    return [json.loads(line) for line in text.splitlines() if line]
