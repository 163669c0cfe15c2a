"""What `cosmos host check` looks at: each look by itself, none that cannot succeed because of an earlier one."""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import paramiko

from cosmos_ops.errors import CosmosError, HostKeyError, HostUnreachableError, LoginRefusedError
from cosmos_ops.job import InputFile
from cosmos_ops.remote import docker_checks
from cosmos_ops.remote.files import sha256_of
from cosmos_ops.remote.findings import Check, changed, fail, free_space, ok, warn
from cosmos_ops.remote.foreign import translated
from cosmos_ops.remote.host import Fetch
from cosmos_ops.remote.ssh_host import SSHHost
from cosmos_ops.remote.target import route_to

Look = Callable[[SSHHost], Iterator[Check]]

PROBE_BYTES = 1 << 20
ROUND_TRIPS = 5
SKEW_WARN_S, SKEW_FAIL_S = 5.0, 300.0
NOISE_SHOWN = 60


@dataclass(frozen=True)
class _Step:
    name: str
    look: Look
    needs: tuple[str, ...] = ()
    remedy: Callable[[SSHHost, CosmosError], str] = lambda _host, _error: "docs/hosts.md has the usual causes"


def check_host(host: SSHHost, *, needs_gpu: bool) -> Iterator[Check]:
    """Look at a host step by step; each finding comes as soon as it is there.

    Args:
        host: The host.
        needs_gpu: Whether a family of this host needs a GPU; else a missing one is only worth a warning.
    """
    lost: set[str] = set()
    for step in STEPS:
        if missing := [name for name in step.needs if name in lost]:
            lost.add(step.name)
            yield Check(step.name, "skipped", f"needs {missing[0]}")
            continue
        for check in _findings(step, host):
            lenient = step.name in GPU_STEPS and not needs_gpu
            found = replace(check, verdict="warn") if lenient and check.verdict == "fail" else check
            if check.verdict == "fail":
                lost.add(step.name)
            yield found


def _findings(step: _Step, host: SSHHost) -> Iterator[Check]:
    try:
        for found in step.look(host):
            yield replace(found, name=found.name or step.name)
    except CosmosError as error:
        # What our errors advise comes behind a semicolon; here the remedy has more room for it.
        detail = str(error).removeprefix(f"host {host.name}: ").partition("; ")[0]
        yield Check(step.name, "fail", detail, step.remedy(host, error))


def _ssh(host: SSHHost) -> Iterator[Check]:
    transport = host.connection.transport()
    route = route_to(host.spec.target)
    round_trip_s = statistics.median(_round_trips(host, transport))
    server = str(transport.remote_version).removeprefix("SSH-2.0-")
    yield ok(f"{route.user}@{route.address}:{route.port}, {server}, round trip {1000 * round_trip_s:.1f} ms")


def _round_trips(host: SSHHost, transport: paramiko.Transport) -> Iterator[float]:
    for _ in range(ROUND_TRIPS):
        begun = time.monotonic()
        with translated(host.name):
            # A request that every server answers, if only by saying that it does not know it.
            transport.global_request("keepalive@openssh.com", wait=True)
        yield time.monotonic() - begun


def _ssh_remedy(host: SSHHost, error: CosmosError) -> str:
    route, target = route_to(host.spec.target), host.spec.target
    place = f"{route.user}@{route.address}"
    again = changed(host)
    if isinstance(error, HostKeyError):
        return (
            "on the machine's own console compare `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`; if it is your machine, "
            f"accept its key with {again}"
        )
    if isinstance(error, LoginRefusedError) and "private key" in str(error):
        return f"{again} asks for its passphrase; another key: {changed(host, '--key PATH')}"
    if isinstance(error, LoginRefusedError):
        key = f"-i {target.key_path} " if target.key_path else ""
        return (
            f"`ssh-copy-id {key}-p {route.port} {place}` brings your public key there; another key, user or passphrase: {again}"
        )
    if isinstance(error, HostUnreachableError):
        return (
            f"try `ssh -p {route.port} {place}`; the machine must be on, its SSH server running, and port {route.port} open in "
            "every firewall on the way"
        )
    return f"see docs/hosts.md, or name the machine anew with {again}"


