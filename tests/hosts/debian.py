"""The root file system of the base image: a Debian with Python, made by debootstrap."""

import platform
import shutil
import subprocess
import tarfile
from pathlib import Path

from .cache import cached

PACKAGES = ("python3", "python3-pip")
# What no test reads; the rest is less than half as large.
LEFT_OUT = (
    *("var/cache/apt", "var/lib/apt/lists", "var/log", "usr/lib/python3*/EXTERNALLY-MANAGED", "**/__pycache__"),
    *(f"usr/share/{name}" for name in ("doc", "man", "locale", "info", "lintian")),
)


def base_image_tar() -> Path:
    """The root file system of the base image; debootstrap makes it, once."""
    return cached(f"base-{_suite()}-{platform.machine()}", (PACKAGES, LEFT_OUT), _make_base_tar)


def base_python_version() -> str:
    """As `3.11`."""
    with tarfile.open(base_image_tar()) as tar:
        return next(member.name.partition("bin/python")[2] for member in tar if member.name.startswith("./usr/bin/python3."))


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
