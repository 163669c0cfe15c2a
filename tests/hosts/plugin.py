"""Fixtures: two simulated GPU machines for each worker, clean for each test."""

import os
import shutil
import subprocess
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from . import leaks
from .images import image_store, install_images
from .machine import GPUMachine

NAMES = ("gpu-a", "gpu-b")
MARK = "gpu_machines"
"""Marks files whose tests use machines: `pytestmark = pytest.mark.gpu_machines`."""
LONG = "long"
PROGRAMS = ("dockerd", "containerd", "docker", "sshd", "ssh", "sudo", "debootstrap", "busybox", "iptables", "unshare", "nsenter")
HOW_TO_ENABLE = "so nothing is tested on GPU machines. As root on Debian: sh tests/install_system_packages.sh"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{MARK}: tests of simulated GPU machines; the build machine skips none")
    config.addinivalue_line("markers", f"{LONG}: long files without machines, for the time in which images are made")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, so that all workers end at about the same time; those with machines are the long ones.

    The first of these makes the images, for which all others would wait; so the other workers begin with files that need none.
    """
    first = next((item.path for item in items if item.get_closest_marker(MARK)), None)

    def turn(item: pytest.Item) -> int:
        if item.get_closest_marker(MARK):
            return 0 if item.path == first else 2
        return 1 if item.get_closest_marker(LONG) else 3

    items.sort(key=turn)


@pytest.fixture(scope="session")
def gpu_machines() -> Iterator[list[GPUMachine]]:
    """Two running machines with the images for tests, as the last test left them."""
    if reason := missing():
        pytest.skip(f"{reason}, {HOW_TO_ENABLE}")
    for folder in leaks.stale_folders():
        leaks.remove(folder)
    machines = [GPUMachine(leaks.new_folder(), name) for name in NAMES]
    with ExitStack() as stack:
        for machine in machines:
            stack.callback(machine.remove)
        store = image_store()
        with ThreadPoolExecutor() as threads:
            list(threads.map(lambda machine: set_up(machine, store), machines))
        yield machines


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_left() -> Iterator[None]:
    yield
    left = [found for folder in leaks.made for found in leaks.find(folder)]
    assert not left, f"Simulated machines left something behind: {left}"


@pytest.fixture
def _has_mark(request: pytest.FixtureRequest) -> None:
    if not request.node.get_closest_marker(MARK):
        pytest.fail(f"A file whose tests use machines needs the line: pytestmark = pytest.mark.{MARK}")


@pytest.fixture
def machines(_has_mark: None, gpu_machines: list[GPUMachine]) -> list[GPUMachine]:
    """Two machines as if they had just been set up."""
    for machine in gpu_machines:
        machine.make_clean()
    return gpu_machines


@pytest.fixture
def machine(_has_mark: None, gpu_machines: list[GPUMachine]) -> GPUMachine:
    """The first machine, as if it had just been set up."""
    gpu_machines[0].make_clean()
    return gpu_machines[0]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """On the build machine nothing that needs machines may be skipped."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and item.get_closest_marker(MARK) and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
    return report


def missing() -> str:
    """What keeps machines from running here, or nothing."""
    if os.getuid() != 0:
        return "You are not root"
    if absent := [name for name in PROGRAMS if not shutil.which(name, path=f"/usr/sbin:/sbin:{os.environ['PATH']}")]:
        return f"{', '.join(absent)} are missing"
    if subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True, check=False).returncode != 0:
        return "Root may not make namespaces here"
    return ""


def set_up(machine: GPUMachine, store: Path) -> None:
    install_images(store, machine)
    machine.start()
    machine.trust_host_key()
