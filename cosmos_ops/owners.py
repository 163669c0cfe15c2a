"""Who carries a run out: a process, named so that another one can tell whether it still lives."""

import os
import platform

import psutil


def this_process() -> str:
    """The name of this process: machine, process id, and start in Unix seconds, because process ids come again."""
    return f"{platform.node()}/{os.getpid()}/{psutil.Process().create_time():.2f}"


def is_gone(owner: str) -> bool:
    """Whether the process is known to be gone; of a process on another machine nothing is known, so it is not."""
    rest, _, started_s = owner.rpartition("/")
    machine, _, process_id = rest.rpartition("/")
    if machine != platform.node() or not process_id.isdigit():
        return False
    try:
        process = psutil.Process(int(process_id))
        return abs(process.create_time() - float(started_s)) > 1.0 or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False
