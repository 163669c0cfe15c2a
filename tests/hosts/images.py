"""Images for tests, made without pulling: a Debian with Python, one with libraries as well, and busybox alone."""

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import docker

from . import leaks
from .cache import cached
from .debian import base_image_tar
from .machine import GPUMachine
from .wheels import preview_wheels

BASE = "cosmos-test-base:latest"
"""Debian with python3, also as `python`, and pip."""
LIBRARIES = "cosmos-test-libraries:latest"
"""The base image with NumPy and PyAV."""
TINY = "cosmos-test-tiny:latest"
"""Nothing but busybox, for measurements: it starts as fast as a container can."""

# The base image has nothing compiled, so that every start of Python in it compiles what it imports.
INSTALL_LIBRARIES = """\
python3 -m pip install --quiet --disable-pip-version-check --no-index --no-deps /wheels/numpy-*.whl /wheels/av-*.whl &&
python3 -m compileall -q /usr/lib/python3*
"""
BUSYBOX_NAMES = ("sh", "cat", "echo", "env", "false", "ls", "mkdir", "sleep", "test", "touch", "true")


def image_store() -> Path:
    """The part of dockerd's folder that holds the images, as a real dockerd wrote it."""
    version = subprocess.run([shutil.which("dockerd") or "dockerd", "--version"], capture_output=True, check=True).stdout
    key = (version, base_image_tar().name, preview_wheels().name, INSTALL_LIBRARIES, BUSYBOX_NAMES)
    return cached("images", key, _make_image_store)


def install_images(store: Path, machine: GPUMachine) -> None:
    """Give the images to a machine that has never been started.

    The layers stay in the store, because dockerd only reads them; this takes milliseconds, where importing takes seconds.
    """
    shutil.copytree(store / "image", machine.docker_folder / "image")
    shutil.copytree(store / "overlay2" / "l", machine.docker_folder / "overlay2" / "l", symlinks=True)
    for layer in (store / "overlay2").iterdir():
        if layer.name == "l":
            continue
        copy = machine.docker_folder / "overlay2" / layer.name
        copy.mkdir()
        (copy / "diff").symlink_to(layer / "diff")
        for path in layer.iterdir():
            if path.is_file():
                shutil.copy(path, copy)


def load_base_image(client: docker.DockerClient, tag: str = BASE) -> None:
    changes = ["ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "ENV PIP_ROOT_USER_ACTION=ignore"]
    client.api.import_image_from_file(str(base_image_tar()), repository=tag, changes=changes)


def make_libraries_image(client: docker.DockerClient) -> None:
    """Install the libraries into the base image, in one layer."""
    wheels = docker.types.Mount("/wheels", str(preview_wheels()), type="bind", read_only=True)
    container = client.containers.create(BASE, ["sh", "-c", INSTALL_LIBRARIES], mounts=[wheels], network_mode="none")
    container.start()
    if container.wait()["StatusCode"] != 0:
        raise RuntimeError(f"The libraries cannot be installed: {container.logs().decode()[-2000:]}")
    container.commit(repository=LIBRARIES, changes='CMD ["python3"]')
    container.remove()


def load_tiny_image(client: docker.DockerClient, tag: str = TINY) -> None:
    content = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder, tarfile.open(fileobj=content, mode="w") as tar:
        shutil.copy(shutil.which("busybox") or "/bin/busybox", folder)
        for name in BUSYBOX_NAMES:
            Path(folder, name).symlink_to("busybox")
        tar.add(folder, "bin")
    client.api.import_image_from_data(content.getvalue(), repository=tag, changes=["ENV PATH=/bin", 'CMD ["sh"]'])


def _make_image_store(store: Path) -> None:
    machine = GPUMachine(leaks.new_folder(), "image-maker")
    try:
        machine.start()
        load_base_image(machine.docker)
        make_libraries_image(machine.docker)
        load_tiny_image(machine.docker)
        machine.stop_dockerd()
        store.mkdir()
        for name in ("image", "overlay2"):
            subprocess.run(["cp", "--archive", machine.docker_folder / name, store], check=True)
        os.sync()
    finally:
        machine.remove()
