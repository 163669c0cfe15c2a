"""What a GPU server costs beside the work itself: a job, an API call, a line of log, a look at many containers."""

import math
import re
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from uuid import UUID

from prefect import flow, get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
from prefect.runtime import flow_run
from prefect.testing.utilities import prefect_test_harness

from cosmos_ops.job import ContainerSpec, LogLine
from cosmos_ops.names import new_id
from cosmos_ops.remote.host import JOB_LABEL
from cosmos_ops.remote.ssh_host import SSHHost
from flows.tasks import LogShow
from tests.hosts import leaks
from tests.hosts.images import BASE, TINY, image_store, install_images
from tests.hosts.machine import GPUMachine
from tests.remote.servers import a_spec

REPEATS = 30
FOLDER = PurePosixPath("jobs/bench")
NOTHING = ContainerSpec(TINY, ("true",), {}, gpu_count=0)
MANY = 200
LINES = 200_000
SLOW_LINES = 200
LAST_LINES_S = 4.0
"""Prefect sends its log in batches, the last one after the flow."""


@contextmanager
def server() -> Iterator[tuple[GPUMachine, SSHHost]]:
    """A simulated server, and our host on it."""
    machine = GPUMachine(leaks.new_folder(), "bench")
    install_images(image_store(), machine)
    machine.start()
    machine.trust_host_key()
    with tempfile.TemporaryDirectory() as folder:
        host = SSHHost(a_spec(machine, Path(folder)))
        try:
            host.write(FOLDER / "spec", "")
            yield machine, host
        finally:
            host.close()
            machine.remove()


def run_all() -> None:
    """Print all figures of this page."""
    with server() as (machine, host):
        jobs(machine, host)
        calls(machine, host)
        many(machine, host)
        log_delay(host)
        log_lines(host)
        prefect_delay(host)


def jobs(machine: GPUMachine, host: SSHHost) -> None:
    """A job that does nothing: ours, Docker's own calls on the host, and `ssh host docker run` by hand; interleaved."""
    by_hand = [*machine.ssh_command(), "docker", "run", "--rm", "--network=none", TINY, "true"]
    ways: dict[str, Callable[[], object]] = {
        "docker's own": lambda: docker_job(machine),
        "ours": lambda: our_job(host),
        "ssh host docker run": lambda: subprocess.run(by_hand, check=True, capture_output=True),
    }
    times = interleaved(ways)
    for name in ("ours", "ssh host docker run"):
        compare(f"job: {name} / docker's own create+start+wait+remove", times[name], times["docker's own"])


def docker_job(machine: GPUMachine) -> None:
    container = machine.docker.containers.create(TINY, ["true"], network_mode="none")
    container.start()
    container.wait()
    container.remove()


def our_job(host: SSHHost) -> None:
    name = new_id("cosmos-jb")
    host.start(name, NOTHING, folder=FOLDER, labels={JOB_LABEL: name})
    host.follow(name, on_line=ignore, is_cancelled=lambda: False, stall_limit_s=60, grace_s=1)
    host.remove(name)


def calls(machine: GPUMachine, host: SSHHost) -> None:
    """One Docker API call through our connection, and on the host itself."""
    times = interleaved(
        {"ours": lambda: host.docker.api().ping(), "local": lambda: machine.docker.api.ping()}, repeats=10 * REPEATS
    )
    compare("docker API call: through SSH / on the host", times["ours"], times["local"])


def many(machine: GPUMachine, host: SSHHost) -> None:
    """Finding all containers of ours again, as after a restart."""
    for number in range(MANY):
        labels = {JOB_LABEL: f"jb_{number}"}
        machine.docker.containers.create(TINY, ["true"], labels=labels, network_mode="none")
    seconds = timed(lambda: host.find({}))
    print(f"finding {MANY} containers again: {seconds:.2f} s")
    machine.make_clean()
    host.write(FOLDER / "spec", "")


