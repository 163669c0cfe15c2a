"""A GPU server without a GPU: a real dockerd and a real sshd, side by side with others like it, gone without a trace."""

import json
import random
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import docker
import psutil
from docker.models.containers import Container

from . import cgroups, firewall
from .keys import ClientKeys, make_client_keys, make_key, public_line
from .namespaces import Namespaces, inner_process

SCRIPTS = Path(__file__).with_name("bin")
RECORDED = Path(__file__).parents[1] / "recorded" / "nvidia_smi"
USERS = ("root", "with-docker", "with-sudo", "without-docker")
ADDRESS = "127.0.0.1"
# Below the ports that the kernel gives to outgoing connections, so that none of them takes the port of an sshd that is down.
PORTS = range(20_000, 30_000)
TIMEOUT_S = 30.0


class GPUMachine:
    """A machine in a folder; the folder's path must be short, because sockets lie in it, and open to other users."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self.address = ADDRESS
        self.port = 0
        self.docker_socket = folder / "docker.sock"
        self.docker_folder = folder / "docker"
        self.workspace = folder / "workspace"
        self.known_hosts = folder / "known_hosts"
        self._namespaces: Namespaces | None = None
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._docker: docker.DockerClient | None = None
        self._unblocking: threading.Timer | None = None
        self._copy_programs()
        self._empty_folders()
        self.keys: ClientKeys = make_client_keys(folder / "keys")
        (folder / "ssh" / "authorized_keys").write_text(self.keys.authorized())
        self.change_host_key()

    # Power

    def start(self) -> None:
        """Start the machine; containers that ran when it stopped are there, ended."""
        self._namespaces = Namespaces(self.name, self.folder)
        try:
            self._start_containerd()
            self.start_sshd()
            self.start_dockerd()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Take the power away: every process of the machine ends at once, containers too. The files stay."""
        self._unblock()
        self._close_docker()
        if self._namespaces:
            self._namespaces.close()
            self._namespaces = None
        for process in self._processes.values():
            process.wait()
        self._processes.clear()
        cgroups.remove(self.folder)

    def reboot(self) -> None:
        self.stop()
        self.start()

    def remove(self) -> None:
        """Stop the machine and remove its files."""
        self.stop()
        shutil.rmtree(self.folder)

    def run(self, *command: str | Path) -> str:
        """Run a command on the machine as root, without SSH, and give back what it prints."""
        assert self._namespaces, f"{self.name} is off"
        return self._namespaces.run(command)

    def seen(self, path: Path) -> Path:
        """A path of the machine, as this process reaches it also when it lies on a disk that only the machine has."""
        assert self._namespaces, f"{self.name} is off"
        return self._namespaces.root / path.relative_to("/")

    def set_gpus(self, answers: str) -> None:
        """Let nvidia-smi answer what lies in this folder of tests/recorded/nvidia_smi."""
        shutil.rmtree(self.folder / "nvidia_smi", ignore_errors=True)
        shutil.copytree(RECORDED / answers, self.folder / "nvidia_smi")

    def set_clock(self, *, offset_s: float) -> None:
        """Let `date` in SSH sessions be wrong; time stamps of files and of Docker stay right."""
        (self.folder / "clock_offset_s").write_text(f"{offset_s:+f}")

    @contextmanager
    def small_disk(self, size_mb: int) -> Iterator[Path]:
        """A disk of so many MiB, which only the machine has; `seen` tells where its files are for this process."""
        path = self.folder / "small_disk"
        path.mkdir()
        self.run("mount", "-t", "tmpfs", "-o", f"size={size_mb}m,mode=1777", "tmpfs", path)
        try:
            yield path
        finally:
            # It went if the machine was stopped meanwhile; and a container may still use it.
            if self._namespaces and self.seen(path).is_mount():
                self.run("umount", "--lazy", path)
            path.rmdir()

    # SSH

    def start_sshd(self, *, allows_stream_local: bool = True) -> None:
        """Start sshd, on the same port as before."""
        self.port = self.port or _free_port()
        self._write_sshd_config(allows_stream_local)
        self._popen("sshd", [_program("sshd"), "-D", "-e", "-f", self.folder / "ssh" / "sshd_config"])
        self._wait_until(self._sshd_answers, "sshd")

    def stop_sshd(self) -> None:
        """Stop listening; sessions go on."""
        self._end("sshd", signal.SIGTERM)

    def restart_sshd(self, *, allows_stream_local: bool = True) -> None:
        self.stop_sshd()
        self.start_sshd(allows_stream_local=allows_stream_local)

    def kill_connections(self) -> int:
        """Kill the sshd of every session; what they started goes on. Gives back how many processes were killed."""
        assert self._namespaces, f"{self.name} is off"
        listener = inner_process(self._processes["sshd"]) if self._runs("sshd") else None
        sshds = [process for process in self._namespaces.processes() if process.info["name"].startswith("sshd")]
        return _kill([process for process in sshds if process != listener])

    def change_host_key(self) -> None:
        """Make a new host key; sshd has it after its next start. `trust_host_key` puts it into `known_hosts`."""
        make_key(self.folder / "ssh" / "host_key")

    @property
    def host_key(self) -> str:
        """The public host key, as `ssh-ed25519 AAAA...`."""
        kind, key, _ = public_line(self.folder / "ssh" / "host_key").split()
        return f"{kind} {key}"

    def trust_host_key(self) -> None:
        self.known_hosts.write_text(f"[{self.address}]:{self.port} {self.host_key}\n")

    def ssh(self, *command: str, timeout_s: int = 20, **login: Any) -> subprocess.CompletedProcess[str]:
        """Run a command line by OpenSSH's own client; `login` as in `ssh_command`."""
        full = [*self.ssh_command(**login), f"-oConnectTimeout={timeout_s}", *command]
        return subprocess.run(full, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", timeout=120, check=False)

    def ssh_command(self, *, user: str = "root", key: Path | None = None, is_batch: bool = True) -> list[str]:
        """The command of OpenSSH's client, up to the address; it reads no configuration of the user."""
        options = {
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "UserKnownHostsFile": self.known_hosts,
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
            "BatchMode": "yes" if is_batch else "no",
        }
        flags = [f"-o{name}={value}" for name, value in options.items()]
        return ["ssh", "-F", "none", *flags, f"-p{self.port}", f"-i{key or self.keys.plain}", f"{user}@{self.address}"]

    @contextmanager
    def blocked(self) -> Iterator[None]:
        """Drop every packet to and from the port of sshd, as a cut cable does."""
        firewall.block(self.port, self.folder)
        try:
            yield
        finally:
            firewall.unblock(self.folder)

    def block_port(self, seconds: float) -> None:
        """Block the port for some time, and come back at once."""
        self._unblock()
        firewall.block(self.port, self.folder)
        self._unblocking = threading.Timer(seconds, firewall.unblock, [self.folder])
        self._unblocking.start()

    # Docker

    @property
    def docker(self) -> docker.DockerClient:
        """A client on the socket of the machine, which does not travel over SSH."""
        if self._docker is None:
            # A client that cannot connect leaves a socket open.
            assert self.docker_answers(), f"{self.name} is off, or its dockerd"
            self._docker = docker.DockerClient(base_url=f"unix://{self.docker_socket}", timeout=60)
        return self._docker

    def start_dockerd(self, *, live_restore: bool = False) -> None:
        self._write_dockerd_config(live_restore)
        self._popen("dockerd", [_program("dockerd"), "--config-file", self.folder / "dockerd.json"])
        self._wait_until(self.docker_answers, "dockerd")

    def stop_dockerd(self) -> None:
        """Stop dockerd as systemd does: without live-restore it stops its containers."""
        self._close_docker()
        self._end("dockerd", signal.SIGTERM)

    def restart_dockerd(self, *, live_restore: bool = False) -> None:
        """Restart dockerd; with live-restore containers run on meanwhile, without it they are stopped."""
        self._write_dockerd_config(live_restore)
        inner_process(self._processes["dockerd"]).send_signal(signal.SIGHUP)
        self._wait_until(lambda: self.docker.info()["LiveRestoreEnabled"] is live_restore, "dockerd")
        self.stop_dockerd()
        self.start_dockerd(live_restore=live_restore)

    def kill_dockerd(self) -> None:
        """Kill dockerd alone; its containers run on."""
        self._close_docker()
        self._end("dockerd", signal.SIGKILL)

    def docker_answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(TIMEOUT_S)
                connection.connect(str(self.docker_socket))
                connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return connection.recv(12) == b"HTTP/1.0 200"
        except OSError:
            return False

    def containers(self, **labels: str) -> list[Container]:
        """All containers, also ended ones, that have these labels."""
        wanted = [f"{name}={value}" for name, value in labels.items()]
        return self.docker.containers.list(all=True, filters={"label": wanted})

    def container_pids(self) -> list[int]:
        """Ids, outside the machine, of all processes that run in containers."""
        return cgroups.process_ids(self.folder)

    def make_clean(self) -> None:
        """Make the machine what it was when its images had been loaded, whatever a test did to it."""
        self._unblock()
        if self._namespaces is None:
            self.start()
        self._end_strangers()
        self.restart_sshd()
        self.trust_host_key()
        if not self._runs("dockerd"):
            self.start_dockerd()
        self._empty_docker()
        if self.docker.info()["LiveRestoreEnabled"]:
            self.restart_dockerd()
        self._empty_folders()

    # Below: how

    def _copy_programs(self) -> None:
        self.folder.chmod(0o755)
        for name in ("log", "ssh"):
            (self.folder / name).mkdir(exist_ok=True)
        shutil.copytree(SCRIPTS, self.folder / "bin", dirs_exist_ok=True)

    def _empty_folders(self) -> None:
        for folder in (self.workspace, *(self.folder / "home" / user for user in USERS)):
            folder.mkdir(parents=True, exist_ok=True)
            for path in folder.iterdir():
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        self.workspace.chmod(0o1777)
        self.set_gpus("two_h100")
        self.set_clock(offset_s=0)

    def _empty_docker(self) -> None:
        for container in self.containers():
            # What a test began may be removing it as well.
            with suppress(docker.errors.APIError):
                container.remove(force=True, v=True)
        self._wait_until(lambda: not self.containers(), "dockerd")
        for volume in self.docker.volumes.list():
            volume.remove(force=True)

    def _end_strangers(self) -> None:
        """End what sessions started, and the sessions, but neither what the machine itself runs nor containers."""
        assert self._namespaces, f"{self.name} is off"
        services = [inner_process(process) for process in self._processes.values() if process.poll() is None]
        strangers = [process for process in self._namespaces.processes() if process not in (self._namespaces.first, *services)]
        _kill([process for process in strangers if not process.info["name"].startswith("containerd-shim")])

    def _unblock(self) -> None:
        if self._unblocking:
            self._unblocking.cancel()
            self._unblocking.join()
        firewall.unblock(self.folder)

    def _runs(self, name: str) -> bool:
        return name in self._processes and self._processes[name].poll() is None

    @property
    def _path(self) -> str:
        return f"{self.folder / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin"

    def _popen(self, name: str, command: list[str | Path]) -> None:
        assert self._namespaces, f"{self.name} is off"
        environment = {"PATH": self._path, "HOME": str(self.folder / "home" / "root")}
        with (self.folder / "log" / name).open("ab") as log:
            self._processes[name] = self._namespaces.popen(command, output=log, environment=environment)

    def _end(self, name: str, number: signal.Signals) -> None:
        process = self._processes.pop(name, None)
        if process and process.poll() is None:
            inner_process(process).send_signal(number)
            process.wait(TIMEOUT_S)

    def _start_containerd(self) -> None:
        config = self.folder / "containerd.toml"
        config.write_text(CONTAINERD_CONFIG.format(folder=self.folder))
        self._popen("containerd", [_program("containerd"), "--config", config])
        self._wait_until((self.folder / "containerd.sock").is_socket, "containerd")

    def _write_dockerd_config(self, live_restore: bool) -> None:
        config = {
            "hosts": [f"unix://{self.docker_socket}", "unix:///run/docker.sock"],
            "containerd": str(self.folder / "containerd.sock"),
            "data-root": str(self.docker_folder),
            "storage-driver": "overlay2",
            "features": {"containerd-snapshotter": False},
            "exec-root": "/run/docker",
            "pidfile": "/run/docker.pid",
            "bridge": "none",
            "iptables": False,
            "ip6tables": False,
            "ip-forward": False,
            "ip-masq": False,
            "userland-proxy": False,
            "exec-opts": ["native.cgroupdriver=cgroupfs"],
            "cgroup-parent": f"/{cgroups.parent(self.folder)}",
            "live-restore": live_restore,
        }
        (self.folder / "dockerd.json").write_text(json.dumps(config, indent=2))

    def _write_sshd_config(self, allows_stream_local: bool) -> None:
        config = SSHD_CONFIG.format(
            address=self.address,
            port=self.port,
            folder=self.folder,
            path=self._path,
            docker_socket=self.docker_socket,
            stream_local="yes" if allows_stream_local else "no",
        )
        if _sshd_version() >= (9, 8):
            # It would lock the client out for a while after refused logins.
            config += "PerSourcePenalties no\n"
        (self.folder / "ssh" / "sshd_config").write_text(config)

    def _sshd_answers(self) -> bool:
        try:
            with socket.create_connection((self.address, self.port), timeout=5) as connection:
                return connection.recv(7) == b"SSH-2.0"
        except OSError:
            return False

    def _wait_until(self, is_so: Callable[[], bool], name: str) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while not is_so():
            if time.monotonic() > deadline or self._processes[name].poll() is not None:
                log = (self.folder / "log" / name).read_text(errors="replace")
                raise RuntimeError(f"{name} of {self.name} does not answer; the end of its log:\n{log[-4000:]}")
            time.sleep(0.02)

    def _close_docker(self) -> None:
        if self._docker is not None:
            self._docker.close()
            self._docker = None


CONTAINERD_CONFIG = """\
version = 2
root = "{folder}/containerd"
state = "/run/containerd"
# No Kubernetes, no folder in /opt, and only the part that dockerd uses.
disabled_plugins = [
  "io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs",
]
[grpc]
  address = "{folder}/containerd.sock"
"""

SSHD_CONFIG = """\
ListenAddress {address}
Port {port}
HostKey {folder}/ssh/host_key
PidFile /run/sshd.pid
AuthorizedKeysFile {folder}/ssh/authorized_keys
# The folder lies below one that everybody may write to.
StrictModes no
UsePAM no
UseDNS no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowStreamLocalForwarding {stream_local}
PrintMotd no
PrintLastLog no
SetEnv DOCKER_HOST=unix://{docker_socket} PATH={path}
Subsystem sftp internal-sftp
"""


def _kill(processes: list[psutil.Process]) -> int:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    _, alive = psutil.wait_procs(processes, timeout=TIMEOUT_S)
    assert not alive, f"{alive} cannot be killed"
    return len(processes)


def _program(name: str) -> str:
    """Path of a program that ordinary users often do not have on their PATH; sshd wants to be called by it."""
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if not found:
        raise FileNotFoundError(f"{name} is not installed")
    return found


def _sshd_version() -> tuple[int, int]:
    printed = subprocess.run(["ssh", "-V"], capture_output=True, encoding="utf-8", check=True).stderr
    found = re.match(r"OpenSSH_(\d+)\.(\d+)", printed)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _free_port() -> int:
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as server, suppress(OSError):
            server.bind((ADDRESS, port))
            return port
    raise RuntimeError(f"No port of {PORTS} is free")
