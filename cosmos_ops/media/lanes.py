"""What a timeline shows: lanes side by side, each with what happened on it and when."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

Span = tuple[float, float]
"""Start and end, in seconds since the start of the timeline."""


class SegmentKind(str, Enum):
    """What happens; the value is how a legend calls it."""

    STAGING_IN = "staging in"
    HELD = "held by a process"
    """A process is there, whether or not it works on a sample: the ground for what it does."""
    LOAD = "start and load"
    SAMPLE = "samples"
    STAGING_OUT = "staging out"


_BUSY = (SegmentKind.LOAD, SegmentKind.SAMPLE)
_STAGING = (SegmentKind.STAGING_IN, SegmentKind.STAGING_OUT)


@dataclass(frozen=True)
class Segment:
    """Something that goes on for a while."""

    kind: SegmentKind
    start_s: float
    """Since the start of the timeline."""
    end_s: float
    label: str = ""
    """Names what belongs together, and decides the colour: the control signature."""
    is_failed: bool = False
    """Whether a sample came to nothing."""


@dataclass(frozen=True)
class Lane:
    """One GPU slot."""

    name: str
    segments: tuple[Segment, ...] = ()

    @property
    def end_s(self) -> float:
        """When the last of it ends; 0 without segments."""
        return max((segment.end_s for segment in self.segments), default=0.0)

    @property
    def process_end_s(self) -> float:
        """When its last process ended: the end but for staging out; 0 without processes."""
        return max((segment.end_s for segment in self.segments if segment.kind not in _STAGING), default=0.0)

    def busy_s(self, start_s: float, end_s: float) -> float:
        """Seconds between two moments in which a model is loaded or a sample is made."""
        return sum(end - start for start, end in self._busy_spans(start_s, end_s))

    def idle_spans(self, start_s: float, end_s: float) -> list[Span]:
        """The rest: when nothing is loaded and no sample is made."""
        spans, idle_since = [], start_s
        for start, end in self._busy_spans(start_s, end_s):
            if start > idle_since:
                spans.append((idle_since, start))
            idle_since = end
        return [*spans, (idle_since, end_s)] if end_s > idle_since else spans

    def _busy_spans(self, start_s: float, end_s: float) -> Sequence[Span]:
        busy = [segment for segment in self.segments if segment.kind in _BUSY]
        clipped = [(max(start_s, segment.start_s), min(end_s, segment.end_s)) for segment in busy]
        return _united((start, end) for start, end in clipped if end > start)


def _united(spans: Iterable[Span]) -> list[Span]:
    """The same moments in spans that do not touch, in order."""
    united: list[Span] = []
    for start, end in sorted(spans):
        if united and start <= united[-1][1]:
            united[-1] = (united[-1][0], max(end, united[-1][1]))
        else:
            united.append((start, end))
    return united
