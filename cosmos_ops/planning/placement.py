"""Groups onto slots: for an end that is aimed at, fill the slots with as few loads as possible; then choose the best end.

What does not fit on any slot before the end is split, so an earlier end costs more loads. Each filling is weighed by the
goal, and small ones are improved by moving and swapping runs.
"""

from collections.abc import Sequence
from heapq import heapify, heappop, heappush

from cosmos_ops.planning.groups import Group, Prices
from cosmos_ops.planning.improvement import RUNS_MAX, Improvement
from cosmos_ops.planning.lanes import Filling, Lane, LaneStart, Offer
from cosmos_ops.planning.scores import Score, score
from cosmos_ops.planning.search import EFFORT_MAX, Search, effort
from cosmos_ops.planning.workloads import PlanOptions

STEP = 1.15
"""The factor by which the end is put off until one is found that can be kept."""
HALVINGS = 7
"""Of the span between that one and the last that could not."""
LATER = (1.01, 1.02, 1.05, 1.1, 1.15, 1.25, 1.4, 1.7, 2.0, 3.0)
"""Ends to try, as multiples of the earliest one."""
OFFERS_MAX = 40_000
"""Bounds the time for very many groups and slots: then fewer ends are tried."""
IMPROVED = 3
FOREVER = float("inf")


def placed(groups: Sequence[Group], starts: Sequence[LaneStart], prices: Prices, options: PlanOptions, *, tries: int) -> Filling:
    """All groups on slots, as well as the goal has it; `tries` bounds the time spent on improving."""
    used = sorted({lane for group in groups for lane in group.lanes})
    begin_s = min(starts[lane].free_s for lane in used)
    width = sum(starts[lane].slot.gpu_count for lane in used)

    def weigh(filling: Filling) -> Score:
        return score(
            options.goal,
            seconds=filling.end_s - begin_s,
            load_gpu_seconds=filling.load_gpu_seconds,
            gpu_seconds=filling.gpu_seconds,
            width=width,
        )

    found = _fillings(groups, starts, prices, options, begin_s)
    ranked = sorted(((weigh(filling), place) for place, filling in enumerate(found)))
    best = found[ranked[0][1]]
    if sum(len(group.runs) for group in groups) > RUNS_MAX:
        return best
    if effort(groups) <= EFFORT_MAX:
        return Search(groups, starts, prices, options, width=width).best(best)
    improvement = Improvement(groups, starts, prices, options, width=width, tries=tries)
    return min([best, *(improvement.improved(found[place]) for _, place in ranked[:IMPROVED])], key=weigh)


def _fillings(
    groups: Sequence[Group], starts: Sequence[LaneStart], prices: Prices, options: PlanOptions, begin_s: float
) -> list[Filling]:
    """Fillings for ends from the earliest that is found to one at which nothing has to be split."""

    def fill(seconds: float) -> bool:
        filling = _filled(groups, starts, prices, options, until_s=begin_s + seconds)
        if filling:
            found.append(filling)
        return filling is not None

    found: list[Filling] = []
    fill(FOREVER)
    share = min(1.0, OFFERS_MAX / ((len(groups) + len(starts)) * len(starts) * (HALVINGS + len(LATER))))
    low = _least_s(groups, starts, found[0], begin_s)
    high = low * STEP
    while not fill(high):
        low, high = high, high * STEP
    for _ in range(1 + round(share * HALVINGS)):
        middle = (low + high) / 2
        if fill(middle):
            high = middle
        else:
            low = middle
    for factor in LATER[:: round(1 / max(share, 1 / len(LATER)))]:
        fill(high * factor)
    return found


def _least_s(groups: Sequence[Group], starts: Sequence[LaneStart], whole: Filling, begin_s: float) -> float:
    """No filling is done within fewer seconds: the longest run takes that long, and so does all work on all slots."""
    used = {lane for group in groups for lane in group.lanes}
    least = sum(lane.busy_s for lane in whole.lanes) / len(used)
    for group in groups:
        longest = min(starts[lane].free_s + group.each[starts[lane].slot.gpu_type][0] for lane in group.lanes)
        least = max(least, longest - begin_s)
    return least


def _filled(
    groups: Sequence[Group], starts: Sequence[LaneStart], prices: Prices, options: PlanOptions, *, until_s: float
) -> Filling | None:
    """Slots filled so that all are done by then, or None where this way finds none."""
    lanes = [Lane(start, prices, options) for start in starts]
    heap = [(-group.sums[group.fastest][-1], place, 0) for place, group in enumerate(groups)]
    heapify(heap)
    while heap:
        _, place, first = heappop(heap)
        group = groups[place]
        end = len(group.runs)
        offers = [(lanes[lane], lanes[lane].offer(group, first, until_s)) for lane in group.lanes]
        lane, offer = _cheapest(offers, end) or max(offers, key=lambda pair: pair[1].end)
        if offer.end == first:
            return None
        lane.take(group, offer)
        if offer.end < end:
            heappush(heap, (-group.seconds(group.fastest, offer.end, end), place, offer.end))
    return Filling(lanes)


def _cheapest(offers: Sequence[tuple[Lane, Offer]], end: int) -> tuple[Lane, Offer] | None:
    """The slot that takes all for the fewest GPU seconds; among equal ones the one that has least room after it."""
    whole = [(lane, offer) for lane, offer in offers if offer.end == end]
    if not whole:
        return None
    return min(whole, key=lambda pair: (round(pair[1].seconds * pair[0].slot.gpu_count, 6), -pair[0].end_s - pair[1].seconds))
