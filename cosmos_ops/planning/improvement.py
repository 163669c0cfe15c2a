"""Small fillings made better by moving and swapping runs between slots, one step at a time."""

from collections.abc import Iterator, Sequence

from cosmos_ops.planning.groups import Group, Prices
from cosmos_ops.planning.lanes import Filling, Lane, LaneStart
from cosmos_ops.planning.scores import score
from cosmos_ops.planning.workloads import PlanOptions

RUNS_MAX = 120
"""With more runs the slots are even without it."""

PATIENCE = 12
"""So many steps in vain end the search."""

Atom = tuple[int, int]
"""A run: place of its group, place in the group."""
Load = tuple[Atom, ...]
"""The runs of one slot."""
Worth = tuple[float, float, float]


class Spreads:
    """Ways to spread runs over slots; each slot is filled once for each load that it gets."""

    def __init__(
        self, groups: Sequence[Group], starts: Sequence[LaneStart], prices: Prices, options: PlanOptions, *, width: int
    ) -> None:
        self._groups = groups
        self._starts = starts
        self._prices = prices
        self._options = options
        self._width = width
        self._begin_s = min(start.free_s for start in starts)
        self._lanes: dict[tuple[int, Load], Lane] = {}

    def loads_of(self, filling: Filling) -> tuple[Load, ...]:
        """The runs of each slot."""
        places = {id(group): place for place, group in enumerate(self._groups)}
        return tuple(
            tuple(
                sorted(
                    (places[id(group)], run)
                    for batch in lane.batches()
                    for group, first, end in batch.pieces
                    for run in range(first, end)
                )
            )
            for lane in filling.lanes
        )

    def filling(self, loads: Sequence[Load]) -> Filling:
        """The slots with these runs."""
        return Filling([self.lane(place, load) for place, load in enumerate(loads)])

    def lane(self, place: int, load: Load) -> Lane:
        """A slot with these runs."""
        known = self._lanes.get((place, load))
        if known is None:
            known = self._lanes[place, load] = Lane(self._starts[place], self._prices, self._options)
            for group, run in load:
                known.put(self._groups[group], run)
            self._refine(known, place)
        return known

    def _refine(self, lane: Lane, place: int) -> None:
        """Make the seconds of a slot more exact."""

    def worth(self, loads: Sequence[Load]) -> Worth:
        """The score; among equal ones, the more even the better, which leads over steps that change no score."""
        filling = self.filling(loads)
        first, second = score(
            self._options.goal,
            seconds=filling.end_s - self._begin_s,
            load_gpu_seconds=filling.load_gpu_seconds,
            gpu_seconds=filling.gpu_seconds,
            width=self._width,
        )
        uneven = sum((lane.end_s - self._begin_s) ** 2 for lane in filling.lanes)
        return first, round(uneven, 3), second


class Improvement:
    """The search for better fillings of the same runs on the same slots."""

    def __init__(
        self,
        groups: Sequence[Group],
        starts: Sequence[LaneStart],
        prices: Prices,
        options: PlanOptions,
        *,
        width: int,
        tries: int,
    ) -> None:
        self._groups = groups
        self._spreads = Spreads(groups, starts, prices, options, width=width)
        self._tries = tries
        """So many fillings may still be looked at."""

    def improved(self, filling: Filling) -> Filling:
        """The same runs, spread better. The best step is taken even if it makes things worse: a better one may follow."""
        loads = self._spreads.loads_of(filling)
        best, seen, vain = (self._worth(loads), loads), {loads}, 0
        while self._tries > 0 and vain < PATIENCE:
            steps = ((self._worth(other), other) for other in self._neighbours(loads) if other not in seen)
            worth, loads = min(steps, default=best)
            if loads in seen:
                break
            seen.add(loads)
            vain += 1
            if worth < best[0]:
                best, vain = (worth, loads), 0
        return self._spreads.filling(best[1])

    def _worth(self, loads: Sequence[Load]) -> Worth:
        self._tries -= 1
        return self._spreads.worth(loads)

    def _neighbours(self, loads: tuple[Load, ...]) -> Iterator[tuple[Load, ...]]:
        """Whole groups moved off any slot, and single runs of the slot that is done last moved or swapped."""
        ends = [(self._spreads.lane(place, load).end_s if load else 0.0, -place) for place, load in enumerate(loads)]
        last = -max(ends)[1]
        for source, load in enumerate(loads):
            groups = sorted({group for group, _ in load})
            units = [tuple(atom for atom in load if atom[0] == group) for group in groups]
            if source == last:
                units += [(atom,) for atom in self._distinct(load)]
            for unit in units:
                yield from self._moves(loads, source, unit)
                if source == last:
                    yield from self._swaps(loads, source, unit)

    def _moves(self, loads: tuple[Load, ...], source: int, unit: Load) -> Iterator[tuple[Load, ...]]:
        for target in self._groups[unit[0][0]].lanes:
            if target != source:
                yield _exchanged(loads, source, unit, target, ())

    def _swaps(self, loads: tuple[Load, ...], source: int, unit: Load) -> Iterator[tuple[Load, ...]]:
        for target in self._groups[unit[0][0]].lanes:
            if target == source:
                continue
            groups = sorted({group for group, _ in loads[target]})
            others = [tuple(atom for atom in loads[target] if atom[0] == group) for group in groups]
            for other in [*others, *((atom,) for atom in self._distinct(loads[target]))]:
                if source in self._groups[other[0][0]].lanes:
                    yield _exchanged(loads, source, unit, target, other)

    def _distinct(self, load: Load) -> list[Atom]:
        """One of each kind: runs of a group that take equally long are as good as each other."""
        kinds: dict[tuple[int, float], Atom] = {}
        for group, run in load:
            seconds = self._groups[group].seconds(self._groups[group].fastest, run, run + 1)
            kinds.setdefault((group, round(seconds, 3)), (group, run))
        return list(kinds.values())


def _exchanged(loads: tuple[Load, ...], source: int, unit: Load, target: int, other: Load) -> tuple[Load, ...]:
    given, got = set(unit), set(other)
    changed = list(loads)
    changed[source] = tuple(sorted([atom for atom in loads[source] if atom not in given] + list(other)))
    changed[target] = tuple(sorted([atom for atom in loads[target] if atom not in got] + list(unit)))
    return tuple(changed)
