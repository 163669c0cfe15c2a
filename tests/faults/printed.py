"""The matrix of faults as a table for people; `python -m tests.faults.printed > docs/faults.md` writes the page."""

PHASES = ("staging in", "starting", "computing", "staging out", "recording")
NOT_POSSIBLE = "-"
INTRODUCTION = """\
# What is survived

`make test` causes each of these faults at each phase of a run, on a real dockerd and a real sshd, and prints this matrix with
what it saw. `python -m tests.faults.printed > docs/faults.md` writes this page from the promises that the tests hold
(`tests/faults/matrix.py`, `tests/faults/test_worker.py`); do not edit it.

A cell says what became of the run; `-` stands where the fault cannot happen. Beyond the cell, after each fault no container
is left, nothing half-sent has a final name, every slot is free, the log of every run is home, and nothing was computed twice
unless the first computation was lost with its container. A host that does not answer in the middle of a job is waited for: the
run says `lost contact` and since when, and goes on when the host answers again. With the flow's process gone, `cosmos
reconcile` brings the results home; what had not been started is `failed` and may be run again.

What goes wrong beside the work harms no run: a folder or container that cannot be removed, a picture or an artifact that
cannot be written, a log that finds no place (a gap is said in it), a record of the run store that this version cannot read
(it is named and passed over). What a disk here refuses fails the one run whose files they are, and these stay on the host.
`tests/test_homecoming.py`, `tests/flows/test_unlucky_moments.py` and `tests/dispatching/test_what_is_passed_over.py` cause it.
"""


def lines(rows):
    """One line for each fault, with what became of the run in each phase."""
    table = [["fault", *PHASES], *([name, *(found.get(phase, NOT_POSSIBLE) for phase in PHASES)] for name, found in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]


def page():
    """All that is promised, in Markdown."""
    from tests.faults.matrix import FAULTS, WORKER_STOPPED

    head, *rest = lines([*((fault.name, fault.promised) for fault in FAULTS), WORKER_STOPPED])
    rule = " | ".join("---" for _ in head.split(" | "))
    return "\n".join([INTRODUCTION, *(f"| {line} |" for line in (head, rule, *rest)), ""])


if __name__ == "__main__":
    print(page(), end="")
