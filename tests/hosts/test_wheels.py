"""The wheels of the preview program are those of the lock file."""

import docker
import pytest

from .images import BASE
from .wheels import LOCK_FILE, NAMES, locked_requirements, preview_wheels

pytestmark = pytest.mark.gpu_machines


@pytest.mark.parametrize("python_version", ["3.10", "3.11", "3.12", "3.13"])
def test_each_library_is_pinned_once_with_hashes(python_version):
    lines = locked_requirements(LOCK_FILE.read_text(), python_version=python_version).splitlines()
    assert sorted(line.partition("==")[0] for line in lines) == sorted(NAMES)
    assert all(" --hash=sha256:" in line and ";" not in line for line in lines)


def test_the_wheels_install_without_network_and_can_be_imported(machine):
    options = "--no-index --find-links=/wheels --require-hashes --requirement=/wheels/requirements.txt"
    command = ["sh", "-c", f"pip install --quiet {options} && python -c 'import av, cv2, numpy'"]
    mount = docker.types.Mount("/wheels", str(preview_wheels()), type="bind", read_only=True)
    machine.docker.containers.run(BASE, command, mounts=[mount], network_mode="none")
