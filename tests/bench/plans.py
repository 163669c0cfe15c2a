"""How good plans are: against an exact optimum, against the predecessor's rule, over time, and how long 100,000 runs take.

The exact optimum is found by trying everything (`tests.bench.exact`). The predecessor grouped runs by equal settings and
controls, in the order of arrival, cut the groups into batches of a fixed size, and ran each batch in a container of its own.
"""

import random
import statistics
import time
import tracemalloc
from collections.abc import Sequence

from cosmos_ops.planning import PUBLISHED, Goal, Plan, PlanOptions, SampleSize, plan
from tests.bench import exact
from tests.bench.queues import FORMULA, WORKLOADS, formula_queue, slots_of
from tests.bench.rules import Ours, Predecessor, simulate
from tests.planning.samples import a_signature, a_slot, a_workload

INSTANCES = 1000
NEAR_GPU, NEAR_MAKESPAN = 1.01, 1.05
RUN_COUNT, SIGNATURE_COUNT, SLOT_COUNT = 100_000, 16, 32
SEEDS = 20
NOISE = 0.2


def main() -> None:
    """Print all tables."""
    small_instances()
    against_predecessor()
    against_formula()
    many_runs()


def small_instances() -> None:
    """At most 7 runs on at most 3 slots: each goal against the exact optimum of what it names."""
    gpu, makespan, bound, exact_bound = [], [], [], []
    for seed in range(INSTANCES):
        case = exact.random_case(random.Random(seed))
        thrifty = planned(case, Goal.GPU_SECONDS)
        gpu.append(thrifty.gpu_seconds / exact.fewest_gpu_seconds(case, thrifty.gpu_seconds))
        quick_s = planned(case, Goal.MAKESPAN).end_s or 0.0
        best_s = exact.shortest_makespan(case, quick_s)
        makespan.append(quick_s / best_s)
        bound.append(quick_s / exact.bound(case))
        exact_bound.append(best_s / exact.bound(case))
    print(f"{INSTANCES} random instances, at most 7 runs on at most 3 slots, different GPUs, some slots busy:")
    near("goal gpu_seconds: GPU seconds / exact optimum", gpu, NEAR_GPU)
    near("goal makespan: makespan / exact optimum", makespan, NEAR_MAKESPAN)
    near("goal makespan: makespan / lower bound", bound, NEAR_MAKESPAN)
    near("(the exact optimum itself / lower bound)", exact_bound, NEAR_MAKESPAN)


def planned(case: exact.Case, goal: Goal) -> Plan:
    return plan(case.runs, case.slots, PUBLISHED, now_s=0.0, options=PlanOptions(goal=goal, batch_seconds_max=case.seconds_max))


def near(what: str, ratios: Sequence[float], limit: float) -> None:
    met = sum(ratio <= limit + 1e-9 for ratio in ratios)
    print(
        f"    {what}: p50 {statistics.median(ratios):.3f}, p95 {statistics.quantiles(ratios, n=20)[18]:.3f}, "
        f"max {max(ratios):.3f}; {met} of {len(ratios)} within {limit}",
        flush=True,
    )


def against_predecessor() -> None:
    """GPU seconds and makespan of our rule, with each goal, and of the predecessor's with both of its batch sizes."""
    rules = {"batches of 4": Predecessor((4,)), "8, 4, 2 by controls": Predecessor((8, 4, 2))}
    rules |= {goal.value: Ours(PUBLISHED, PlanOptions(goal=goal)) for goal in Goal}
    gpu_seconds: dict[str, list[float]] = {name: [] for name in rules}
    print("GPU hours (makespan in hours) of the predecessor's rule, then of ours by goal:")
    print(f"    {'':24}" + "".join(f"{name:>22}" for name in rules))
    for name, (requests, slots) in WORKLOADS.items():
        cells = []
        for rule_name, rule in rules.items():
            done = simulate(requests(), slots_of(slots), PUBLISHED, rule)
            gpu_seconds[rule_name].append(done.gpu_seconds)
            cells.append(f"{done.gpu_seconds / 3600:.2f} ({done.end_s / 3600:.2f})")
        print(f"    {name:24}" + "".join(f"{cell:>22}" for cell in cells), flush=True)
    for theirs in list(rules)[:2]:
        for ours in list(rules)[2:]:
            ratio = sum(gpu_seconds[theirs]) / sum(gpu_seconds[ours])
            pairs = zip(gpu_seconds[ours], gpu_seconds[theirs], strict=True)
            worse = sum(mine > other * 1.000001 for mine, other in pairs)
            print(f"    {theirs} / {ours}: {ratio:.2f}x the GPU seconds in sum; ours worse on {worse} of {len(WORKLOADS)}")


def against_formula() -> None:
    """Makespan over load + samples / slots, which nobody can be below; the second time, samples take not what was expected."""
    for noise in (0.0, NOISE):
        print(f"Makespan / (load + samples / slots), {SEEDS} random queues each, seconds of samples off by up to {noise:.0%}:")
        for row in FORMULA:
            ours, single = [], []
            for seed in range(SEEDS):
                queue = formula_queue(row, seed)
                for ratios, rule in ((ours, Ours(queue.costs)), (single, Predecessor((1,)))):
                    done = simulate(queue.requests, queue.slots, queue.costs, rule, noise=noise, seed=seed)
                    ratios.append(done.end_s / queue.least_s(noise, seed))
            worst = max(mine / theirs for mine, theirs in zip(ours, single, strict=True))
            print(
                f"    {row.name}: median {statistics.median(ours):.3f}, worst {max(ours):.3f}; a container per run, first come "
                f"first served: median {statistics.median(single):.3f}; worst of ours / that {worst:.3f}",
                flush=True,
            )


def many_runs() -> None:
    """Time of one plan, then its memory in a second one, because watching memory takes time."""
    chance = random.Random(1)
    runs = [
        a_workload(
            a_signature(process=(("num_steps", n % SIGNATURE_COUNT),)),
            run_id=f"rs_{n:06}",
            size=SampleSize(93, chance.choice((1, 1, 2, 3)), chance.choice((20, 35)), 2, 1),
            queued_at_s=chance.random() * 1000,
        )
        for n in range(RUN_COUNT)
    ]
    slots = [a_slot(index=n) for n in range(SLOT_COUNT)]
    started, started_cpu = time.perf_counter(), time.process_time()
    batches = len(plan(runs, slots, PUBLISHED, now_s=1000.0).batches)
    seconds, cpu_s = time.perf_counter() - started, time.process_time() - started_cpu
    tracemalloc.start()
    plan(runs, slots, PUBLISHED, now_s=1000.0)
    peak_mib = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    print(
        f"{RUN_COUNT:,} runs of {SIGNATURE_COUNT} signatures on {SLOT_COUNT} slots: {batches:,} batches in {seconds:.2f} s "
        f"({cpu_s:.2f} s of CPU), peak {peak_mib:.0f} MiB beside the runs"
    )
