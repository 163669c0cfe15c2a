"""Holds a flow at the door of a phase until the test lets it go: all that happens is real, only the moment is chosen."""

import os
import time
from functools import wraps
from pathlib import Path

from cosmos_ops import homecoming
from cosmos_ops.remote import ssh_host
from cosmos_ops.remote.host import ignore_bytes

PHASES = ("staging in", "starting", "computing", "staging out", "recording")
FOLDER, PHASE = "COSMOS_TEST_GATE_FOLDER", "COSMOS_TEST_GATE_PHASE"
LIMIT_S = 180.0


class Gate:
    """Two files: `reached` is made by the flow, `go` by the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def hold(self):
        if (self.folder / "reached").exists():
            return
        (self.folder / "reached").touch()
        self.wait_for("go")

    def wait_for(self, name):
        until = time.monotonic() + LIMIT_S
        while not (self.folder / name).exists():
            assert time.monotonic() < until, f"nobody made {self.folder / name}"
            time.sleep(0.02)


def install():
    """Put the gate that the environment names where its phase begins; computing is held by the model itself."""
    if PHASE not in os.environ:
        return
    gate, phase = Gate(Path(os.environ[FOLDER])), os.environ[PHASE]
    if phase == "recording":
        homecoming.record = held(gate, homecoming.record)
        return

    class Held(ssh_host.SSHHost):
        def put(self, files, *, on_sent=ignore_bytes):
            def sent(count):
                on_sent(count)
                if count and phase == "staging in":
                    gate.hold()

            return super().put(files, on_sent=sent)

        if phase == "starting":
            start = held(gate, ssh_host.SSHHost.start)
        if phase == "staging out":
            get = held(gate, ssh_host.SSHHost.get)

    ssh_host.SSHHost = Held


def held(gate, function):
    @wraps(function)
    def behind_the_gate(*arguments, **options):
        gate.hold()
        return function(*arguments, **options)

    return behind_the_gate
