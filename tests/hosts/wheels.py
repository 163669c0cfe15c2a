"""Wheels of the libraries that the preview program needs, at the locked versions, for the Python of the base image."""

import platform
import re
import subprocess
import sys
from pathlib import Path

from packaging.requirements import Requirement

from .cache import cached
from .debian import base_python_version

LOCK_FILE = Path(__file__).parents[2] / "requirements.lock"
NAMES = ("numpy", "opencv-python-headless", "av")
GLIBC_VERSIONS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_24", "manylinux2014")


def preview_wheels() -> Path:
    """Folder with the wheels and with requirements.txt, which has their hashes."""
    version = base_python_version()
    requirements = locked_requirements(LOCK_FILE.read_text(), python_version=version)
    key = (version, platform.machine(), requirements)
    return cached("wheels", key, lambda folder: _download(folder, requirements, python_version=version))


def locked_requirements(lock: str, *, python_version: str) -> str:
    """The lines of a lock file that pin these libraries for this Python, with their hashes and without their conditions."""
    environment = {"python_version": python_version, "python_full_version": f"{python_version}.0", "sys_platform": "linux"}
    chosen = []
    for pin in re.findall(r"(?m)^\S.*(?:\n +.*)*", lock):
        line, *hashes = re.split(r" *\\\n +", pin)
        requirement = Requirement(line) if re.match(r"[\w.-]+==", line) else None
        if requirement and requirement.name in NAMES and (not requirement.marker or requirement.marker.evaluate(environment)):
            chosen.append(" ".join([f"{requirement.name}{requirement.specifier}", *hashes]))
    return "\n".join([*chosen, ""])


def _download(folder: Path, requirements: str, *, python_version: str) -> None:
    folder.mkdir()
    (folder / "requirements.txt").write_text(requirements)
    platforms = [f"--platform={glibc}_{platform.machine()}" for glibc in GLIBC_VERSIONS]
    choice = ["--only-binary=:all:", "--no-deps", "--require-hashes", f"--python-version={python_version}", *platforms]
    command = [sys.executable, "-m", "pip", "download", *choice, "--requirement=requirements.txt", "--dest=."]
    done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=False)
    if done.returncode != 0:
        raise RuntimeError(f"pip cannot download the wheels: {done.stderr[-2000:]}")
