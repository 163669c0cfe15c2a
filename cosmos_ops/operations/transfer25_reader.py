"""The lines and bars of cosmos-transfer2.5 as events."""

import json
import re
from collections.abc import Mapping

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
from cosmos_ops.operations.transfer25_spec import PLAN
from cosmos_ops.runs import Phase

_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_BAR = re.compile(r"Generating samples:\s*\d+%\|[^|]*\|\s*(\d+)/(\d+)(?: \[[^\]]*\])?")
_LOGGED = re.compile(r"\[\d\d-\d\d \d\d:\d\d:\d\d\|(?:\[Node.*?\| *)?[A-Z]+ *\|[^\]|]*\] (?:\[RANK \d+\] )?(?P<text>.*)")
_STARTED = re.compile(r"\[(\d+)/(\d+)\] Processing sample (\S+)$")
_CHUNK = re.compile(r"Generating chunk (\d+)/(\d+)$")
_BLOCKED = re.compile(r"Guardrail blocked generation\. (?P<negative>Negative p|P)rompt: ")
_SAVED = re.compile(r"Generated video saved to .*?([^/]+)\.(?:mp4|jpg)$")
_REASON = re.compile(r"GUARDRAIL BLOCKED: (.*)")
_PHASES = (
    (re.compile(r"Running guardrail check on prompt\.\.\."), Phase.GUARDRAIL),
    (re.compile(r"(Processing the following paths:|Loading input video\.\.\.)"), Phase.PREPROCESSING),
    (re.compile(r"(Passed guardrail on generated video|\w+ control video saved to )"), Phase.SAVING),
)
_RANK = re.compile(r"\[rank\d+\]:\s?")
_RAISED = re.compile(r"(?:[A-Za-z_][\w.]*)?(?:Error|Exception|Interrupt|Exit)\b(?::.*)?$")
_REFUSED = re.compile(r"Error(?: validating parameters from |: )")
_VIDEO_BLOCKED = "Guardrail blocked video2world generation."
VIDEO_REFUSED = "the guardrail refused the generated video; another seed may pass"


class Reader:
    """Keeps which sample and which chunk the process is at; bars come from every GPU, and the furthest one counts."""

    def __init__(self, job: Job) -> None:
        (plan,) = [file.text for file in job.files if file.path == PLAN]
        self._plan: Mapping[str, Mapping[str, int]] = json.loads(plan)
        self._names = [item.run_id for item in job.items]
        self._place = -1
        self._in_traceback = False
        self._has_failed = False
        self._forget_sample()

    def __call__(self, line: str) -> list[Event]:
        """What one line, or one redraw of a bar, tells."""
        line = _COLOUR.sub("", line)
        events = [event for bar in _BAR.finditer(line) for event in self._bar(int(bar[1]), int(bar[2]))]
        rest = _BAR.sub("", line).rstrip()
        if logged := _LOGGED.match(rest.lstrip()):
            return events + self._message(logged["text"])
        return events + self._printed(rest)

    def _forget_sample(self) -> None:
        self._run_id = ""
        self._phase: Phase | None = None
        self._is_video_checked = False
        self._reason = ""
        self._chunk, self._chunks, self._steps = 0, 1, 1
        self._says_chunks = False
        self._step, self._is_new_bar = 0, True
        self._done = -1

    def _message(self, text: str) -> list[Event]:
        if (found := _STARTED.match(text)) and self._is_next(int(found[1]), int(found[2]), found[3]):
            return self._start(found[3])
        if not self._run_id:
            return []
        if found := _CHUNK.match(text):
            return self._start_chunk(int(found[1]) - 1, int(found[2]))
        if found := _REASON.match(text):
            self._reason = found[1].strip()
            return self._block(VIDEO_REFUSED) if self._is_video_checked else []
        if found := _BLOCKED.match(text):
            which = "negative prompt" if found["negative"].startswith("N") else "prompt"
            return self._block(f"the guardrail refused the {which}; change its words")
        if (found := _SAVED.match(text)) and found[1] == self._run_id:
            return self._end()
        if text.startswith("Running guardrail check on video..."):
            self._is_video_checked = True
            return self._move(Phase.GUARDRAIL)
        if text.startswith("Average time per chunk:"):
            self._chunk, self._step = self._chunks - 1, self._steps
            return [*self._move(Phase.SAVING), *self._progress()]
        phase = next((phase for start, phase in _PHASES if start.match(text)), None)
        # What a video passes is no longer checked.
        self._is_video_checked = self._is_video_checked and phase is not Phase.SAVING
        return self._move(phase) if phase else []

    def _is_next(self, number: int, count: int, name: str) -> bool:
        """Whether a line is the program's own, and not part of a prompt that it repeats."""
        return count == len(self._names) and self._place + 1 < number <= count and self._names[number - 1] == name

    def _start(self, run_id: str) -> list[Event]:
        events = self._block(VIDEO_REFUSED) if self._is_video_checked else []
        self._forget_sample()
        self._place, self._run_id = self._names.index(run_id), run_id
        plan = self._plan[run_id]
        self._chunks, self._steps = plan["chunks"], plan["steps"]
        return [*events, SampleStarted(run_id), *self._move(Phase.PREPROCESSING)]

    def _start_chunk(self, chunk: int, chunks: int) -> list[Event]:
        self._says_chunks = True
        self._chunk, self._chunks = chunk, chunks
        self._step, self._is_new_bar = 0, True
        return [*self._move(Phase.SAMPLING), *self._progress()]

    def _bar(self, step: int, steps: int) -> list[Event]:
        if not self._run_id or not steps:
            return []
        self._steps = steps
        if step < steps:
            if not self._says_chunks and self._step == steps and step <= steps // 2 and self._chunk + 1 < self._chunks:
                self._chunk, self._step = self._chunk + 1, 0
            self._is_new_bar = False
        elif self._is_new_bar:
            # The last redraw of another GPU's bar of the chunk before.
            return []
        self._step = max(self._step, step)
        phase = self._move(Phase.DECODING) if self._step == steps else self._move(Phase.SAMPLING)
        return [*phase, *self._progress()]

    def _progress(self) -> list[Event]:
        total = self._chunks * self._steps
        done = min(self._chunk * self._steps + self._step, total)
        if done <= self._done:
            return []
        self._done = done
        return [SampleProgress(self._run_id, done, total)]

    def _move(self, phase: Phase) -> list[Event]:
        if phase is self._phase:
            return []
        self._phase = phase
        return [SamplePhase(self._run_id, phase)]

    def _block(self, text: str) -> list[Event]:
        event = SampleBlocked(self._run_id, f"{text} ({self._reason})" if self._reason else text)
        self._forget_sample()
        return [event]

    def _end(self) -> list[Event]:
        event = SampleEnded(self._run_id)
        self._forget_sample()
        return [event]

    def _printed(self, line: str) -> list[Event]:
        """What a line tells that does not come from the log: a traceback, or what the program says of its samples."""
        line = _RANK.sub("", line, count=1)
        if line.startswith("Traceback (most recent call last):"):
            self._in_traceback = True
            return []
        if self._in_traceback and line.endswith(_VIDEO_BLOCKED):
            self._in_traceback = False
            return self._block(VIDEO_REFUSED) if self._run_id else []
        is_raised = self._in_traceback and _RAISED.match(line)
        if self._has_failed or not (is_raised or _REFUSED.match(line)):
            return []
        self._in_traceback, self._has_failed = False, True
        return [] if _BLOCKED.search(line) else [ProcessFailure(line)]
