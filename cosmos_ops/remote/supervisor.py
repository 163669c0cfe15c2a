"""Runs one plain process as if it were a container: `python -m cosmos_ops.remote.supervisor FOLDER`.

The folder holds `container.json` (what to run). Written here: `lock` (held while the process lives), `pid`, `log`
(stdout and stderr), `exit.json` (last, by rename). The process that started this one may die; nothing here ends with it.
"""

import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path

CONTAINER = "container.json"
LOCK = "lock"
PID = "pid"
LOG = "log"
EXIT = "exit.json"
LOCK_TRIES = 50
LOCK_PAUSE_S = 0.01


def supervise(folder: Path) -> None:
    """Run the container of a folder to its end; does nothing if somebody else does so or has done so."""
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    if not _is_locked_by_us(lock):
        return
    if (folder / PID).exists():
        # It ran before: a second run of the same container would be work done twice.
        return
    container = json.loads((folder / CONTAINER).read_text(encoding="utf-8"))
    code = _run(folder, container, lock)
    _write(folder / EXIT, json.dumps({"code": 128 - code if code < 0 else code}))


def is_alive(folder: Path) -> bool:
    """Whether the process of a folder, or its supervisor, lives: the kernel lets go of the lock when both are gone."""
    try:
        lock = os.open(folder / LOCK, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _is_locked_by_us(lock: int) -> bool:
    # Whoever asks `is_alive` holds the lock for a moment, so one refusal proves nothing.
    for _ in range(LOCK_TRIES):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(LOCK_PAUSE_S)
        else:
            return True
    return False


def _run(folder: Path, container: dict[str, object], lock: int) -> int:
    argv, env = container["argv"], container["env"]
    assert isinstance(argv, list)
    assert isinstance(env, dict)
    with (folder / LOG).open("ab") as log:
        try:
            # The child inherits the lock, so that it counts as alive even if this supervisor is killed.
            process = subprocess.Popen(
                argv, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, pass_fds=(lock,)
            )
        except OSError as error:
            log.write(f"ERROR cannot start {argv[0]}: {error.strerror}\n".encode())
            return 127
        _write(folder / PID, str(process.pid))
        return process.wait()


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


if __name__ == "__main__":
    supervise(Path(sys.argv[1]))
