"""The exact optimum of small instances, found by trying every way to batch and place the runs; knows nothing of the planner."""

import random
from dataclasses import dataclass, replace

from cosmos_ops.planning import PUBLISHED, ModelFiles, SampleSize, Slot, Workload, makespan_bound
from tests.planning.samples import a_signature, a_slot, a_workload

TYPES = ("H100", "H100", "H100", "H200", "B200", "H20")
FAMILIES = ("transfer1", "transfer25", "cosmos3")
ROUNDING_S = 1e-6


@dataclass(frozen=True)
class Case:
    runs: tuple[Workload, ...]
    slots: tuple[Slot, ...]
    seconds_max: float


@dataclass
class Block:
    """A batch on a slot."""

    slot: int
    runs: list[Workload]

    @property
    def controls(self) -> tuple[str, ...]:
        return self.runs[0].signature.with_controls(c for run in self.runs for c in run.signature.controls).controls

    @property
    def files(self) -> ModelFiles:
        return ModelFiles(self.runs[0].model_name, self.controls)


def random_case(chance: random.Random) -> Case:
    """At most 7 runs of at most 4 signatures on at most 3 slots."""
    families = chance.sample(FAMILIES, chance.choice((1, 1, 2)))
    signatures = [random_signature(chance, chance.choice(families)) for _ in range(chance.randint(1, 4))]
    runs = []
    for number in range(chance.randint(1, 7)):
        signature = chance.choice(signatures)
        size = SampleSize(
            frames=121,
            chunks=chance.choice((1, 1, 2, 4)),
            steps=chance.choice((4, 20, 35)),
            calls_per_step=2,
            controls=max(1, len(signature.controls)),
            pixels=chance.choice((1.0, 1.0, 0.43)),
        )
        runs.append(
            a_workload(
                signature,
                run_id=f"rs_{number}",
                size=size,
                queued_at_s=-float(number),
                is_widenable=signature.family == "transfer1",
                memory_gb=chance.choice((40.0, 40.0, 70.0)),
            )
        )
    busy = chance.random() < 0.4
    slots = tuple(
        a_slot(
            index=number,
            gpu_type=chance.choice(TYPES),
            free_at_s=chance.choice((0.0, 300.0, 2000.0)) if busy else 0.0,
            memory_gb=80.0 if number == 0 else chance.choice((80.0, 80.0, 48.0)),
            warm=frozenset({ModelFiles(signatures[0].family, signatures[0].controls)}) if chance.random() < 0.3 else frozenset(),
        )
        for number in range(chance.randint(1, 3))
    )
    return Case(tuple(runs), slots, chance.choice((3600.0, 7200.0, 7200.0)))


def random_signature(chance: random.Random, family: str):
    controls = () if family == "cosmos3" else chance.sample(("depth", "edge", "vis"), chance.choice((1, 1, 2, 3)))
    process = (("seed", chance.choice((1, 1, 2))),)
    return a_signature(family=family, process=process).with_controls(controls)


def fewest_gpu_seconds(case: Case, known: float) -> float:
    """The fewest GPU seconds in which all runs can be done; `known` can be reached."""
    return _Search(case, known, lambda used: sum(used)).best


def shortest_makespan(case: Case, known: float) -> float:
    """The earliest time at which all runs can be done; `known` can be reached."""
    begin = [slot.free_at_s for slot in case.slots]
    return _Search(case, known, lambda used: max(b + u for b, u in zip(begin, used, strict=True) if u)).best


def bound(case: Case) -> float:
    """No plan is done before."""
    return makespan_bound(case.runs, case.slots, PUBLISHED, 0.0)


class _Search:
    """Depth first; a branch ends where even with warm loads it is no better than the best."""

    def __init__(self, case: Case, known: float, value) -> None:
        self.case = case
        self.best = known
        self.value = value
        self.blocks: list[Block] = []
        if known:
            self.place(0)

    def place(self, number: int) -> None:
        if self.value_of(all_warm=True) >= self.best - ROUNDING_S:
            return
        if number == len(self.case.runs):
            self.best = min(self.best, self.value_of(all_warm=False))
            return
        run = self.case.runs[number]
        for block in list(self.blocks):
            if self.may_join(block, run):
                block.runs.append(run)
                if self.is_short(block):
                    self.place(number + 1)
                block.runs.pop()
        for slot in range(len(self.case.slots)):
            if self.case.slots[slot].memory_gb >= run.memory_gb:
                self.blocks.append(Block(slot, [run]))
                self.place(number + 1)
                self.blocks.pop()

    def may_join(self, block: Block, run: Workload) -> bool:
        first = block.runs[0]
        ours, theirs = first.signature, run.signature
        if self.case.slots[block.slot].memory_gb < run.memory_gb:
            return False
        if ours == theirs:
            return all(other.signature == ours or run.is_widenable for other in block.runs)
        return run.is_widenable and first.is_widenable and replace(ours, controls=()) == replace(theirs, controls=())

    def is_short(self, block: Block) -> bool:
        # As the planner counts: a batch fits if it fits with the load that it has there.
        return self.seconds(block, is_warm=True) <= self.case.seconds_max + ROUNDING_S

    def samples_s(self, block: Block) -> float:
        of = PUBLISHED.of(block.runs[0].model_name, self.case.slots[block.slot].gpu_type)
        count = len(block.controls)
        return sum(of.sample_s(replace(run.size, controls=max(run.size.controls, count))) for run in block.runs)

    def seconds(self, block: Block, *, is_warm: bool) -> float:
        of = PUBLISHED.of(block.runs[0].model_name, self.case.slots[block.slot].gpu_type)
        return of.load_s(len(block.controls), is_warm=is_warm) + self.samples_s(block)

    def value_of(self, *, all_warm: bool) -> float:
        used = [0.0] * len(self.case.slots)
        warm = [set(slot.warm) for slot in self.case.slots]
        for block in self.blocks:
            used[block.slot] += self.seconds(block, is_warm=all_warm or block.files in warm[block.slot])
            warm[block.slot].add(block.files)
        return self.value(used) if self.blocks else 0.0
