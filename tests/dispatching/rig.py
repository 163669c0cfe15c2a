"""A dispatcher on simulated servers, in a thread of the test, with plain calls instead of Prefect's tasks."""

import json
import pickle
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from cosmos_ops.dispatching.crew import Member, Offer
from cosmos_ops.dispatching.dispatcher import Dispatched, Dispatcher, Report
from cosmos_ops.dispatching.work import PlainCarrier
from cosmos_ops.names import new_id
from cosmos_ops.queueing import admitted
from cosmos_ops.remote.ssh_host import SSHHost
from cosmos_ops.results import ResultsFolder
from cosmos_ops.runs import VIDEO, Phase, Prompt, Run, RunStatus
from cosmos_ops.store import Store
from cosmos_ops.workplace import Records
from tests.builders import a_run, only
from tests.faults.rig import IMAGE, ROOT, count_folder, let_model_go, starts
from tests.hosts.machine import GPUMachine
from tests.remote.servers import a_spec

LIMIT_S = 120.0


def an_offer(machine: GPUMachine, folder: Path, *, is_paused: bool = False, load_s: float = 0.0, sample_s: float = 0.0, **values):
    """A simulated server with two slots and the simulated model of the family preview."""
    values = {"images": {"preview": IMAGE}, "workspace": str(machine.workspace / "cosmos"), **values}
    environment = {"SIM_LOAD_S": str(load_s), "SIM_SAMPLE_S": str(sample_s)}
    spec = a_spec(machine, folder, environment=environment, mounts=(a_mount(machine),), **values)
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
            carrier=lambda _: PlainCarrier(),
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

    def members(self) -> dict[str, Member]:
        """The hosts as the dispatcher knows them now."""
        return self._dispatcher._crew.members()

    def priorities(self) -> dict[str, int]:
        """The runs that wait, as the dispatcher knows them now."""
        return {one.run_id: one.priority for one in self._dispatcher._pending.ready(())}

    def has_lost_lease(self) -> bool:
        """Whether it knows of another dispatch."""
        return bool(self._dispatcher._another)

    def says_of(self, run: Run, *words: str) -> bool:
        """Whether all of these words are in the reasons for which a run waits."""
        return all(word in self._dispatcher._waiting.get(run.id, "") for word in words)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(LIMIT_S)


@dataclass
class DispatchProcess:
    """A dispatcher in a process of its own."""

    folder: Path
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, folder: Path, *offers: Offer) -> "DispatchProcess":
        folder.mkdir()
        (folder / "offers").write_bytes(pickle.dumps(offers))
        with (folder / "output").open("wb") as output:
            command = [sys.executable, "-m", "tests.dispatching.process", folder]
            return cls(folder, subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output))

    def kill(self) -> None:
        """SIGKILL, as the kernel does it that is out of memory."""
        self.process.kill()
        self.process.wait()

    def wait(self) -> dict[str, Any]:
        assert self.process.wait(LIMIT_S) == 0, (self.folder / "output").read_text()[-4000:]
        return json.loads((self.folder / "answer").read_text())


def opened_records(store: Store, folder: Path) -> Records:
    results = ResultsFolder(folder)
    results.check()
    return Records(store, results)


def queue(place: Records, clip: Path, count: int = 1, *, controls=("vis",), text: str = "a street", **values: Any) -> list[Run]:
    """So many runs in the shared queue that may share a batch."""
    runs = []
    for number in range(count):
        prompt = place.store.add_prompt(Prompt(text=f"{text} number {number}", inputs={VIDEO: clip}))
        params = values.get("params") or only(*controls)
        priority, family = values.get("priority", 0), values.get("family", "preview")
        wanted = a_run(params, prompt_id=prompt.id, request_key=new_id("rq"), priority=priority, family=family)
        runs.append(admitted(place, wanted, {VIDEO: clip}, host=values.get("host", "auto"), then=values.get("then", ())))
    return place.store.add_runs(runs)


def statuses(store: Store) -> dict[str, str]:
    return {run.id: run.status.value for run in store.runs(limit=1000)}


def wait_until(is_true, what: str, limit_s: float = LIMIT_S, *, pause_s: float = 0.05) -> None:
    until = time.monotonic() + limit_s
    while not is_true():
        assert time.monotonic() < until, f"never seen: {what}"
        time.sleep(pause_s)


def of(place: Records, run: Run) -> Run:
    """The run as it is recorded now."""
    return place.store.run(run.id)


def done(place: Records, runs: Iterable[Run]) -> bool:
    return {run.status for run in place.store.runs_of_ids(run.id for run in runs)} == {RunStatus.COMPLETED}


def all_starts(machines: Iterable[GPUMachine]) -> Counter[str]:
    """How often the model began to work on each run, wherever."""
    return Counter(run_id for machine in machines for run_id in starts(machine))


def containers(machine: GPUMachine) -> list[dict[str, Any]]:
    """All containers, as docker lists them; some may be gone a moment later."""
    return machine.docker.api.containers(all=True)


def is_at_work(machine: GPUMachine, *runs: Run) -> bool:
    return {run.id for run in runs} <= set(starts(machine))


@contextmanager
def no_sshd(machine: GPUMachine) -> Iterator[None]:
    """Nobody can reach the machine inside; its containers go on."""
    machine.stop_sshd()
    machine.kill_connections()
    try:
        yield
    finally:
        machine.start_sshd()


@contextmanager
def in_background(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Something that goes on inside, until the event is set that it is given."""
    over = threading.Event()
    thread = threading.Thread(target=work, args=(over,))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def letting_go(machines: Iterable[GPUMachine]):
    """Every model that waits goes on at once inside, whenever it was started."""

    def work(over: threading.Event) -> None:
        while not over.wait(0.1):
            for machine in machines:
                let_model_go(machine)

    return in_background(work)


def killing(machines: Iterable[GPUMachine], place: Records, run: Run):
    """The container that works on a run is killed from outside, each time that its work on it has been heard of."""

    def work(over: threading.Event) -> None:
        killed = 0
        while not over.wait(0.05):
            if of(place, run).phase is not Phase.SAMPLING:
                continue
            for machine in machines:
                for found in containers(machine) if all_starts(machines)[run.id] > killed else ():
                    if run.id in found["Labels"]["cosmos.runs"] and found["State"] == "running":
                        machine.docker.api.kill(found["Id"])
                        killed += 1

    return in_background(work)
