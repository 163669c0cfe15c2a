"""Transfers side by side with OpenSSH's own tools and rsync, interleaved: `python -m tests.bench.transfers [repeats]`.

The tools use one open connection as well (ControlMaster) and the same cipher; unlike ours they verify nothing, but for rsync.
Files lie in memory, so that disks do not count.
"""

import hashlib
import os
import selectors
import shlex
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from cosmos_ops.remote.connection import Connection
from cosmos_ops.remote.target import SSHTarget
from cosmos_ops.remote.transfer import Download, Transfers, Upload
from tests.hosts.machine import GPUMachine

REPEATS = 30
MEMORY = "/dev/shm"
CIPHER = "aes128-gcm@openssh.com"
CHUNK_BYTES = 1 << 18
Work = Callable[[], object]


class Bench:
    """One machine, one open connection of ours and one of OpenSSH's; `here` and `there` are folders in memory."""

    def __init__(self, machine: GPUMachine, folder: Path, *, port: int | None = None) -> None:
        self.here, self.there = folder / "here", folder / "there"
        self.port = port or machine.port
        for path in (self.here, self.there):
            path.mkdir(exist_ok=True)
        host_key = machine.known_hosts.read_text().partition(" ")[2].strip()
        target = SSHTarget(
            machine.address, "root", self.port, key_path=str(machine.keys.plain), host_key=host_key, ssh_folder=folder
        )
        self.connection = Connection("bench", target)
        self.transfers = Transfers(self.connection, partials=PurePosixPath(folder / "partials"))
        self.at = f"root@{machine.address}"
        known = [f"-oUserKnownHostsFile={machine.known_hosts}", f"-oHostKeyAlias=[{machine.address}]:{machine.port}"]
        shared = ["-oControlMaster=auto", f"-oControlPath={folder}/master-{self.port}", "-oControlPersist=yes"]
        key = ["-oIdentitiesOnly=yes", "-oIdentityAgent=none", f"-i{machine.keys.plain}"]
        self.options = ["-F", "none", *known, *shared, *key, "-oBatchMode=yes", f"-oCiphers={CIPHER}"]

    def __enter__(self) -> "Bench":
        self.connection.transport()
        run(*self.ssh("true"))
        return self

    def __exit__(self, *_: object) -> None:
        run("ssh", *self.options, f"-p{self.port}", "-O", "exit", self.at)
        self.connection.close()

    def ssh(self, *command: str) -> list[str]:
        return ["ssh", *self.options, f"-p{self.port}", self.at, shlex.join(command)]

    def piped(self, send: list[str], take: list[str]) -> None:
        with subprocess.Popen(send, stdout=subprocess.PIPE) as sender:
            run(*take, stdin=sender.stdout)
        assert sender.returncode == 0

    # Ours

    def upload(self, paths: list[Path]) -> Work:
        wanted = [Upload(path, PurePosixPath(self.there / path.name), sha256_of(path), path.stat().st_size) for path in paths]
        return lambda: self.transfers.upload(wanted)

    def download(self, paths: list[Path]) -> Work:
        wanted = [Download(PurePosixPath(path), self.here / path.name, sha256_of(path), path.stat().st_size) for path in paths]
        return lambda: self.transfers.download(wanted)

    # Theirs

    def scp(self, sources: list[Path], *, is_up: bool) -> Work:
        near, far = [str(path) for path in sources], [f"{self.at}:{path}" for path in sources]
        words = [*near, f"{self.at}:{self.there}"] if is_up else [*far, str(self.here)]
        return lambda: run("scp", "-q", *self.options, f"-P{self.port}", *words)

    def sftp(self, sources: list[Path], *, is_up: bool) -> Work:
        word, to = ("put", self.there) if is_up else ("get", self.here)
        batch = "".join(f"{word} {path} {to}/\n" for path in sources)
        return lambda: run("sftp", "-q", *self.options, f"-P{self.port}", "-b-", self.at, text=batch)

    def rsync(self, sources: list[Path], *, is_up: bool) -> Work:
        ssh = shlex.join(["ssh", *self.options, f"-p{self.port}"])
        near, far = [str(path) for path in sources], [f"{self.at}:{path}" for path in sources]
        words = [*near, f"{self.at}:{self.there}/"] if is_up else [*far, f"{self.here}/"]
        return lambda: run("rsync", "--whole-file", "-e", ssh, *words)

    def cat(self, source: Path, *, is_up: bool) -> Work:
        if is_up:
            return lambda: run(*self.ssh("sh", "-c", 'cat > "$1"', "sh", str(self.there / source.name)), stdin=source)
        return lambda: run(*self.ssh("cat", str(source)), stdout=self.here / source.name)

    def tar(self, folder: Path, *, is_up: bool) -> Work:
        if is_up:
            return lambda: self.piped(["tar", "-cC", str(folder), "."], self.ssh("tar", "-xC", str(self.there)))
        return lambda: self.piped(self.ssh("tar", "-cC", str(folder), "."), ["tar", "-xC", str(self.here)])

    def empty(self) -> None:
        for folder in (self.here, self.there):
            shutil.rmtree(folder)
            folder.mkdir()


