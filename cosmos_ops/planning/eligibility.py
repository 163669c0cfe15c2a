"""Which slots can take a run, and why none can."""

from collections.abc import Hashable, Sequence

from cosmos_ops.planning.workloads import Slot, Workload


def eligible_lanes(slots: Sequence[Slot], run: Workload) -> tuple[int, ...]:
    """Places of the slots that can take a run."""
    family = run.signature.family
    return tuple(
        place
        for place, slot in enumerate(slots)
        if slot.host == (run.host or slot.host)
        and family in slot.families
        and slot.gpu_count >= run.gpu_count
        and slot.memory_gb >= run.memory_gb
        and not slot.lacks(family, run.modes)
    )


class Lanes:
    """The slots that can take each of many runs; worked out once for runs that need the same."""

    def __init__(self, slots: Sequence[Slot]) -> None:
        self._slots = slots
        self._known: dict[Hashable, tuple[int, ...]] = {}

    def of(self, run: Workload) -> tuple[int, ...]:
        """Places of the slots that can take a run."""
        needs = run.signature.family, run.gpu_count, run.memory_gb, run.host, run.modes
        if needs not in self._known:
            self._known[needs] = eligible_lanes(self._slots, run)
        return self._known[needs]


def refusal(slots: Sequence[Slot], run: Workload) -> str:
    """Why no slot can take a run, and what to do."""
    family, host = run.signature.family, run.host
    there = [slot for slot in slots if slot.host == (host or slot.host)]
    if not there and host:
        return f"no GPU slot of the host {host} can be used; look at `cosmos host list`, or choose another host"
    able = [slot for slot in there if family in slot.families]
    if not able:
        where = f"the host {host} does not have" if host else "no host has"
        return f"{where} the image of {family}; set one up with `cosmos host setup {host or 'HOST'}`"
    wide = [slot for slot in able if slot.gpu_count >= run.gpu_count]
    if not wide:
        most = max(slot.gpu_count for slot in able)
        return f"it needs {run.gpu_count} GPUs, and the largest slot for {family} has {most}; choose fewer or a larger slot"
    big = [slot for slot in wide if slot.memory_gb >= run.memory_gb]
    if not big:
        most_gb = max(slot.memory_gb for slot in wide)
        return f"it needs {run.memory_gb:g} GB on each GPU, and the largest for {family} have {most_gb:g} GB; make it smaller"
    nearest = min(big, key=lambda slot: (len(slot.lacks(family, run.modes)), slot.host))
    lacking = nearest.lacks(family, run.modes)
    where = f"the host {host}" if host else "every host"
    return (
        f"{where} lacks model files of {family}; fetch them with `cosmos checkpoints download {nearest.host} --family {family}"
        + "".join(f" --mode {mode}" for mode in lacking)
        + "`"
    )
