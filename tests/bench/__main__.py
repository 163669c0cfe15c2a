"""Prints what the documents claim: `python -m tests.bench [PART ...]`; all parts if none is named.

The parts: local, regroup, server, transfers, plans, dispatch.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from cosmos_ops.job import ContainerSpec
from cosmos_ops.names import new_id
from cosmos_ops.operations.inference_preview import InferencePreview
from cosmos_ops.planning import regroup
from cosmos_ops.remote.local import LocalHost
from cosmos_ops.runs import Run
from deployments.environment import QUIET, SERVER

REPEATS = 30
RUN_COUNT = 100_000
SIGNATURE_COUNT = 16
NOTHING = ("-c", "print('done')")
# Prefect reads its environment when it is imported.
PREFECT = {**QUIET, **SERVER, "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL", "PREFECT_LOGGING_LEVEL": "INFO"}


def main() -> None:
    """Run all benchmarks."""
    parts = {
        "local": local,
        "regroup": regrouping,
        "server": run_server,
        "transfers": run_transfers,
        "plans": run_plans,
        "dispatch": run_dispatch,
    }
    for name in sys.argv[1:] or parts:
        parts[name]()


def local() -> None:
    """A job on this machine."""
    with tempfile.TemporaryDirectory() as folder:
        process_overhead(LocalHost(Path(folder)))


def run_server() -> None:
    """A simulated GPU server."""
    os.environ |= PREFECT
    from tests.bench import servers

    servers.run_all()


def run_transfers() -> None:
    """Files to and from a simulated GPU server."""
    from tests.bench import transfers

    transfers.main()


def run_plans() -> None:
    """Batches and where they run."""
    from tests.bench import plans

    plans.main()


def run_dispatch() -> None:
    """The shared queue on two simulated servers."""
    os.environ |= PREFECT
    from tests.bench import dispatch

    dispatch.main()


def process_overhead(host: LocalHost) -> None:
    """A job on the local host, start to exit known, against the same process started directly; interleaved."""
    direct, hosted = [], []
    for _ in range(REPEATS):
        direct.append(_seconds(lambda: subprocess.run([sys.executable, *NOTHING], check=True, capture_output=True)))
        hosted.append(_seconds(lambda: _run_on(host)))
    ratio = statistics.median(hosted) / statistics.median(direct)
    print(
        f"local job / plain process, {REPEATS} repeats: p50 {_ms(direct, 50)} -> {_ms(hosted, 50)} ({ratio:.2f}x), "
        f"p95 {_ms(direct, 95)} -> {_ms(hosted, 95)}"
    )


def regrouping() -> None:
    """Grouping many runs by control signature, with the memory that the process needed in all."""
    choices = [InferencePreview(smoothing_passes=n % 4, crf=20 + n // 4) for n in range(SIGNATURE_COUNT)]
    runs = [
        Run(prompt_id="ps", operation="inference", family="preview", params=choices[n % SIGNATURE_COUNT], request_key=str(n))
        for n in range(RUN_COUNT)
    ]
    batches = 0

    def group() -> None:
        nonlocal batches
        batches = len(regroup(runs))

    seconds = _seconds(group)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    batched = f"{RUN_COUNT:,} runs of {SIGNATURE_COUNT} signatures into {batches:,} batches"
    print(f"regroup {batched}: {seconds:.2f} s, peak {peak_mib:.0f} MiB")


def _run_on(host: LocalHost) -> None:
    name = new_id("bench")
    host.start(name, ContainerSpec(image="", argv=("python", *NOTHING), env={}), folder=PurePosixPath("jobs"), labels={})
    host.follow(name, on_line=lambda _: None, is_cancelled=lambda: False, stall_limit_s=60, grace_s=1)
    host.remove(name)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _ms(values: list[float], percentile: int) -> str:
    return f"{1000 * statistics.quantiles(values, n=100)[percentile - 1]:.0f} ms"


if __name__ == "__main__":
    main()
