"""How a GPU server is at this moment: all that `cosmos host check` looks at, the model files of its families, and its GPUs."""

from collections.abc import Sequence
from dataclasses import dataclass

from cosmos_ops.checkpoints import DEFAULT_MODES, MANIFEST, checkpoints_for
from cosmos_ops.errors import CosmosError, HostUnreachableError
from cosmos_ops.gpu_samples import GPU_SAMPLE_COMMAND, read_gpu_samples, summary
from cosmos_ops.remote.checkpoint_store import look, refusal
from cosmos_ops.remote.checks import check_host
from cosmos_ops.remote.findings import Check, Verdict, fail, ok
from cosmos_ops.remote.setup_record import SetupRecord
from cosmos_ops.remote.ssh_host import SSHHost

CONNECTION_CHECK = "ssh"
DISK_CHECK = "disk"
WORST_FIRST: tuple[Verdict, ...] = ("fail", "warn", "ok")


@dataclass(frozen=True)
class HostHealth:
    """What one look at a host found."""

    name: str
    checks: tuple[Check, ...]
    gpus: str = ""
    """What its GPUs do, a line for each."""

    @property
    def verdict(self) -> Verdict:
        """The worst of all checks."""
        found = {check.verdict for check in self.checks}
        return next((verdict for verdict in WORST_FIRST if verdict in found), "ok")

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, the worst first."""
        return tuple(
            f"{check.name}: {check.detail}" for verdict in ("fail", "warn") for check in self.checks if check.verdict == verdict
        )

    @property
    def disk(self) -> str:
        """How much room its workspace has."""
        return next((check.detail for check in self.checks if check.name == DISK_CHECK), "")


def health_of(host: SSHHost, *, needs_gpu: bool) -> HostHealth:
    """Look at a host; whatever is wrong with it is part of the answer."""
    checks = list(check_host(host, needs_gpu=needs_gpu))
    if any(check.name == CONNECTION_CHECK and check.verdict == "fail" for check in checks):
        return HostHealth(host.name, tuple(checks))
    families = [family for family in sorted(host.spec.images) if family in MANIFEST]
    checks += [_checkpoints(host, family) for family in families]
    return HostHealth(host.name, tuple(checks), _gpus(host))


def unwell(name: str, error: CosmosError) -> HostHealth:
    """The health of a host that cannot be looked at at all."""
    return HostHealth(name, (fail(str(error), f"`cosmos host show {name}`", name="block"),))


def _checkpoints(host: SSHHost, family: str) -> Check:
    name = f"model files {family}"
    modes: Sequence[str] = SetupRecord.read(host, family).modes or DEFAULT_MODES[family]
    try:
        found = look(host, checkpoints_for(family, modes))
    except CosmosError as error:
        return fail(str(error), "docs/hosts.md has the usual causes", name=name)
    words, _, remedy = refusal(found, host_name=host.name, family=family, modes=modes).partition("; ")
    if words:
        return fail(words.removeprefix(f"host {host.name}: "), remedy, name=name)
    return ok(f"{len(found)} files for {', '.join(modes)}", name=name)


def _gpus(host: SSHHost) -> str:
    try:
        return summary(read_gpu_samples(host.connection.run(GPU_SAMPLE_COMMAND).stdout, 0.0))
    except HostUnreachableError:
        return ""
