"""Processes of their own for flows, forked from one that has imported everything: imports take longer than most flows here."""

import atexit
import multiprocessing
import os
import subprocess
from collections.abc import Callable, Mapping
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path

from prefect.settings import PREFECT_API_URL

from . import orchestrator

IMPORTED = ["flows.inference", "flows.cancellation", "flows.tasks", "tests.builders", "tests.faults.orchestrator"]


class Forked:
    """A forked process, with the methods of `subprocess.Popen` that tests call."""

    def __init__(self, process: BaseProcess) -> None:
        self._process = process

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0)
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()

    def send_signal(self, number: int) -> None:
        if self._process.pid and self.poll() is None:
            os.kill(self._process.pid, number)


def start(arguments: tuple[str, ...], *, environment: Mapping[str, str], folder: Path, output: Path) -> Forked:
    """Start what `python -m tests.faults.orchestrator` does with these arguments."""
    context = multiprocessing.get_context("forkserver")
    process = context.Process(target=_run, args=(arguments, dict(environment), folder, output))
    _within_its_environment(process.start)
    return Forked(process)


def _within_its_environment(call: Callable[[], None]) -> None:
    """The first start starts the server that forks, in which Prefect reads its settings when it is imported."""
    forkserver.set_forkserver_preload(IMPORTED)
    before = os.environ.get("PREFECT_API_URL")
    os.environ["PREFECT_API_URL"] = str(PREFECT_API_URL.value())
    try:
        call()
    finally:
        if before is None:
            del os.environ["PREFECT_API_URL"]
        else:
            os.environ["PREFECT_API_URL"] = before


def _run(arguments: tuple[str, ...], environment: Mapping[str, str], folder: Path, output: Path) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    with output.open("wb") as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
    orchestrator.main(*arguments)
    # Other than an interpreter that ends, a fork of this kind leaves these out.
    atexit._run_exitfuncs()
