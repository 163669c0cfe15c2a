"""Ports of the loopback device whose packets are dropped."""

import shlex
import subprocess
from pathlib import Path

MARK = "cosmos-tests:"


def block(port: int, folder: Path) -> None:
    """Drop all packets from and to a port, on behalf of the machine in this folder."""
    for side in ("--dport", "--sport"):
        packets = ["--in-interface", "lo", "--protocol", "tcp", side, str(port)]
        _iptables("--append", "INPUT", *packets, "--match", "comment", "--comment", f"{MARK}{folder}", "--jump", "DROP")


def rules(folder: Path) -> list[str]:
    """The rules of the machine in this folder, as iptables lists them."""
    mark = f"{MARK}{folder}"
    return [line for line in _iptables("--list-rules", "INPUT").splitlines() if mark in shlex.split(line)]


def unblock(folder: Path) -> None:
    for rule in rules(folder):
        _, *rest = shlex.split(rule)
        _iptables("--delete", *rest)


def _iptables(*arguments: str) -> str:
    done = subprocess.run(["iptables", "--wait", *arguments], capture_output=True, encoding="utf-8", check=True)
    return done.stdout
