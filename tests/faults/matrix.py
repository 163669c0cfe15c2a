"""The faults, what causes each, and what is promised after it, phase by phase."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.hosts.machine import GPUMachine
from tests.remote.servers import host_key_of
from tests.store.postgresql import HOW_TO_INSTALL, binaries, running_server

from . import rig
from .rig import HeldFlow

COMPLETED = "completed"
TWICE = "completed, started twice"
EVERYWHERE = ("staging in", "starting", "computing", "staging out", "recording")
NOTHING: Mapping[str, str] = {}
BLOCKED_S = 20.0
STORE_AWAY_S = 5.0


Setting = Callable[[GPUMachine], AbstractContextManager[Mapping[str, Any]]]


@contextmanager
def as_it_is(machine: GPUMachine) -> Iterator[Mapping[str, Any]]:
    yield {}


def block(**values: Any) -> Setting:
    """A block that says something else than usual."""

    @contextmanager
    def setting(machine: GPUMachine) -> Iterator[Mapping[str, Any]]:
        yield values

    return setting


@dataclass(frozen=True)
class Fault:
    """One row of the matrix."""

    name: str
    promised: Mapping[str, str]
    """Phase to outcome; a phase that is not there cannot meet this fault."""
    cause: Callable[[GPUMachine, list[HeldFlow]], None]
    """Cause it while flows are held at the doors of their phases, let them go, and mend what is broken."""
    setting: "Setting" = as_it_is
    """What is so before the flows start and until they have ended; gives what the block of the host says of it."""
    orders: str = ""
    keeps_files: bool = False
    """Whether outputs that could not be brought home stay on the host."""
    is_killed: bool = False
    """Whether the flows' processes are gone afterwards, so that `reconcile` does the rest."""
    is_held: bool = True
    """Not if the fault is there from the start."""


def everywhere(outcome: str) -> dict[str, str]:
    return dict.fromkeys(EVERYWHERE, outcome)


def let_go(flows: list[HeldFlow]) -> None:
    for flow in flows:
        flow.let_go()


def nothing(machine: GPUMachine, flows: list[HeldFlow]) -> None:
    let_go(flows)


def kill_flows(machine: GPUMachine, flows: list[HeldFlow]) -> None:
    for flow in flows:
        flow.process.kill()
        flow.process.wait()
    rig.let_model_go(machine)


def cut_connections(machine: GPUMachine, flows: list[HeldFlow]) -> None:
    machine.kill_connections()
    let_go(flows)


def block_port(machine: GPUMachine, flows: list[HeldFlow]) -> None:
    with machine.blocked():
        let_go(flows)
        time.sleep(BLOCKED_S)


def restart_sshd(machine: GPUMachine, flows: list[HeldFlow]) -> None:
    machine.stop_sshd()
    machine.kill_connections()
    let_go(flows)
    machine.start_sshd()


def restart_dockerd_live(machine: GPUMachine, flows: list[HeldFlow]) -> None:
    machine.restart_dockerd(live_restore=True)
    let_go(flows)


def restart_dockerd(machine: GPUMachine, flows: list[HeldFlow]) -> None:
    machine.restart_dockerd(live_restore=False)
    for flow in flows:
        if flow.phase != "computing":
            flow.let_go()
    lost = next(flow.run.id for flow in flows if flow.phase == "computing")
    rig.wait_until(lambda: rig.starts(machine).count(lost) == 2, "the killed run is started again")
    let_go(flows)


def kill_containers(machine: GPUMachine, flows: list[HeldFlow]) -> None:
    for container in machine.containers():
        container.kill()
    rig.wait_until(lambda: len(rig.starts(machine)) == 2 * len(flows), "the killed run is started again")
    let_go(flows)


def remove_containers(machine: GPUMachine, flows: list[HeldFlow]) -> None:
    for container in machine.containers():
        container.remove(force=True)
    computing = sum(flow.phase == "computing" for flow in flows)
    rig.wait_until(lambda: len(rig.starts(machine)) == len(flows) + computing, "the removed container is replaced")
    let_go(flows)


def remove_image(machine: GPUMachine, flows: list[HeldFlow]) -> None:
    machine.docker.images.remove(rig.IMAGE, force=True)
    let_go(flows)


def until_lost(machine: GPUMachine, flows: list[HeldFlow]) -> None:
    """Nobody who cannot get in does anything to the runs; they say that contact is lost."""
    machine.kill_connections()
    for flow in flows:
        rig.wait_until(lambda flow=flow: flow.run.phase is not None and flow.run.phase.value == "lost contact", "contact is lost")
        assert flow.run.phase_since is not None
    assert len(machine.containers()) == len(flows)


def change_host_key(machine: GPUMachine, flows: list[HeldFlow]) -> None:
    with rig.other_host_key(machine):
        until_lost(machine, flows)
    let_go(flows)


def take_key_away(machine: GPUMachine, flows: list[HeldFlow]) -> None:
    with rig.no_keys_allowed(machine):
        until_lost(machine, flows)
    let_go(flows)


def close_socket(machine: GPUMachine, flows: list[HeldFlow]) -> None:
    mode = machine.docker_socket.stat().st_mode & 0o777
    machine.docker_socket.chmod(0o600)
    try:
        until_lost(machine, flows)
    finally:
        machine.docker_socket.chmod(mode)
    let_go(flows)


@contextmanager
def live_restore(machine: GPUMachine) -> Iterator[Mapping[str, Any]]:
    machine.restart_dockerd(live_restore=True)
    yield {}


