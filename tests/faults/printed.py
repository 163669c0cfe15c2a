"""The matrix of faults as a table for people."""

PHASES = ("staging in", "starting", "computing", "staging out", "recording")
NOT_POSSIBLE = "-"


def lines(rows):
    """One line for each fault, with what became of the run in each phase."""
    table = [["fault", *PHASES], *([name, *(found.get(phase, NOT_POSSIBLE) for phase in PHASES)] for name, found in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
