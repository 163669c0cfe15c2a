"""Plans to compare with: a container for each run, and the rule of the predecessor; first come, first served on the slots."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

from cosmos_ops.planning.costs import CostModel
from cosmos_ops.planning.eligibility import Lanes
from cosmos_ops.planning.workloads import ModelFiles, Slot, Workload

SIZES = (8, 4, 2)
"""Runs of a batch of the predecessor with one, two, and more controls, as its documents said."""


@dataclass(frozen=True)
class Baseline:
    """What another rule would make of the same runs on the same slots."""

    name: str
    gpu_seconds: float
    end_s: float
    """When its last batch is expected to end."""


def one_by_one(runs: Iterable[Workload], slots: Iterable[Slot], costs: CostModel, *, now_s: float) -> Baseline:
    """A container for each run, in the order of arrival."""
    return _Serving(slots, costs, now_s).served("one container per run", [[run] for run in by_arrival(runs)])


def predecessor(
    runs: Iterable[Workload],
    slots: Iterable[Slot],
    costs: CostModel,
    *,
    now_s: float,
    settings_of: Callable[[Workload], Hashable],
    sizes: Sequence[int] = SIZES,
) -> Baseline:
    """A container for each batch of the predecessor's rule.

    Args:
        runs: All of them, in any order.
        slots: Those that the plan has.
        costs: Those that the plan is made with.
        now_s: Before it nothing starts.
        settings_of: The settings by which the predecessor told runs apart: all but prompt and weights, so also the seed.
        sizes: Runs of a batch with one, two, and more controls; the last one holds for all that follow.
    """
    serving = _Serving(slots, costs, now_s)
    # What cannot run in one place cannot share a batch, whatever the rule says.
    batches = predecessor_batches(by_arrival(runs), lambda run: (settings_of(run), serving.lanes.of(run)), sizes)
    return serving.served("predecessor's rule", batches)


def predecessor_batches(
    runs: Iterable[Workload], settings_of: Callable[[Workload], Hashable], sizes: Sequence[int] = SIZES
) -> list[list[Workload]]:
    """Runs with equal settings and controls, in the order given, cut at a fixed size."""
    groups: dict[Hashable, list[Workload]] = defaultdict(list)
    for run in runs:
        groups[settings_of(run), run.signature].append(run)
    batches = []
    for alike in groups.values():
        size = sizes[min(max(1, len(alike[0].signature.controls)), len(sizes)) - 1]
        batches += [alike[first : first + size] for first in range(0, len(alike), size)]
    return batches


def by_arrival(runs: Iterable[Workload]) -> list[Workload]:
    """The oldest first."""
    return sorted(runs, key=lambda run: (run.queued_at_s, run.run_id))


class _Serving:
    """First come, first served: each batch on the slot that is free first."""

    def __init__(self, slots: Iterable[Slot], costs: CostModel, now_s: float) -> None:
        self._slots = sorted(slots, key=lambda slot: (slot.host, slot.index))
        self._costs = costs
        self._now_s = now_s
        self.lanes = Lanes(self._slots)

    def served(self, name: str, batches: Iterable[Sequence[Workload]]) -> Baseline:
        """All batches, one after the other; runs that no slot can take are left out, as in a plan."""
        free_s = [max(self._now_s, slot.free_at_s) for slot in self._slots]
        warm = [set(slot.warm) for slot in self._slots]
        gpu_seconds, end_s = 0.0, self._now_s
        for batch in batches:
            one = batch[0]
            lane = min(self.lanes.of(one), key=lambda lane: free_s[lane], default=None)
            if lane is None:
                continue
            files = ModelFiles(one.model_name, one.signature.controls)
            of = self._costs.of(one.model_name, self._slots[lane].gpu_type)
            samples_s = sum(of.sample_s(run.size, gpu_count=run.gpu_count) for run in batch)
            seconds = of.load_s(one.part_count, is_warm=files in warm[lane]) + samples_s
            warm[lane].add(files)
            free_s[lane] += seconds
            gpu_seconds += seconds * self._slots[lane].gpu_count
            end_s = max(end_s, free_s[lane])
        return Baseline(name, gpu_seconds, end_s)