@contextmanager
def clock_ahead(machine: GPUMachine) -> Iterator[Mapping[str, Any]]:
    machine.set_clock(offset_s=3600)
    yield {}


@contextmanager
def sshd_stopped(machine: GPUMachine) -> Iterator[Mapping[str, Any]]:
    machine.stop_sshd()
    yield {}


@contextmanager
def dockerd_stopped(machine: GPUMachine) -> Iterator[Mapping[str, Any]]:
    machine.stop_dockerd()
    try:
        yield {}
    finally:
        machine.start_dockerd()


@contextmanager
def changed_key(machine: GPUMachine) -> Iterator[Mapping[str, Any]]:
    known = host_key_of(machine)
    with rig.other_host_key(machine):
        yield {"host_key": known}


@contextmanager
def wrong_key(machine: GPUMachine) -> Iterator[Mapping[str, Any]]:
    yield {"key_path": str(machine.keys.stranger)}


def disk_of(size_mb: int) -> Setting:
    @contextmanager
    def setting(machine: GPUMachine) -> Iterator[Mapping[str, Any]]:
        with machine.small_disk(size_mb=size_mb) as path:
            yield {"workspace": str(path / "cosmos")}

    return setting


class StoreAway:
    """A run store on PostgreSQL that nobody reaches for a while."""

    @contextmanager
    def setting(self, machine: GPUMachine) -> Iterator[Mapping[str, Any]]:  # noqa: ARG002
        if (found := binaries()) is None:
            pytest.skip(HOW_TO_INSTALL)
        with running_server(found) as self.server, pytest.MonkeyPatch.context() as patch:
            patch.setenv("COSMOS_DATABASE_URL", self.server.new_database())
            yield {}

    def cause(self, machine: GPUMachine, flows: list[HeldFlow]) -> None:  # noqa: ARG002
        with self.server.away():
            let_go(flows)
            time.sleep(STORE_AWAY_S)


store_away = StoreAway()

FAULTS = (
    Fault("none", everywhere(COMPLETED), nothing),
    Fault(
        "flow process SIGKILLed, then reconcile",
        {**everywhere(COMPLETED), "staging in": "failed InterruptedRunError", "starting": "failed InterruptedRunError"},
        kill_flows,
        is_killed=True,
    ),
    Fault("SSH connection cut", everywhere(COMPLETED), cut_connections),
    Fault("SSH port blocked for 20 s", everywhere(COMPLETED), block_port),
    Fault("sshd restarted", everywhere(COMPLETED), restart_sshd),
    Fault(
        "dockerd restarted, live-restore",
        everywhere(COMPLETED),
        restart_dockerd_live,
        setting=live_restore,
    ),
    Fault("dockerd restarted, its containers with it", {**everywhere(COMPLETED), "computing": TWICE}, restart_dockerd),
    Fault("container killed from outside", {"computing": TWICE}, kill_containers),
    Fault(
        "container removed from outside",
        {"computing": TWICE, "staging out": COMPLETED, "recording": COMPLETED},
        remove_containers,
    ),
    Fault(
        "container out of memory",
        {"computing": "failed OutOfMemoryError"},
        nothing,
        setting=block(memory_gb=0.1),
        orders="order=oom",
    ),
    Fault("image missing", {"starting": "failed ImageMissingError"}, remove_image),
    Fault("output missing, exit code 0", {"computing": "failed OutputMissingError"}, nothing, orders="order=empty"),
    Fault(
        "output truncated, exit code 0", {"computing": "failed TransferError"}, nothing, orders="order=truncate", keeps_files=True
    ),
    Fault(f"run store away for {STORE_AWAY_S:.0f} s", everywhere(COMPLETED), store_away.cause, setting=store_away.setting),
    Fault("host key changed", {"computing": COMPLETED}, change_host_key),
    Fault("key no longer accepted", {"computing": COMPLETED}, take_key_away),
    Fault("docker permission taken away", {"computing": COMPLETED}, close_socket, setting=block(user="with-docker")),
    Fault(
        "clock of the host an hour ahead",
        everywhere(COMPLETED),
        nothing,
        setting=clock_ahead,
    ),
    Fault("host unreachable", {"staging in": "failed HostUnreachableError"}, nothing, setting=sshd_stopped, is_held=False),
    Fault("dockerd stopped", {"staging in": "failed HostUnreachableError"}, nothing, setting=dockerd_stopped, is_held=False),
    Fault("another host key", {"staging in": "failed HostKeyError"}, nothing, setting=changed_key, is_held=False),
    Fault("wrong key", {"staging in": "failed LoginRefusedError"}, nothing, setting=wrong_key, is_held=False),
    Fault(
        "no permission for docker",
        {"staging in": "failed DockerUnavailableError"},
        nothing,
        setting=block(user="without-docker"),
        is_held=False,
    ),
    Fault(
        "no such image",
        {"staging in": "failed ImageMissingError"},
        nothing,
        setting=block(images={"preview": "nobody/knows:it"}),
        is_held=False,
    ),
    Fault("disk of the host full", {"staging in": "failed DiskFullError"}, nothing, setting=disk_of(16), is_held=False),
    Fault(
        "disk of the host filled by the model",
        {"computing": "failed DiskFullError"},
        nothing,
        setting=disk_of(300),
        orders="order=fill",
        is_held=False,
    ),
)

WORKER_STOPPED = (
    "worker stopped (SIGTERM), then reconcile",
    {**everywhere(COMPLETED), "staging in": "failed InterruptedRunError", "starting": "failed InterruptedRunError"},
)
"""Its row is in `test_worker.py`, because a real worker starts the flows."""