def log_delay(host: SSHHost) -> None:
    """From the moment a line is written in the container to the moment it is handed over."""
    code = f"import time\nfor _ in range({SLOW_LINES}): print('at', time.time(), flush=True); time.sleep(0.02)"
    delays = [arrived - float(words.group(1)) for words, arrived in followed(host, code) if words]
    quantiles = statistics.quantiles(delays, n=100)
    print(
        f"a line of log, container to us, {len(delays)} lines: p50 {1e3 * quantiles[49]:.0f} ms, p95 {1e3 * quantiles[94]:.0f} ms"
    )


def prefect_delay(host: SSHHost) -> None:
    """From the moment a line is written in the container to the moment the Prefect server shows it."""
    code = f"import time\nfor _ in range({SLOW_LINES}): print('at', time.time(), flush=True); time.sleep(0.02)"

    @flow
    def following() -> None:
        show = LogShow(get_run_logger())
        watcher = threading.Thread(target=seen_by, args=(flow_run.id,))
        watcher.start()
        followed(host, code, show.line)
        is_over.set()
        watcher.join()

    def seen_by(flow_run_id: str) -> None:
        with get_client(sync_client=True) as client:
            wanted = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[UUID(flow_run_id)]))
            until = math.inf
            while time.time() < until:
                for log in client.read_logs(wanted, limit=200, offset=len(seen)):
                    seen.setdefault(log.message, time.time())
                until = time.time() + LAST_LINES_S if is_over.is_set() and until == math.inf else until

    seen: dict[str, float] = {}
    is_over = threading.Event()
    with prefect_test_harness(server_startup_timeout=120):
        following()
    delays = [shown - float(message.split()[1]) for message, shown in seen.items() if message.startswith("at ")]
    print(f"a line of log, container to Prefect's server, {len(delays)} lines: p50 {_ms(delays, 50)}, p95 {_ms(delays, 95)}")


def log_lines(host: SSHHost) -> None:
    """As many lines as a container can write."""
    code = f"for number in range({LINES}): print('INFO line', number, 'x' * 80)"
    started = time.perf_counter()
    count = len(followed(host, code))
    seconds = time.perf_counter() - started
    print(f"log of {LINES:,} lines: {count:,} handed over in {seconds:.1f} s, {count / seconds:,.0f} lines/s")


def followed(
    host: SSHHost, code: str, show: Callable[[LogLine], None] = lambda _: None
) -> list[tuple[re.Match[str] | None, float]]:
    """The lines of a program and when they came."""
    lines: list[tuple[re.Match[str] | None, float]] = []
    name = new_id("cosmos-jb")

    def take(line: LogLine) -> None:
        lines.append((re.match(r"at ([\d.]+)", line.text), time.time()))
        show(line)

    host.remove_folder(FOLDER)
    spec = ContainerSpec(BASE, ("python", "-c", code), {}, gpu_count=0)
    host.start(name, spec, folder=FOLDER, labels={JOB_LABEL: name})
    host.follow(name, on_line=take, is_cancelled=lambda: False, stall_limit_s=60, grace_s=1)
    host.remove(name)
    return lines


def ignore(line: LogLine) -> None:
    """A line that nobody reads."""


def interleaved(ways: dict[str, Callable[[], object]], *, repeats: int = REPEATS) -> dict[str, list[float]]:
    """Seconds of each way, one after the other, so that a busy moment hits all of them."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()
    for _ in range(repeats):
        for name, way in ways.items():
            times[name].append(timed(way))
    return times


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def compare(what: str, ours: list[float], baseline: list[float]) -> None:
    """One line: both medians, their ratio, both 95th percentiles."""
    ratio = statistics.median(ours) / statistics.median(baseline)
    print(
        f"{what}, {len(ours)} repeats: p50 {_ms(baseline, 50)} -> {_ms(ours, 50)} ({ratio:.2f}x), "
        f"p95 {_ms(baseline, 95)} -> {_ms(ours, 95)}"
    )


def _ms(values: list[float], percentile: int) -> str:
    return f"{1000 * statistics.quantiles(values, n=100)[percentile - 1]:.1f} ms"
