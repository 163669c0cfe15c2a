"""GPU slots: which one a container gets. The containers of the host themselves are the allocation; nothing else has to agree.

A container names its GPUs in a label from its creation on. Whoever wants a slot creates the container first and looks
around after: of two who create at the same time at least one sees the other, and gives way. So two never start.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cosmos_ops.remote.spec import Slot

GPUS_LABEL = "cosmos.gpus"
CREATED, ENDED = "created", ("exited", "dead")
START_LIMIT_S = 60.0
"""A container that was created and not started for longer belongs to somebody who died in between."""


@dataclass(frozen=True)
class Occupant:
    """A container that names GPUs."""

    name: str
    gpus: frozenset[int]
    state: str
    """As docker calls it: created, running, paused, restarting, removing, exited, dead."""
    created_at_s: float
    """Unix seconds by the clock of the host."""

    @property
    def is_over(self) -> bool:
        """Whether its GPUs are free again."""
        return self.state in ENDED


def gpus_text(slot: Slot) -> str:
    """The label of a slot."""
    return ",".join(str(gpu) for gpu in slot)


def read_gpus(label: str) -> frozenset[int]:
    """The GPUs of a label; none for one that is not ours."""
    return frozenset(int(part) for part in label.split(",") if part.strip().isdigit())


def rivals(name: str, slot: frozenset[int], occupants: Sequence[Occupant]) -> list[Occupant]:
    """Who else is on a slot."""
    return [other for other in occupants if other.name != name and not other.is_over and other.gpus & slot]


def large_enough(slots: Sequence[Slot], gpu_count: int) -> list[Slot]:
    """The slots with enough GPUs for a job, the smallest first, so that large ones stay free for large jobs."""
    return sorted((slot for slot in slots if len(slot) >= gpu_count), key=len)


def free_slot(slots: Sequence[Slot], occupants: Sequence[Occupant]) -> Slot | None:
    """The first slot that nobody is on."""
    return next((slot for slot in slots if not rivals("", frozenset(slot), occupants)), None)


def gives_way(name: str, others: Sequence[Occupant]) -> bool:
    """Whether a created container must go for its rivals: for one that runs always, else the smallest name stays."""
    return any(other.state != CREATED or other.name < name for other in others)


def abandoned(occupants: Sequence[Occupant], now_s: float) -> list[Occupant]:
    """Created long ago and never started."""
    return [one for one in occupants if one.state == CREATED and now_s - one.created_at_s > START_LIMIT_S]
