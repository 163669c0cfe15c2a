"""Queues for the benchmark of plans: named ones, and random ones that a formula bounds."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from cosmos_ops.planning import CostModel, SampleSize, Slot
from cosmos_ops.planning.costs import Coefficients
from tests.bench.rules import Request, noise_factors
from tests.planning.samples import a_signature, a_slot, a_workload

SETS = (("edge",), ("vis",), ("depth",), ("seg",), ("edge", "depth"), ("edge", "vis"), ("edge", "vis", "depth", "seg"))


def request(
    number: int,
    family: str,
    controls: tuple[str, ...],
    *,
    chunks: int = 1,
    steps: int = 35,
    seed: int = 1,
    process: tuple[tuple[str, int], ...] = (),
    queued_at_s: float = 0.0,
) -> Request:
    """One run. transfer1 takes the seed once for the process, the others for each sample; cosmos3 loads no controls."""
    if family == "transfer1":
        process = (*process, ("seed", seed), ("num_steps", steps))
    signature = a_signature(family=family, process=process).with_controls(() if family == "cosmos3" else controls)
    parts = {"cosmos3": 0, "transfer25": 1 if len(controls) == 1 else 4, "transfer1": len(controls)}[family]
    size = SampleSize(93 * chunks, chunks, steps, 2, len(controls), 0.35 if family == "cosmos3" else 1.0)
    run = a_workload(
        signature,
        run_id=f"rs_{number:05}",
        size=size,
        parts=parts,
        queued_at_s=queued_at_s,
        is_widenable=family == "transfer1",
    )
    return Request(run, (seed, steps, family, controls, process))


def one_signature() -> list[Request]:
    """128 distilled videos of one control."""
    return [request(n, "transfer25", ("edge",), steps=2) for n in range(128)]


def sixteen_signatures() -> list[Request]:
    """160 distilled videos in 16 settings of the process."""
    chance = random.Random(16)
    settings = [chance.randrange(16) for _ in range(160)]
    return [request(n, "transfer25", ("edge",), steps=2, process=(("setting", setting),)) for n, setting in enumerate(settings)]


def seed_sweep() -> list[Request]:
    """2 prompts with 48 seeds each."""
    return [request(n, "cosmos3", ("edge",), seed=n % 48, steps=20) for n in range(96)]


def seed_sweep_transfer1() -> list[Request]:
    """The same with 12 seeds, where the seed belongs to the process: only runs of one seed can share a load."""
    return [request(n, "transfer1", ("edge",), seed=n % 12, steps=10) for n in range(24)]


def long_tail() -> list[Request]:
    """Many short videos and a few very long ones."""
    chance = random.Random(4)
    chunks = [1] * 60 + [2] * 12 + [8] * 3 + [12]
    chance.shuffle(chunks)
    return [request(n, "transfer25", chance.choice(SETS[:3]), chunks=count, steps=4) for n, count in enumerate(chunks)]


def mixed_families() -> list[Request]:
    """Three families with all sets of controls, of different steps."""
    chance = random.Random(5)
    return [
        request(n, chance.choice(("transfer1", "transfer25", "cosmos3")), chance.choice(SETS), steps=chance.choice((10, 20)))
        for n in range(60)
    ]


def overlapping_controls() -> list[Request]:
    """A few runs of each set of controls, of a family that can be given more controls."""
    return [request(n, "transfer1", SETS[n % len(SETS)], steps=10) for n in range(28)]


def arrivals() -> list[Request]:
    """An hour of requests, 6 seconds apart on average: more than can be done at once."""
    chance = random.Random(6)
    now_s, requests = 0.0, []
    for n in range(600):
        now_s += chance.expovariate(1 / 6)
        controls, seed = chance.choice(SETS[:5]), chance.randint(1, 3)
        requests.append(request(n, "transfer25", controls, steps=2, seed=seed, queued_at_s=now_s))
    return requests


WORKLOADS: dict[str, tuple[Callable[[], list[Request]], tuple[str, ...]]] = {
    "one signature": (one_signature, ("H100",) * 4),
    "16 signatures": (sixteen_signatures, ("H100",) * 4),
    "seed sweep, cosmos3": (seed_sweep, ("H100",) * 4),
    "seed sweep, transfer1": (seed_sweep_transfer1, ("H100",) * 4),
    "long tail": (long_tail, ("H100",) * 4),
    "mixed families": (mixed_families, ("H100",) * 8),
    "overlapping controls": (overlapping_controls, ("H100",) * 2),
    "arrivals over time": (arrivals, ("H100",) * 4),
}


def slots_of(types: Sequence[str]) -> list[Slot]:
    return [a_slot(index=place, gpu_type=gpu_type) for place, gpu_type in enumerate(types)]


@dataclass(frozen=True)
class Row:
    """Runs, slots, signatures, seconds of load and of a sample."""

    runs: int
    slots: int
    signatures: int
    load_s: float
    sample_s: float

    @property
    def name(self) -> str:
        return (
            f"{self.runs} runs, {self.slots} slots, {self.signatures} signatures, load {self.load_s} s, sample {self.sample_s} s"
        )


FORMULA = (
    Row(100, 1, 4, 120, 450),
    Row(100, 1, 4, 120, 65),
    Row(100, 4, 4, 120, 450),
    Row(100, 8, 8, 120, 65),
    Row(400, 16, 6, 120, 264),
    Row(100, 4, 4, 60, 92),
)


@dataclass(frozen=True)
class Queue:
    requests: list[Request]
    slots: list[Slot]
    costs: CostModel
    row: Row

    def least_s(self, noise: float, seed: int) -> float:
        """One load, and all samples spread evenly."""
        samples = sum(noise_factors(self.requests, noise, seed).values()) * self.row.sample_s
        return self.row.load_s + samples / self.row.slots


def formula_queue(row: Row, seed: int) -> Queue:
    """Runs of random signatures, all there at the start."""
    chance = random.Random(seed)
    costs = CostModel({("transfer25", "H100"): Coefficients(start_s=0.0, load_base_s=row.load_s, call_s=row.sample_s)})
    requests = []
    for n in range(row.runs):
        made = request(n, "transfer25", ("edge",), process=(("setting", chance.randrange(row.signatures)),))
        requests.append(replace(made, run=replace(made.run, size=SampleSize(frames=1))))
    return Queue(requests, slots_of(("H100",) * row.slots), costs, row)