def _user(host: SSHHost) -> Iterator[Check]:
    asked = host.connection.run(["true"])
    said = " ".join((asked.stdout + asked.stderr).split())[:NOISE_SHOWN]
    if asked.code != 0:
        yield fail(f"the login shell runs no commands: {said}", "give the user a shell there: `sudo chsh -s /bin/bash USER`")
        return
    name, uid, groups = (host.connection.run(["id", which]).stdout.strip() for which in ("-un", "-u", "-Gn"))
    if asked.stdout:
        yield fail(
            f"the login shell of {name} prints '{said}' before every command, which mixes with the answers",
            "find that line in ~/.bashrc, ~/.profile or ~/.zshrc there, and let it print in interactive shells only",
        )
        return
    yield ok(f"{name} (uid {uid}), groups {', '.join(groups.split())}")


def _disk(host: SSHHost) -> Iterator[Check]:
    folder = host.workspace
    remedy = f"`du -xh --max-depth=2 {folder} | sort -h | tail` there shows what fills it; or choose a folder on a larger disk"
    yield free_space(folder, host.transfers.free_bytes(folder), remedy)


def _sftp(host: SSHHost) -> Iterator[Check]:
    with tempfile.TemporaryDirectory(prefix="cosmos-check-") as name:
        probe, back = Path(name, "probe"), Path(name, "back")
        probe.write_bytes(os.urandom(PROBE_BYTES))
        file = InputFile(probe, sha256_of(probe), PROBE_BYTES)
        begun = time.monotonic()
        host.put([file])
        host.get([Fetch(file.host_path, back, file.sha256, PROBE_BYTES)])
        seconds = time.monotonic() - begun
        host.remove_folder(file.host_path)
    yield ok(f"{host.workspace}: {PROBE_BYTES / 1e6:.0f} MB there and back in {seconds:.2f} s, with equal checksums")


def _sftp_remedy(host: SSHHost, error: CosmosError) -> str:
    user = route_to(host.spec.target).user
    if isinstance(error, HostUnreachableError):
        return "let its SSH server offer SFTP: `Subsystem sftp internal-sftp` in /etc/ssh/sshd_config, then restart it"
    return (
        f"`sudo install -d -o {user} {host.workspace}` there, make room on its disk, or choose another folder: "
        f"{changed(host, '--workspace DIR')}"
    )


def _clock(host: SSHHost) -> Iterator[Check]:
    begun = time.time()
    text = host.connection.run(["date", "+%s"]).stdout.strip()
    if not text.isdigit():
        yield warn(f"`date +%s` answers '{text[:NOISE_SHOWN]}'", "install coreutils there")
        return
    # The host says whole seconds; it was asked somewhere between these two moments.
    skew_s = int(text) + 0.5 - (begun + time.time()) / 2
    detail = f"{abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} this machine"
    remedy = "`sudo timedatectl set-ntp true` there; if the other clock is right, here"
    if abs(skew_s) > SKEW_FAIL_S:
        yield fail(detail, remedy)
    else:
        yield warn(detail, remedy) if abs(skew_s) > SKEW_WARN_S else ok("as on this machine, within a second or so")


SSH, DISK, DOCKER, GPUS = "ssh", "disk", "docker", "gpus"
STEPS = (
    _Step(SSH, _ssh, remedy=_ssh_remedy),
    _Step("user", _user, (SSH,)),
    _Step("clock", _clock, (SSH,)),
    _Step(DISK, _disk, (SSH,), _sftp_remedy),
    _Step("files", _sftp, (DISK,), _sftp_remedy),
    _Step(DOCKER, docker_checks.docker_answers, (SSH,), docker_checks.docker_remedy),
    _Step("docker disk", docker_checks.docker_disk, (DOCKER,)),
    _Step("limits", docker_checks.limits, (DOCKER,)),
    _Step("images", docker_checks.images, (DOCKER,)),
    _Step(GPUS, docker_checks.gpus, (SSH,), docker_checks.gpus_remedy),
    _Step("gpu containers", docker_checks.gpu_containers, (DOCKER, GPUS), docker_checks.gpu_containers_remedy),
)
GPU_STEPS = frozenset({GPUS, "gpu containers"})
