"""A simulated server with the simulated model, and flows on it that are held at the door of a phase."""

import io
import json
import os
import subprocess
import tarfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from prefect.settings import PREFECT_API_URL

from blocks import GPUHost
from tests.builders import a_clip, recorded
from tests.hosts.images import BASE
from tests.hosts.machine import GPUMachine
from tests.remote.servers import host_key_of

from . import forks, gates
from .forks import Forked

IMAGE = "cosmos-test-model:latest"
MODEL = Path(__file__).with_name("model.py")
DOCKERFILE = f"FROM {BASE}\nCOPY model.py /opt/model/cosmos_ops/preview/__main__.py\nENV PYTHONPATH=/opt/model\n"
SLOTS = [[gpu] for gpu in range(8)]
PADDING_BYTES = 24_000_000
ROOT = Path(__file__).parents[2]


def give_model(machine: GPUMachine) -> None:
    """Build the image of the simulated model, if it is not there."""
    if machine.docker.images.list(IMAGE):
        return
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        for name, content in (("Dockerfile", DOCKERFILE.encode()), ("model.py", MODEL.read_bytes())):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    context.seek(0)
    machine.docker.images.build(fileobj=context, custom_context=True, tag=IMAGE, network_mode="none", rm=True, forcerm=True)


def save_block(machine: GPUMachine, name: str, **values) -> None:
    """Let the server know the machine under a name."""
    values = {
        "address": machine.address,
        "port": machine.port,
        "user": "root",
        "key_path": str(machine.keys.plain),
        "host_key": host_key_of(machine),
        "workspace": str(machine.workspace / "cosmos"),
        "slots": SLOTS,
        "images": {"preview": IMAGE},
        "mounts": [f"{count_folder(machine)}:/count:rw"],
        **values,
    }
    GPUHost(kind="ssh", **values).save(name, overwrite=True)


def count_folder(machine: GPUMachine) -> Path:
    folder = machine.workspace / "count"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o777)
    return folder


def starts(machine: GPUMachine) -> list[str]:
    """The runs that the model began to work on, once for each time."""
    path = count_folder(machine) / "started"
    return path.read_text().split() if path.exists() else []


def a_clip_for(phase: str, path: Path) -> Path:
    """A playable clip, which takes a moment to send where that is what is held: players skip what a `free` box holds."""
    a_clip(path, frame_count=4, width=64, height=48)
    if phase != "staging in":
        return path
    with path.open("ab") as file:
        file.write((PADDING_BYTES + 8).to_bytes(4, "big") + b"free" + os.urandom(PADDING_BYTES))
    return path


@dataclass
class HeldFlow:
    """A flow in a process of its own, at the door of a phase."""

    phase: str
    folder: Path
    process: subprocess.Popen | Forked
    text: str
    machine: GPUMachine = field(repr=False)

    def wait_until_held(self) -> None:
        until = time.monotonic() + gates.LIMIT_S
        while not self.is_held():
            assert self.process.poll() is None, f"{self.phase}: the flow ended early\n{self.log()}"
            assert time.monotonic() < until, f"{self.phase}: never reached\n{self.log()}"
            time.sleep(0.05)

    def is_held(self) -> bool:
        if self.phase == "computing":
            return self.run is not None and self.run.id in starts(self.machine)
        return (self.folder / "reached").exists()

    def let_go(self) -> None:
        (self.folder / "go").touch()
        let_model_go(self.machine)

    def answer(self) -> dict:
        """How the flow ended, once it has."""
        assert self.process.wait(timeout=gates.LIMIT_S) == 0, self.log()
        return json.loads((self.folder / "answer").read_text())

    @property
    def run(self):
        return next((run for run in recorded().runs if recorded().prompts[run.prompt_id].text == self.text), None)

    def log(self) -> str:
        answer = self.folder / "answer"
        return (self.folder / "output").read_text()[-4000:] + (answer.read_text() if answer.exists() else "")


def let_model_go(machine: GPUMachine) -> None:
    """Let every model that waits go on."""
    for job in (machine.workspace / "cosmos" / "jobs").glob("*"):
        # A job that is over may be removed at this moment.
        with suppress(FileNotFoundError):
            (job / "go").touch()


@contextmanager
def held_flow(phase: str, machine: GPUMachine, folder: Path, *, host: str, orders: str = "", neighbours=(), home=None):
    """Start a flow that will be held at the door of a phase; what is left of it is killed at the end.

    Its neighbours are texts of further prompts, which share its batch and come after it.
    """
    folder.mkdir(parents=True)
    clip = a_clip_for(phase, folder / "clip.mp4")
    if phase == "computing" and "order=" not in orders:
        orders = f"{orders} order=wait"
    text = f"{phase} of {folder.name} {orders}".strip()
    environment = {
        **os.environ,
        "PREFECT_API_URL": str(PREFECT_API_URL.value()),
        gates.FOLDER: str(folder),
        gates.PHASE: phase,
        **({"COSMOS_HOME": str(home)} if home else {}),
    }
    arguments = (host, str(clip), str(folder / "answer"), text, *neighbours)
    process = forks.start(arguments, environment=environment, folder=ROOT, output=folder / "output")
    try:
        yield HeldFlow(phase, folder, process, text, machine)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def outcome(run, started: list[str]) -> str:
    """What became of a run, as the matrix has it."""
    words = run.status.value if run.failure is None else f"{run.status.value} {run.failure.kind}"
    return f"{words}, started twice" if started.count(run.id) == 2 else words


def state_of(outcome: str) -> str:
    """The state of the flow run that ends so."""
    return "COMPLETED" if outcome.startswith("completed") else "FAILED"


def wait_until(is_true, what: str, limit_s: float = 90.0) -> None:
    until = time.monotonic() + limit_s
    while not is_true():
        assert time.monotonic() < until, f"never seen: {what}"
        time.sleep(0.05)


def assert_clean(machine: GPUMachine, *, may_resume: bool, keeps_files: bool = False) -> None:
    """No container of ours, no job folder, and nothing half-sent, unless a killed process left it for the next one."""
    containers = [(container.name, container.status, container.attrs["State"]) for container in machine.containers()]
    folder = machine.workspace / "cosmos"
    names = [name for name, stays in (("jobs", keeps_files), ("partials", may_resume)) if not stays]
    left = [path for name in names for path in (folder / name).glob("*")]
    assert (containers, left) == ([], []), (containers, left)


@contextmanager
def other_host_key(machine: GPUMachine):
    """The machine shows another host key inside."""
    files = {path: path.read_bytes() for path in (machine.folder / "ssh").glob("host_key*")}
    machine.change_host_key()
    machine.restart_sshd()
    try:
        yield
    finally:
        for path, content in files.items():
            path.write_bytes(content)
        machine.restart_sshd()
        machine.kill_connections()


@contextmanager
def no_keys_allowed(machine: GPUMachine):
    """Nobody can log in inside."""
    path = machine.folder / "ssh" / "authorized_keys"
    keys = path.read_text()
    path.write_text("")
    try:
        yield
    finally:
        path.write_text(keys)
