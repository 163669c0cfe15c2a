"""What takes long to make or needs the network is kept between test runs, in the cache folder of the user."""

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

KEPT_UNUSED_S = 30 * 24 * 3600


def cached(name: str, key: object, make: Callable[[Path], None]) -> Path:
    """Path of what `make` writes to the path that it gets; it is called only if that has not been made for this key."""
    folder = _folder()
    digest = hashlib.sha256(repr(key).encode()).hexdigest()[:12]
    path = folder / f"{name}-{digest}"
    # Two test runs that begin together make it once.
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            _make(path, make)
            _remove_unused(folder)
        os.utime(path)
    return path


def _folder() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cosmos-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _make(path: Path, make: Callable[[Path], None]) -> None:
    work = Path(tempfile.mkdtemp(prefix="making-", dir=path.parent))
    try:
        make(work / path.name)
        (work / path.name).rename(path)
    finally:
        shutil.rmtree(work)


def _remove_unused(folder: Path) -> None:
    for path in folder.iterdir():
        if path.suffix != ".lock" and path.stat().st_mtime < time.time() - KEPT_UNUSED_S:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