def main(repeats: int = REPEATS) -> None:
    """Run all of them."""
    with bench_machine() as (machine, folder), Bench(machine, folder) as bench:
        bulk(bench, folder, repeats)
        many(bench, folder, repeats, count=200, size=1_000_000)
        many(bench, folder, repeats, count=400, size=256_000)
        again(bench, folder, repeats)
        far = DelayProxy(machine.address, machine.port, round_trip_s=0.08)
        with far, Bench(machine, folder, port=far.port) as bench:
            distance(bench, folder, max(3, repeats // 10))


def bulk(bench: Bench, folder: Path, repeats: int) -> None:
    """One file of 512 MB."""
    (source,) = made(folder / "bulk", 1, 512_000_000)
    for is_up in (True, False):
        works = {tool.__name__: tool([source], is_up=is_up) for tool in (bench.scp, bench.sftp, bench.rsync)}
        works["cat | ssh"] = bench.cat(source, is_up=is_up)
        ours = bench.upload([source]) if is_up else bench.download([source])
        compare(f"512 MB {'up' if is_up else 'down'}", works, ours, bench.empty, repeats, megabytes=512)


def many(bench: Bench, folder: Path, repeats: int, *, count: int, size: int) -> None:
    """Many small files."""
    sources = made(folder / f"many-{size}", count, size)
    for is_up in (True, False):
        works = {"tar | ssh": bench.tar(sources[0].parent, is_up=is_up), "rsync": bench.rsync(sources, is_up=is_up)}
        ours = bench.upload(sources) if is_up else bench.download(sources)
        what = f"{count} x {size // 1000} kB {'up' if is_up else 'down'}"
        compare(what, works, ours, bench.empty, repeats, megabytes=count * size / 1e6)


def again(bench: Bench, folder: Path, repeats: int) -> None:
    """Four files that are there already."""
    sources = made(folder / "again", 4, 5_000_000)
    ours = bench.upload(sources)
    ours()
    bench.rsync(sources, is_up=True)()
    compare("staging again, 4 files", {"rsync": bench.rsync(sources, is_up=True)}, ours, lambda: None, repeats)


def distance(bench: Bench, folder: Path, repeats: int) -> None:
    """Over a line of 80 ms."""
    (source,) = made(folder / "far", 1, 128_000_000)
    for is_up in (True, False):
        ours = bench.upload([source]) if is_up else bench.download([source])
        what = f"128 MB {'up' if is_up else 'down'}, round trip 80 ms"
        compare(what, {"cat | ssh": bench.cat(source, is_up=is_up)}, ours, bench.empty, repeats, megabytes=128)
    sources = made(folder / "many-256000", 400, 256_000)
    compare(
        "400 x 256 kB up, round trip 80 ms",
        {"tar | ssh": bench.tar(sources[0].parent, is_up=True)},
        bench.upload(sources),
        bench.empty,
        repeats,
        megabytes=102.4,
    )


def compare(what: str, theirs: dict[str, Work], ours: Work, prepare: Work, repeats: int, *, megabytes: float = 0.0) -> None:
    """Run all in turn, and print how ours compares with the best of theirs."""
    works = {**theirs, "ours": ours}
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            prepare()
            started = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - started)
    best = min(theirs, key=lambda name: statistics.median(times[name]))
    ratio = statistics.median(times[best]) / statistics.median(times["ours"])
    print(f"{what}, {repeats} repeats: ours is {ratio:.2f} x {best}")
    for name, seconds in times.items():
        p50, p95 = statistics.median(seconds), statistics.quantiles([*seconds, seconds[-1]], n=20)[18]
        rate = f", {megabytes / p50:.0f} MB/s" if megabytes else ""
        print(f"    {name}: p50 {1000 * p50:.1f} ms, p95 {1000 * p95:.1f} ms{rate}", flush=True)


@contextmanager
def bench_machine() -> Iterator[tuple[GPUMachine, Path]]:
    machine = GPUMachine(Path(tempfile.mkdtemp(prefix="cosmos-gpu-")), "gpu-bench")
    folder = Path(tempfile.mkdtemp(prefix="cosmos-bench-", dir=MEMORY if Path(MEMORY).is_dir() else None))
    try:
        machine.start()
        machine.trust_host_key()
        yield machine, folder
    finally:
        machine.stop()
        shutil.rmtree(machine.folder)
        shutil.rmtree(folder)


def made(folder: Path, count: int, size: int) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{n}.bin" for n in range(count)]
    for path in paths:
        if not path.exists():
            with path.open("wb") as file:
                for start in range(0, size, 1 << 20):
                    file.write(os.urandom(min(1 << 20, size - start)))
    return paths


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while data := file.read(1 << 20):
            digest.update(data)
    return digest.hexdigest()


def run(*command: str, stdin: object = None, stdout: Path | None = None, text: str | None = None) -> None:
    nothing = Path(os.devnull)
    with (stdin if isinstance(stdin, Path) else nothing).open("rb") as source, (stdout or nothing).open("wb") as sink:
        given = {"input": text.encode()} if text is not None else {"stdin": stdin if hasattr(stdin, "fileno") else source}
        subprocess.run(command, stdout=sink, stderr=subprocess.DEVNULL, check=True, **given)


class DelayProxy:
    """Forwards to a port in a process of its own, and lets every byte take half a round trip in each direction."""

    def __init__(self, address: str, port: int, *, round_trip_s: float) -> None:
        self._words = [address, str(port), str(round_trip_s)]
        self.port = 0
        self.connections_max = 0
        """How many were open at the same time; known at the end."""

    def __enter__(self) -> "DelayProxy":
        command = [sys.executable, "-m", "tests.bench.transfers", "proxy", *self._words]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
        assert self._process.stdout
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(self, *_: object) -> None:
        output, _ = self._process.communicate("", timeout=30)
        self.connections_max = int(output)


class _Forwarder:
    """What `DelayProxy` runs: one loop over all sockets."""

    def __init__(self, to: tuple[str, int], delay_s: float) -> None:
        self._to = to
        self._delay_s = delay_s
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._peers: dict[socket.socket, socket.socket] = {}
        self._queues: dict[socket.socket, deque[tuple[float, bytes]]] = {}
        self.connections_max = 0

    def run(self) -> None:
        """Forward until standard input is closed."""
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(sys.stdin, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select(self._pause_s()):
                if key.fileobj is sys.stdin:
                    return
                self._accept() if key.fileobj is self._listener else self._receive(key.fileobj)
            for sock in list(self._queues):
                if sock in self._queues:
                    self._send(sock)

    def _pause_s(self) -> float | None:
        dues = [queue[0][0] for queue in self._queues.values() if queue]
        return max(0.0, min(dues) - time.monotonic()) if dues else None

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        far = socket.create_connection(self._to)
        for sock, peer in ((near, far), (far, near)):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._peers[sock], self._queues[sock] = peer, deque()
            self._selector.register(sock, selectors.EVENT_READ)
        self.connections_max = max(self.connections_max, len(self._peers) // 2)

    def _receive(self, sock: socket.socket) -> None:
        if sock not in self._peers:
            # Closed a moment ago, by what was read from the other side.
            return
        try:
            data = sock.recv(CHUNK_BYTES)
        except OSError:
            data = b""
        self._queues[self._peers[sock]].append((time.monotonic() + self._delay_s, data))
        if not data:
            self._selector.unregister(sock)

    def _send(self, sock: socket.socket) -> None:
        queue = self._queues[sock]
        while queue and queue[0][0] <= time.monotonic():
            due, data = queue.popleft()
            try:
                sent = sock.send(data) if data else -1
            except BlockingIOError:
                sent = 0
            except OSError:
                sent = -1
            if sent < 0:
                self._close(sock)
                return
            if sent < len(data):
                # Its buffer is full: look again in a moment.
                queue.appendleft((max(due, time.monotonic() + 0.001), data[sent:]))
                return

    def _close(self, sock: socket.socket) -> None:
        for one in (self._peers[sock], sock):
            with suppress(KeyError, ValueError):
                self._selector.unregister(one)
            one.close()
            del self._queues[one], self._peers[one]


if __name__ == "__main__":
    if sys.argv[1:2] == ["proxy"]:
        forwarder = _Forwarder((sys.argv[2], int(sys.argv[3])), float(sys.argv[4]) / 2)
        print(forwarder.port, flush=True)
        forwarder.run()
        print(forwarder.connections_max, flush=True)
    else:
        main(*map(int, sys.argv[1:2]))
