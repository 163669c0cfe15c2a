"""From a run in the shared queue to its container: with a dispatch at work that has free slots, and with none, so by event."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from prefect.settings import PREFECT_API_URL, temporary_settings

from cosmos_ops.dispatching.dispatcher import LEASE
from cosmos_ops.runs import Run
from cosmos_ops.store import Store
from tests.bench import dispatch_rig as rig
from tests.builders import opened_store
from tests.deployments.test_up import Up
from tests.faults.rig import let_model_go
from tests.hosts.machine import GPUMachine
from tests.media.videos import write_clip

REPEATS = 5
LIMIT_S = 180.0
HELD = "order=wait"


def show(machines: Sequence[GPUMachine], folder: Path) -> None:
    """Print both figures; the home folder is that of the environment."""
    home = Path(os.environ["COSMOS_HOME"])
    clip = write_clip(folder / "waking.mp4", frame_count=4, width=rig.WIDTH_PX, height=rig.HEIGHT_PX)
    up = Up(home, folder / "up.log")
    try:
        up.wait_until_serving()
        with temporary_settings({PREFECT_API_URL: up.api}):
            rig.save_hosts(machines, {"SIM_SCALE": "16"})
        with opened_store() as store:
            asleep = [_delay(store, clip) for _ in range(REPEATS) if _wait(lambda: store.holder(LEASE) is None, "no dispatch")]
            held = _submitted(store, clip, HELD)
            _wait(lambda: _started_at(store, held), "the run that keeps the dispatch at work")
            awake = [_delay(store, clip) for _ in range(REPEATS)]
            for machine in machines:
                let_model_go(machine)
            _wait(lambda: store.run(held.id).status.is_final, "the end of that run")
    finally:
        up.stop()
    print(f"queued to container running, {REPEATS} repeats: {_line('a dispatch at work', awake)}; {_line('none', asleep)}")


def _line(what: str, delays: Sequence[float]) -> str:
    return f"{what} p50 {statistics.median(delays):.1f} s (worst {max(delays):.1f})"


def _delay(store: Store, clip: Path) -> float:
    run = _submitted(store, clip, "a street")
    started_at = _wait(lambda: _started_at(store, run), "its container")
    _wait(lambda: store.run(run.id).status.is_final, "its end")
    return (started_at - run.created_at).total_seconds()


def _submitted(store: Store, clip: Path, text: str) -> Run:
    known = {run.id for run in store.runs(limit=1000)}
    file = clip.with_suffix(".yaml")
    file.write_text(f"text: {text}\ninput: {clip}\nfamily: {rig.FAMILY}\nstages: [inference]\ninference: {{num_steps: 2}}\n")
    command = [sys.executable, "-m", "deployments.cli", "submit", str(file)]
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = [run for run in store.runs(limit=1000) if run.id not in known]
    return run


def _started_at(store: Store, run: Run) -> datetime | None:
    job_id = store.run(run.id).job_id
    timing = store.job(job_id).timing if job_id is not None else None
    return timing.started_at if timing is not None else None


def _wait(seen: Callable[[], object], what: str):
    until = time.monotonic() + LIMIT_S
    while not (found := seen()):
        assert time.monotonic() < until, f"never seen: {what}"
        time.sleep(0.1)
    return found
