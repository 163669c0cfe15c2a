"""What a look at a host finds: a verdict, what was seen, and what to do about it."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from cosmos_ops.remote.ssh_host import DISK_FREE_MIN_BYTES, SSHHost
from cosmos_ops.remote.target import route_to

Verdict = Literal["ok", "warn", "fail", "skipped"]

DISK_FREE_WARN_BYTES = 20_000_000_000


@dataclass(frozen=True)
class Check:
    """What one look at a host found."""

    name: str
    verdict: Verdict
    detail: str
    remedy: str = ""
    """What to do about it; never empty for a failure."""


def ok(detail: str, *, name: str = "") -> Check:
    """All is well; without a name it gets that of its step."""
    return Check(name, "ok", detail)


def warn(detail: str, remedy: str, *, name: str = "") -> Check:
    """Jobs can run, but something should be seen to."""
    return Check(name, "warn", detail, remedy)


def fail(detail: str, remedy: str, *, name: str = "") -> Check:
    """Jobs cannot run, or not as they are meant to."""
    return Check(name, "fail", detail, remedy)


def changed(host: SSHHost, options: str = "") -> str:
    """The command that changes something about a host."""
    route = route_to(host.spec.target)
    command = f"cosmos host add {host.name} ssh://{route.user}@{host.spec.target.address}:{route.port} --replace {options}"
    return f"`{command.rstrip()}`"


def free_space(path: PurePosixPath, free_bytes: int, remedy: str) -> Check:
    """What so much room means for the work of a host."""
    detail = f"{free_bytes / 1e9:.1f} GB free under {path}"
    if free_bytes < DISK_FREE_MIN_BYTES:
        return fail(f"{detail}; jobs need at least {DISK_FREE_MIN_BYTES / 1e9:.1f} GB", remedy)
    return warn(detail, remedy) if free_bytes < DISK_FREE_WARN_BYTES else ok(detail)
