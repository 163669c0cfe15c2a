"""What the lines of `transfer.py` tell. They name no sample, so it is counted: the k-th "running preprocessor" is line k."""

import json
import re
from collections import Counter
from collections.abc import Callable

from pydantic import BaseModel, TypeAdapter

from cosmos_ops.job import (
    Event,
    Job,
    ProcessFailure,
    SampleBlocked,
    SampleEnded,
    SamplePhase,
    SampleProgress,
    SampleStarted,
)
from cosmos_ops.operations.transfer1_process import PLAN
from cosmos_ops.runs import Phase

ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
# A bar does not end its line, so that a message may follow on it.
BAR = r"(?:[^\[\]]*\d%\|[^\[\]]*\[[^\]]*\])?"
_LOGGED = re.compile(BAR + r"\[\d\d-\d\d \d\d:\d\d:\d\d\|\w+\|[^\]]*\.py:\d+:[^\]]*\] ?(.*)")
_FAILURE = re.compile(r"(?:\[rank\d+\]: ?)?((?:\w+\.)*\w*(?:Error|Exception)(?:: .*)?)$")
_NOT_SAFE = re.compile(r"(Input text prompt|Generated video) \d+ is not safe$")
_REASON = "GUARDRAIL BLOCKED: "

_PHASES = {
    "Running guardrail checks on all prompts": Phase.GUARDRAIL,
    "Starting T5 compute": Phase.PREPROCESSING,
    "Starting data augmentation": Phase.PREPROCESSING,
    "Starting latent encoding": Phase.SAMPLING,
    "Starting diffusion sampling": Phase.SAMPLING,
    "Starting VAE decode": Phase.DECODING,
    "Run guardrail on generated videos": Phase.GUARDRAIL,
}


class _Planned(BaseModel):
    run: str
    clips: int


def reader(job: Job) -> Callable[[str], list[Event]]:
    """A function that is given every line of the process of a job."""
    return Transfer1Reader(job).read


class Transfer1Reader:
    """Where a process is in its batch."""

    def __init__(self, job: Job) -> None:
        plan = next(file.text for file in job.files if file.path == PLAN)
        self._plan = TypeAdapter(list[_Planned]).validate_python(json.loads(plan))
        self._clips = Counter[str]()
        for line in self._plan:
            self._clips[line.run] += line.clips
        self._last_line = {line.run: number for number, line in enumerate(self._plan)}
        self._number = -1
        self._done = Counter[str]()
        self._phase: Phase | None = None
        self._reason = ""
        self._blocked: set[str] = set()
        self._has_failed = False

    def read(self, line: str) -> list[Event]:
        """What one line tells."""
        line = ANSI.sub("", line).rstrip()
        if logged := _LOGGED.match(line):
            return self._logged(logged[1].strip())
        if (failure := _FAILURE.match(line)) and not self._has_failed and self._run not in self._blocked:
            self._has_failed = True
            return [ProcessFailure(failure[1])]
        return []

    @property
    def _run(self) -> str:
        """The run that is worked on; empty before the first."""
        return self._plan[self._number].run if 0 <= self._number < len(self._plan) else ""

    def _logged(self, message: str) -> list[Event]:
        if message == "running preprocessor":
            return self._next_line()
        run = self._run
        if not run:
            return []
        if message in _PHASES:
            return self._enter(_PHASES[message])
        if message == "Completed diffusion sampling":
            self._done[run] += 1
            return [SampleProgress(run, min(self._done[run], self._clips[run]), self._clips[run])]
        if message.startswith("Saved prompt to "):
            return [SampleEnded(run)] if self._number == self._last_line[run] else []
        return self._guarded(run, message)

    def _next_line(self) -> list[Event]:
        before = self._run
        self._number += 1
        self._reason = ""
        if not self._run:
            return []
        began = [] if self._run == before else [SampleStarted(self._run)]
        self._phase = None
        return [*began, *self._enter(Phase.PREPROCESSING)]

    def _enter(self, phase: Phase) -> list[Event]:
        if phase is self._phase:
            return []
        self._phase = phase
        return [SamplePhase(self._run, phase)]

    def _guarded(self, run: str, message: str) -> list[Event]:
        if message.startswith(_REASON):
            self._reason = message.removeprefix(_REASON)
            return []
        found = _NOT_SAFE.match(message)
        if not found or run in self._blocked:
            return []
        self._blocked.add(run)
        what = "prompt" if found[1].startswith("Input") else "video that it made"
        return [SampleBlocked(run, f"the guardrail refused the {what}" + (f": {self._reason}" if self._reason else ""))]
