"""A dispatcher on simulated servers, in a thread of the test, with plain calls instead of Prefect's tasks."""

import threading
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from cosmos_ops.dispatching.crew import Offer
from cosmos_ops.dispatching.dispatcher import Dispatched, Dispatcher, Report
from cosmos_ops.dispatching.work import PlainCarrier
from cosmos_ops.names import new_id
from cosmos_ops.queueing import enqueue
from cosmos_ops.remote.ssh_host import SSHHost
from cosmos_ops.results import ResultsFolder
from cosmos_ops.runs import VIDEO, Prompt, Run
from cosmos_ops.store import Store
from cosmos_ops.workplace import Records
from tests.builders import a_run, only
from tests.faults.rig import IMAGE, count_folder
from tests.hosts.machine import GPUMachine
from tests.remote.servers import a_spec

LIMIT_S = 120.0


def an_offer(machine: GPUMachine, folder: Path, *, is_paused: bool = False, load_s: float = 0.0, sample_s: float = 0.0, **values):
    """A simulated server with two slots and the simulated model of the family preview."""
    spec = a_spec(
        machine,
        folder,
        images={"preview": IMAGE},
        workspace=str(machine.workspace / "cosmos"),
        environment={"SIM_LOAD_S": str(load_s), "SIM_SAMPLE_S": str(sample_s)},
        mounts=(a_mount(machine),),
        **values,
    )
    return Offer(spec.name, frozenset(spec.images), partial(SSHHost, spec), is_paused=is_paused, mark=spec.name)


def a_mount(machine: GPUMachine):
    from cosmos_ops.remote.spec import Mount

    return Mount.read(f"{count_folder(machine)}:/count:rw")


@dataclass
class Dispatch:
    """A dispatcher in a thread."""

    place: Records
    offers: list[Offer]
    owner: str = "tests"
    give_up_s: float = 600.0
    report: Report = field(default_factory=Report)
    answer: Dispatched | None = None
    _stop: threading.Event = field(default_factory=threading.Event)

    def start(self) -> "Dispatch":
        self._dispatcher = Dispatcher(
            self.place,
            self.owner,
            offers=lambda: tuple(self.offers),
            carrier=lambda work: PlainCarrier(),
            is_stopping=self._stop.is_set,
            report=self.report,
            give_up_s=self.give_up_s,
        )
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def _run(self) -> None:
        self.answer = self._dispatcher.run()
        self._dispatcher.close()

    def wait(self, limit_s: float = LIMIT_S) -> Dispatched:
        self._thread.join(limit_s)
        assert self.answer is not None, f"the dispatch is still at work: {statuses(self.place.store)}"
        return self.answer

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(LIMIT_S)


def opened_records(store: Store, folder: Path) -> Records:
    results = ResultsFolder(folder)
    results.check()
    return Records(store, results)


def queue(place: Records, clip: Path, count: int = 1, *, controls=("vis",), text: str = "a street", **values: Any) -> list[Run]:
    """So many runs in the shared queue that may share a batch."""
    runs = []
    for number in range(count):
        prompt = place.store.add_prompt(Prompt(text=f"{text} number {number}", inputs={VIDEO: clip}))
        wanted = a_run(only(*controls), prompt_id=prompt.id, request_key=new_id("rq"), priority=values.get("priority", 0))
        runs.append(enqueue(place, wanted, {VIDEO: clip}, host=values.get("host", "auto"), then=values.get("then", ())))
    return runs


def statuses(store: Store) -> dict[str, str]:
    return {run.id: run.status.value for run in store.runs(limit=1000)}


def wait_until(is_true, what: str, limit_s: float = LIMIT_S) -> None:
    until = time.monotonic() + limit_s
    while not is_true():
        assert time.monotonic() < until, f"never seen: {what}"
        time.sleep(0.05)
