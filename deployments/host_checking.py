"""`cosmos host check`: the table of what was found, and what to do about it."""

import dataclasses
import json
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cosmos_ops.remote.findings import Check
from cosmos_ops.settings import Settings
from deployments.host_blocks import reach_prefect, ssh_host

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red", "skipped": "dim"}
PIPED_WIDTH = 1000
"""Wide enough that no line of a pipe is broken."""


def check_and_show(settings: Settings, name: str, *, as_json: bool) -> bool:
    """Check a host and print what was found.

    Returns:
        Whether nothing failed.
    """
    console = Console()
    if not console.is_terminal:
        console.width = PIPED_WIDTH
    reach_prefect(settings)
    checks = _checked(name, console if not as_json else None)
    is_well = all(check.verdict in ("ok", "warn") for check in checks)
    if is_well:
        _take_back(name)
    if as_json:
        print(json.dumps([dataclasses.asdict(check) for check in checks], indent=2, ensure_ascii=False))
    else:
        _print(console, name, checks, is_well)
    return is_well


def _checked(name: str, console: Console | None) -> list[Check]:
    from cosmos_ops.remote.checks import check_host
    from flows.hosts import LOCAL_FAMILIES

    with ssh_host(name) as host:
        found = check_host(host, needs_gpu=not host.spec.images.keys() <= LOCAL_FAMILIES)
        if console is None or not console.is_terminal:
            return list(found)
        checks = []
        with console.status(f"Checking {name} ...") as status:
            for check in found:
                checks.append(check)
                status.update(f"Checking {name}: {check.name} is {check.verdict} ...")
        return checks


def _take_back(name: str) -> None:
    """A host that was put aside and works again is used again."""
    from flows.workplace import records

    with records() as known:
        known.store.clear_faults(name)


def _print(console: Console, name: str, checks: Sequence[Check], is_well: bool) -> None:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for check in checks:
        table.add_row(check.name, Text(check.verdict, COLOURS[check.verdict]), Text(check.detail, overflow="fold"))
        if check.remedy:
            table.add_row("", "", Text(f"-> {check.remedy}", overflow="fold"))
    with console.capture() as captured:
        console.print(table)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))
    print(_verdict(name, checks, is_well))


def _verdict(name: str, checks: Sequence[Check], is_well: bool) -> str:
    counts = {verdict: sum(check.verdict == verdict for check in checks) for verdict in COLOURS}
    if is_well:
        return f"\nHost {name} is ready" + (f", with {counts['warn']} warnings." if counts["warn"] else ".")
    return f"\nHost {name} is not ready: {counts['fail']} failed, {counts['skipped']} not tried."
