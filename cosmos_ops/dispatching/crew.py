"""The hosts of a dispatch: who is there, what each can do, and what its slots are busy with; looked at in the background."""

import math
import threading
from collections.abc import Callable, Iterable, Mapping
from contextvars import copy_context
from dataclasses import dataclass, field, replace

from loguru import logger

from cosmos_ops.errors import CosmosError, as_ours
from cosmos_ops.log import tell
from cosmos_ops.planning.costs import ANY_GPU, CPU, gpu_type_of
from cosmos_ops.remote.host import GPU, JOB_LABEL, Host

LOOK_EVERY_S = 5.0
MIB_PER_GB = 1024

ModelMode = tuple[str, str]
"""Family and mode, which say what model files a run needs."""


@dataclass(frozen=True)
class Offer:
    """A host as it is known before anybody asks it."""

    name: str
    families: frozenset[str]
    """Families that may run there."""
    connect: Callable[[], Host]
    is_paused: bool = False
    """Whether it gets no new work."""
    mark: str = ""
    """Is another one when the host has to be connected anew."""


@dataclass(frozen=True)
class SlotFacts:
    """A GPU slot as its host told it."""

    gpu_type: str
    gpu_count: int
    memory_gb: float


@dataclass(frozen=True)
class Member:
    """A host as it was found at the last look."""

    offer: Offer
    host: Host
    slots: tuple[SlotFacts, ...] = ()
    busy: frozenset[str] = frozenset()
    """Jobs whose containers run there, whoever started them."""
    lacking: Mapping[ModelMode, str] = field(default_factory=dict)
    """What cannot run there for lack of model files, and why."""
    problem: str = "it was not looked at yet"
    """Why it gets no work; empty if it may."""
    was_seen: bool = False
    """Whether a look at it has ended, well or not."""
    is_gone: bool = False
    """Whether it is not among the hosts any more; its connection stays, because its last job may need it."""

    @property
    def name(self) -> str:
        """Name of the host."""
        return self.offer.name

    @property
    def is_usable(self) -> bool:
        """Whether it gets new work."""
        return not (self.problem or self.offer.is_paused or self.is_gone)


class Crew:
    """Keeps an eye on all hosts, each in a thread of its own, so that one that does not answer keeps nobody waiting."""

    def __init__(self, offers: Callable[[], Iterable[Offer]], on_change: Callable[[], None]) -> None:
        self._offers = offers
        self._on_change = on_change
        self._members: dict[str, Member] = {}
        self._wanted: frozenset[ModelMode] = frozenset()
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._look_now = threading.Condition()

    def start(self) -> None:
        """Read the offers once, then go on in the background."""
        self._read_offers()
        _in_background(self._keep_reading, "hosts")

    def close(self) -> None:
        """Stop looking, and close all connections."""
        self._is_over.set()
        self._look_soon()
        for member in self.members().values():
            member.host.close()

    def members(self) -> dict[str, Member]:
        """All hosts by name, as they are known now."""
        with self._lock:
            return dict(self._members)

    def want(self, models: frozenset[ModelMode]) -> None:
        """Say what is to run, so that the hosts are asked for the model files of it."""
        if models - self._wanted:
            self._wanted |= models
            self._look_soon()

    def _look_soon(self) -> None:
        with self._look_now:
            self._look_now.notify_all()

    def _keep_reading(self) -> None:
        while not self._is_over.wait(LOOK_EVERY_S):
            try:
                self._read_offers()
            except (CosmosError, OSError, RuntimeError) as error:
                logger.warning("The hosts could not be read, those of before stay: {}", error)

    def _read_offers(self) -> None:
        offers = {offer.name: offer for offer in self._offers()}
        for name, offer in offers.items():
            known = self.members().get(name)
            if known is None or known.offer.mark != offer.mark:
                self._add(offer)
            else:
                # Two functions are never equal.
                self._change(name, offer=replace(offer, connect=known.offer.connect), is_gone=False)
        for name in self.members().keys() - offers.keys():
            self._change(name, is_gone=True)

    def _add(self, offer: Offer) -> None:
        try:
            member = Member(offer, offer.connect())
        except CosmosError as error:
            logger.warning("Host {} is left out: {}", offer.name, error)
            return
        with self._lock:
            self._members[offer.name] = member
        _in_background(lambda: self._keep_looking(member), f"host {offer.name}")

    def _keep_looking(self, first: Member) -> None:
        name = first.name
        while not self._is_over.is_set() and self.members()[name].host is first.host:
            self._look(self.members()[name])
            with self._look_now:
                self._look_now.wait(LOOK_EVERY_S)

    def _look(self, member: Member) -> None:
        try:
            problem = "; ".join(member.host.health().problems)
            slots = member.slots or slot_facts(member.host)
            running = frozenset(one.labels.get(JOB_LABEL, one.name) for one in member.host.find({}) if one.exit is None)
            lacking = self._lacking(member)
            self._change(member.name, was_seen=True, problem=problem, slots=slots, busy=running, lacking=lacking)
        except Exception as error:  # noqa: BLE001
            if not isinstance(error, CosmosError):
                tell(error, "Host {} cannot be looked at: {}", member.name, error)
            self._change(member.name, was_seen=True, problem=str(as_ours(error)))

    def _lacking(self, member: Member) -> dict[ModelMode, str]:
        asked = [wanted for wanted in sorted(self._wanted) if wanted[0] in member.offer.families]
        found = {wanted: member.host.lacks(wanted[0], [wanted[1]]) for wanted in asked}
        return {wanted: why for wanted, why in found.items() if why}

    def _change(self, name: str, **values: object) -> None:
        with self._lock:
            before = self._members[name]
            self._members[name] = after = replace(before, **values)  # type: ignore[arg-type]
        if after != before:
            self._say(before, after)
            self._on_change()

    def _say(self, before: Member, after: Member) -> None:
        if after.problem and after.problem != before.problem:
            logger.warning("Host {} gets no work: {}", after.name, after.problem)
        elif before.problem and not after.problem:
            logger.info("Host {} is ready: {} slots", after.name, len(after.slots))


def left_out_of(members: Mapping[str, Member]) -> list[str]:
    """Why hosts get no work, as they were found at the last look."""
    found = {
        name: member.problem or f"it is paused; `cosmos host resume {name}` ends that"
        for name, member in sorted(members.items())
        if not member.is_usable
    }
    return [f"host {name} gets no work: {why}" for name, why in found.items() if not members[name].is_gone]


def slot_facts(host: Host) -> tuple[SlotFacts, ...]:
    """Ask a host for the GPUs of its slots; of one that nvidia-smi does not name nothing is known, so nothing is ruled out."""
    gpus = {gpu.index: gpu for gpu in host.gpus()}
    return tuple(_facts(slot, gpus) for slot in host.slots)


def _facts(slot: tuple[int, ...], gpus: Mapping[int, GPU]) -> SlotFacts:
    if not slot:
        return SlotFacts(CPU, 1, math.inf)
    there = [gpus[index] for index in slot if index in gpus]
    types = {gpu_type_of(gpu.name) for gpu in there}
    sizes = [gpu.memory_mib / MIB_PER_GB for gpu in there if gpu.memory_mib]
    return SlotFacts(types.pop() if len(types) == 1 else ANY_GPU, len(slot), min(sizes, default=math.inf))


def _in_background(work: Callable[[], None], name: str) -> None:
    """A thread that sees the settings of its starter, and never keeps the process from ending."""

    threading.Thread(target=copy_context().run, args=(work,), name=name, daemon=True).start()
