"""So few runs that every way to spread them over the slots can be looked at."""

from collections import Counter
from collections.abc import Hashable, Sequence
from math import comb, prod

from cosmos_ops.planning.groups import Group, Prices, size_within
from cosmos_ops.planning.improvement import Atom, Load, Spreads, Worth
from cosmos_ops.planning.lanes import Filling, Lane, LaneStart, turn
from cosmos_ops.planning.widening import narrowed
from cosmos_ops.planning.workloads import PlanOptions

EFFORT_MAX = 600_000
"""With more the search would take more than some tenths of a second."""


def effort(groups: Sequence[Group]) -> int:
    """In how many ways the runs can be spread, those of one kind being as good as each other, times what each way takes.

    On each way all runs are placed, and each time a slot is filled with what it has.
    """
    ways = prod(
        comb(count + len(group.lanes) - 1, count)
        for group in groups
        for count in Counter(_kind(group, run) for run in range(len(group.runs))).values()
    )
    return ways * sum(len(group.runs) for group in groups) ** 2


class ExactSpreads(Spreads):
    """Counts for each batch only the controls that its runs have, where groups of different controls were put together."""

    def _refine(self, lane: Lane, place: int) -> None:
        start, gpu_type = self._starts[place], lane.slot.gpu_type
        batches = list(lane.batches())
        if not any(group.is_widened for batch in batches for group, _, _ in batch.pieces):
            return
        warm, loads_s, samples_s = set(start.warm), 0.0, 0.0
        for batch in sorted(batches, key=turn):
            key = batch.key if batch.is_tail else narrowed(batch)
            samples_s += sum(self._prices.sample_s(key, gpu_type, size_within(run, key)) for run in batch.runs())
            if not batch.is_tail:
                loads_s += self._prices.load_s(key, gpu_type, is_warm=key.files in warm)
            warm.add(key.files)
        lane.loads_s, lane.busy_s, lane.end_s = loads_s, loads_s + samples_s, start.free_s + loads_s + samples_s


class Search:
    """Depth first, the longest run first; a branch ends where what is placed is no better than the best way so far."""

    def __init__(
        self, groups: Sequence[Group], starts: Sequence[LaneStart], prices: Prices, options: PlanOptions, *, width: int
    ) -> None:
        self._groups = groups
        self._spreads = ExactSpreads(groups, starts, prices, options, width=width)
        self._twins = [self._twin_of(place, start) for place, start in enumerate(starts)]
        atoms = [(place, run) for place, group in enumerate(groups) for run in range(len(group.runs))]
        # Runs of one kind follow each other.
        self._atoms = sorted(
            atoms, key=lambda atom: (-_seconds(groups[atom[0]], atom[1]), atom[0], _controls(groups, atom), atom[1])
        )

    def best(self, known: Filling) -> Filling:
        """The best way of all; the one that is known, if none is better."""
        loads = self._spreads.loads_of(known)
        self._found: tuple[Worth, tuple[Load, ...]] = self._worth(loads), loads
        self._place(0, tuple(() for _ in loads), 0)
        return self._spreads.filling(self._found[1])

    def _place(self, number: int, loads: tuple[Load, ...], least: int) -> None:
        """Place one run after the others; `least` is the first slot that it may go to."""
        if number == len(self._atoms):
            self._found = self._worth(loads), loads
            return
        atom = self._atoms[number]
        group = self._groups[atom[0]]
        is_equal = number + 1 < len(self._atoms) and self._kind_at(number) == self._kind_at(number + 1)
        seen: set[Hashable] = set()
        for lane in group.lanes:
            # Empty slots of one kind are as good as each other, and so are runs of one kind.
            if lane < least or (not loads[lane] and self._twins[lane] in seen):
                continue
            if not loads[lane]:
                seen.add(self._twins[lane])
            extended = (*loads[:lane], tuple(sorted((*loads[lane], atom))), *loads[lane + 1 :])
            if self._worth(extended) < self._found[0]:
                self._place(number + 1, extended, lane if is_equal else 0)

    def _worth(self, loads: Sequence[Load]) -> Worth:
        """As good plans are weighed: here no step needs to lead over one that changes no score."""
        first, uneven, second = self._spreads.worth(loads)
        return first, second, uneven

    def _kind_at(self, number: int) -> tuple[int, Hashable]:
        place, run = self._atoms[number]
        return place, _kind(self._groups[place], run)

    def _twin_of(self, place: int, start: LaneStart) -> Hashable:
        takes = tuple(place in group.lanes for group in self._groups)
        return start.free_s, start.warm, start.tail, start.slot.gpu_type, start.slot.gpu_count, takes


def _kind(group: Group, run: int) -> Hashable:
    """In a group that was put together, runs with other controls are not as good as each other."""
    return group.runs[run].signature.controls, _seconds(group, run)


def _controls(groups: Sequence[Group], atom: Atom) -> tuple[str, ...]:
    return groups[atom[0]].runs[atom[1]].signature.controls


def _seconds(group: Group, run: int) -> float:
    return round(group.seconds(group.fastest, run, run + 1), 3)
