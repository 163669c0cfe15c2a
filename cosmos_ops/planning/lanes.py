"""A GPU slot while it is being filled: its batches, when it is done, and what it would take of a group."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from cosmos_ops.planning.cuts import ROUNDING_S, Cuts
from cosmos_ops.planning.groups import BatchKey, Group, Prices
from cosmos_ops.planning.workloads import ModelFiles, PlanOptions, Slot, Workload

Piece = tuple[Group, int, int]
"""Runs `first` up to `end` of a group."""


@dataclass(frozen=True)
class Tail:
    """The last batch of a slot as planned so far: further runs of its key may join at its end without a load."""

    key: BatchKey
    seconds: float
    """Of the whole batch, with its load."""
    run_count: int


@dataclass(frozen=True)
class LaneStart:
    """Where the filling of a slot begins."""

    slot: Slot
    free_s: float
    warm: frozenset[ModelFiles]
    tail: Tail | None = None


@dataclass
class OpenBatch:
    """A batch that may still grow."""

    key: BatchKey
    seconds: float
    run_count: int = 0
    pieces: list[Piece] = field(default_factory=list)
    is_tail: bool = False

    def runs(self) -> Iterator[Workload]:
        """The runs that got in here."""
        return (run for group, first, end in self.pieces for run in group.runs[first:end])

    def samples(self, gpu_type: str) -> Iterator[tuple[Workload, float]]:
        """The runs and the seconds of each."""
        for group, first, end in self.pieces:
            yield from zip(group.runs[first:end], group.each[gpu_type][first:end], strict=True)

    def add(self, group: Group, first: int, end: int, seconds: float) -> None:
        """Let runs join."""
        self.pieces.append((group, first, end))
        self.run_count += end - first
        self.seconds += seconds


@dataclass(frozen=True)
class Offer:
    """What a slot would take of a group, from some run on, and what that costs."""

    joins: tuple[tuple[OpenBatch, int, int], ...]
    """Runs that join batches of the slot."""
    cuts: Cuts | None
    """Where the new batches end."""
    full_count: int
    """How many of those are taken as they are."""
    end: int
    """The first run that is not taken; the last batch may hold fewer runs than it could."""
    load_s: float
    seconds: float
    """Loads and samples."""


class Lane:
    """A slot that is being filled."""

    def __init__(self, start: LaneStart, prices: Prices, options: PlanOptions) -> None:
        self.slot = start.slot
        self.end_s = start.free_s
        self.loads_s = 0.0
        self.busy_s = 0.0
        """Seconds that were added here."""
        self._full: list[tuple[Group, Cuts, int]] = []
        self._open: dict[BatchKey, list[OpenBatch]] = defaultdict(list)
        self._warm_before = start.warm
        self._warm = set(start.warm)
        self._prices = prices
        self._options = options
        if start.tail:
            tail = start.tail
            self._open[tail.key].append(OpenBatch(tail.key, tail.seconds, tail.run_count, is_tail=True))

    def batches(self) -> Iterator[OpenBatch]:
        """All batches that got something here."""
        for group, cuts, count in self._full:
            for first, end in cuts.pairs(count):
                batch = OpenBatch(group.key, 0.0)
                batch.add(group, first, end, 0.0)
                yield batch
        for batches in self._open.values():
            yield from (batch for batch in batches if batch.pieces)

    def offer(self, group: Group, first: int, until_s: float) -> Offer:
        """As many runs as are done by then: what is open is filled first, then new batches."""
        joins, position, spare_s = self._joins(group, first, until_s - self.end_s)
        joined_s = group.seconds(self.slot.gpu_type, first, position)
        if position == len(group.runs):
            return Offer(joins, None, 0, position, 0.0, joined_s)
        cuts = self._cuts(group, position)
        full, end, seconds = cuts.within(spare_s)
        load_s = seconds - group.seconds(self.slot.gpu_type, position, end)
        return Offer(joins, cuts, full, end, load_s, joined_s + seconds)

    def take(self, group: Group, offer: Offer) -> None:
        """Accept an offer."""
        for batch, first, end in offer.joins:
            batch.add(group, first, end, group.seconds(self.slot.gpu_type, first, end))
        if offer.cuts:
            self._begin(group, offer.cuts, offer)
        self.loads_s += offer.load_s
        self._spend(offer.seconds)

    def put(self, group: Group, place: int) -> None:
        """Add one run, to the first batch with room or to a new one."""
        seconds = group.seconds(self.slot.gpu_type, place, place + 1)
        for batch in self._open[group.key]:
            has_room = batch.seconds + seconds <= self._options.batch_seconds_max + ROUNDING_S
            if has_room and batch.run_count < group.key.runs_max(self._options):
                batch.add(group, place, place + 1, seconds)
                self._spend(seconds)
                return
        load_s = self._load_s(group)
        batch = OpenBatch(group.key, self._most_load_s(group))
        batch.add(group, place, place + 1, seconds)
        self._open[group.key].append(batch)
        self._warm.add(group.key.files)
        self.loads_s += load_s
        self._spend(load_s + seconds)

    def _spend(self, seconds: float) -> None:
        self.end_s += seconds
        self.busy_s += seconds

    def _load_s(self, group: Group) -> float:
        return self._prices.load_s(group.key, self.slot.gpu_type, is_warm=group.key.files in self._warm)

    def _most_load_s(self, group: Group) -> float:
        """What counts for the length of a batch: the order in the end, or fewer controls, may let it find its files cold."""
        is_warm = group.key.files in self._warm_before and not group.is_widened
        return self._prices.load_s(group.key, self.slot.gpu_type, is_warm=is_warm)

    def _joins(self, group: Group, first: int, spare_s: float) -> tuple[tuple[tuple[OpenBatch, int, int], ...], int, float]:
        joins, position = [], first
        for batch in self._open.get(group.key, ()):
            room_s = min(spare_s, self._options.batch_seconds_max - batch.seconds)
            end = min(len(group.runs), position + group.key.runs_max(self._options) - batch.run_count)
            reached = group.reach(self.slot.gpu_type, position, end, room_s)
            if reached > position:
                joins.append((batch, position, reached))
                spare_s -= group.seconds(self.slot.gpu_type, position, reached)
                position = reached
        return tuple(joins), position, spare_s

    def _cuts(self, group: Group, position: int) -> Cuts:
        return group.cuts(
            self.slot.gpu_type,
            position,
            first_load_s=self._load_s(group),
            load_s=self._prices.load_s(group.key, self.slot.gpu_type, is_warm=True),
            most_load_s=self._most_load_s(group),
            options=self._options,
        )

    def _begin(self, group: Group, cuts: Cuts, offer: Offer) -> None:
        """All new batches but the last are full; the last may get more."""
        pairs = offer.full_count + (cuts.ends[offer.full_count] < offer.end)
        if not pairs:
            return
        self._warm.add(group.key.files)
        if pairs > 1:
            self._full.append((group, cuts, pairs - 1))
        first = cuts.ends[pairs - 1]
        samples_s = group.seconds(self.slot.gpu_type, first, offer.end)
        batch = OpenBatch(group.key, self._most_load_s(group))
        batch.add(group, first, offer.end, samples_s)
        self._open[group.key].append(batch)


@dataclass(frozen=True)
class Filling:
    """All slots filled."""

    lanes: Sequence[Lane]

    @property
    def end_s(self) -> float:
        """When the last slot that got something is done."""
        return max((lane.end_s for lane in self.lanes if lane.busy_s), default=0.0)

    @property
    def load_gpu_seconds(self) -> float:
        """GPU seconds spent on loads."""
        return sum(lane.loads_s * lane.slot.gpu_count for lane in self.lanes)

    @property
    def gpu_seconds(self) -> float:
        """GPU seconds in all."""
        return sum(lane.busy_s * lane.slot.gpu_count for lane in self.lanes)


def turn(batch: OpenBatch) -> tuple[bool, float, str]:
    """What joins the last batch comes first, then the batch with the oldest run."""
    queued_at_s, run_id = min((run.queued_at_s, run.run_id) for run in batch.runs())
    return not batch.is_tail, queued_at_s, run_id
