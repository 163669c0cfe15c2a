"""A `torchrun` without PyTorch: it starts a script or a module once for each rank, and ends as the real one does."""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from datetime import datetime
from types import FrameType

ROOM_S = 30
LINE = 60


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    command = [sys.executable, "-u", *(["-m"] if args.module else []), args.training_script, *args.training_script_args]
    workers = [subprocess.Popen(command, env=environment(args, rank)) for rank in range(args.nproc_per_node)]
    signal.signal(signal.SIGTERM, lambda number, frame: pass_on(workers, number, frame))
    failed = wait(workers)
    if failed is None:
        return 0
    close(workers, signal.SIGTERM)
    report(args.training_script, failed, workers[failed])
    return 1


def parser() -> argparse.ArgumentParser:
    """The arguments of torchrun that matter on one machine; each with dashes or underscores."""
    made = argparse.ArgumentParser("torchrun", description="Torch Distributed Elastic Training Launcher", allow_abbrev=False)
    for name, kind, default in (
        ("nproc-per-node", int, 1),
        ("nnodes", str, "1:1"),
        ("node-rank", int, 0),
        ("master-addr", str, "127.0.0.1"),
        ("master-port", int, 29500),
        ("max-restarts", int, 0),
        ("local-ranks-filter", str, ""),
    ):
        made.add_argument(*{f"--{name}", f"--{name.replace('-', '_')}"}, dest=name.replace("-", "_"), type=kind, default=default)
    made.add_argument("--standalone", action="store_true")
    made.add_argument("-m", "--module", action="store_true")
    made.add_argument("training_script")
    made.add_argument("training_script_args", nargs=argparse.REMAINDER)
    return made


def environment(args: argparse.Namespace, rank: int) -> dict[str, str]:
    """What a worker of the real torchrun finds in its environment."""
    return {
        **os.environ,
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(args.nproc_per_node),
        "LOCAL_WORLD_SIZE": str(args.nproc_per_node),
        "GROUP_RANK": str(args.node_rank),
        "ROLE_RANK": str(rank),
        "ROLE_NAME": "default",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        "MASTER_ADDR": args.master_addr,
        "MASTER_PORT": str(args.master_port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "TORCHELASTIC_MAX_RESTARTS": str(args.max_restarts),
        "TORCHELASTIC_RUN_ID": "none",
        "TORCH_NCCL_ASYNC_ERROR_HANDLING": "1",
        "TORCHELASTIC_ERROR_FILE": "/tmp/error.json",
    }


def wait(workers: list[subprocess.Popen[bytes]]) -> int | None:
    """Wait until all have ended well, or for the rank of the first that fails."""
    while True:
        codes = [worker.poll() for worker in workers]
        if any(codes):
            return next(rank for rank, code in enumerate(codes) if code)
        if None not in codes:
            return None
        time.sleep(0.05)


def close(workers: list[subprocess.Popen[bytes]], number: int) -> None:
    """End what still runs, at last by force."""
    for worker in (one for one in workers if one.poll() is None):
        say("W", "api.py:897", f"Sending process {worker.pid} closing signal {signal.Signals(number).name}")
        worker.send_signal(number)
    until = time.monotonic() + ROOM_S
    for worker in workers:
        try:
            worker.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()


def pass_on(workers: list[subprocess.Popen[bytes]], number: int, _frame: FrameType | None) -> None:
    """End the workers, then fail with the words of the real one."""
    close(workers, number)
    raise SystemExit(f"torch.distributed.elastic.multiprocessing.api.SignalException: Process {os.getpid()} got signal: {number}")


def report(script: str, rank: int, worker: subprocess.Popen[bytes]) -> None:
    """Print the table of the first failure on stderr."""
    code = worker.returncode
    say("E", "api.py:869", f"failed (exitcode: {code}) local_rank: {rank} (pid: {worker.pid}) of binary: {sys.executable}")
    why = "To enable traceback see: https://pytorch.org/docs/stable/elastic/errors.html"
    if code < 0:
        why = f"Signal {-code} ({signal.Signals(-code).name}) received by PID {worker.pid}"
    lines = [
        "Traceback (most recent call last):",
        '  File "/usr/local/bin/torchrun", line 8, in <module>',
        "    sys.exit(main())",
        "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: ",
        "=" * LINE,
        f"{script} FAILED",
        "-" * LINE,
        "Failures:",
        "  <NO_OTHER_FAILURES>",
        "-" * LINE,
        "Root Cause (first observed failure):",
        "[0]:",
        f"  time      : {datetime.now():%Y-%m-%d_%H:%M:%S}",
        f"  host      : {socket.gethostname()}",
        f"  rank      : {rank} (local_rank: {rank})",
        f"  exitcode  : {code} (pid: {worker.pid})",
        "  error_file: <N/A>",
        f"  traceback : {why}",
        "=" * LINE,
    ]
    print("\n".join(lines), file=sys.stderr, flush=True)


def say(level: str, place: str, text: str) -> None:
    stamp = f"{level}{datetime.now():%m%d %H:%M:%S.%f} {os.getpid()}"
    print(f"{stamp} torch/distributed/elastic/multiprocessing/{place}] {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
