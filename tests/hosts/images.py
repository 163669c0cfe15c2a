"""Images for tests, made without pulling: a Debian with Python, and busybox alone."""

import io
import os
import platform
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import docker

from . import leaks
from .cache import cached
from .machine import GPUMachine

BASE = "cosmos-test-base:latest"
"""Debian with python3, also as `python`, and pip."""
TINY = "cosmos-test-tiny:latest"
"""Nothing but busybox, for measurements: it starts as fast as a container can."""

PACKAGES = ("python3", "python3-pip")
# What no test reads; the rest is less than half as large.
LEFT_OUT = (
    *("var/cache/apt", "var/lib/apt/lists", "var/log", "usr/lib/python3*/EXTERNALLY-MANAGED", "**/__pycache__"),
    *(f"usr/share/{name}" for name in ("doc", "man", "locale", "info", "lintian")),
)
BUSYBOX_NAMES = ("sh", "cat", "echo", "env", "false", "ls", "mkdir", "sleep", "test", "touch", "true")


def image_store() -> Path:
    """The part of dockerd's folder that holds both images, as a real dockerd wrote it."""
    version = subprocess.run([shutil.which("dockerd") or "dockerd", "--version"], capture_output=True, check=True).stdout
    return cached("images", (version, base_image_tar().name, BUSYBOX_NAMES), _make_image_store)


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


def base_image_tar() -> Path:
    """The root file system of the base image; debootstrap makes it, once."""
    return cached(f"base-{_suite()}-{platform.machine()}", (PACKAGES, LEFT_OUT), _make_base_tar)


def base_python_version() -> str:
    """As `3.11`."""
    with tarfile.open(base_image_tar()) as tar:
        return next(member.name.partition("bin/python")[2] for member in tar if member.name.startswith("./usr/bin/python3."))


def load_base_image(client: docker.DockerClient, tag: str = BASE) -> None:
    changes = ["ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "ENV PIP_ROOT_USER_ACTION=ignore"]
    client.api.import_image_from_file(str(base_image_tar()), repository=tag, changes=changes)


def load_tiny_image(client: docker.DockerClient, tag: str = TINY) -> None:
    content = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder, tarfile.open(fileobj=content, mode="w") as tar:
        shutil.copy(shutil.which("busybox") or "/bin/busybox", folder)
        for name in BUSYBOX_NAMES:
            Path(folder, name).symlink_to("busybox")
        tar.add(folder, "bin")
    client.api.import_image_from_data(content.getvalue(), repository=tag, changes=["ENV PATH=/bin", 'CMD ["sh"]'])


def _suite() -> str:
    release = platform.freedesktop_os_release()
    return release["VERSION_CODENAME"] if release["ID"] == "debian" else "bookworm"


def _make_base_tar(tar: Path) -> None:
    root = tar.with_name("root")
    # The mounts that debootstrap makes are gone with the namespace, also when it is killed.
    command = ["unshare", "--mount", "debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", _suite(), str(root)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if done.returncode != 0:
        raise RuntimeError(f"debootstrap failed; it needs a Debian mirror: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    (root / "usr/bin/python").symlink_to("python3")
    for pattern in LEFT_OUT:
        for path in list(root.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    subprocess.run(["tar", "--create", "--numeric-owner", f"--file={tar}", f"--directory={root}", "."], check=True)


def _make_image_store(store: Path) -> None:
    machine = GPUMachine(leaks.new_folder(), "image-maker")
    try:
        machine.start()
        load_base_image(machine.docker)
        load_tiny_image(machine.docker)
        machine.stop_dockerd()
        store.mkdir()
        for name in ("image", "overlay2"):
            subprocess.run(["cp", "--archive", machine.docker_folder / name, store], check=True)
        os.sync()
    finally:
        machine.remove()
