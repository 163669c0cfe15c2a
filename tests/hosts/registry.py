"""A registry of model files that speaks the protocol of the Hugging Face hub on two ports of this machine, with faults to order.

Simulated machines share the network of this process, so containers with the network of their machine reach it.
"""

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

ADDRESS = "127.0.0.1"
LISTING = re.compile(r"/api/models/([^/]+/[^/]+)/revision/([^/]+)")
FILE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
PIECE_BYTES = 1 << 16
EMPTY: Mapping[str, str] = {}


@dataclass(frozen=True)
class Asked:
    """One request that came."""

    is_content_server: bool
    method: str
    path: str
    token: str
    range: str


@dataclass
class Orders:
    """What goes wrong."""

    gated: set[str] = field(default_factory=set)
    """Repositories whose licence has to be accepted."""
    accepted: dict[str, set[str]] = field(default_factory=dict)
    """Token to the repositories whose licence its account has accepted; any other token is refused."""
    cuts: dict[str, list[int]] = field(default_factory=dict)
    """File to how many bytes go before the connection is cut, one for each request."""
    damages: dict[str, int] = field(default_factory=dict)
    """File to how often it comes damaged."""
    ignores_ranges: bool = False
    lists_no_checksums: bool = False
    """As mirrors do that give names alone."""
    bytes_per_s: float = 0
    is_down: bool = False


class Registry:
    """Repositories, what goes wrong with them, and what was asked."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.orders = Orders()
        self.asked: list[Asked] = []
        self.sent_bytes = 0
        self._lock = threading.Lock()
        self._servers = [_Server(self, is_content_server=is_content) for is_content in (False, True)]

    @property
    def endpoint(self) -> str:
        return self._servers[0].url

    def add(self, repository: str, files: Mapping[str, bytes]) -> None:
        """Put files into a repository, whose commit changes by that; files of models are those that end in .pt and the like."""
        self.repositories[repository] = {**self.repositories.get(repository, {}), **files}

    def add_for(self, checkpoints: Iterable[Any]) -> None:
        """Let there be tiny files for these checkpoints of the manifest."""
        for one in checkpoints:
            names = [one.file.replace("*", word) for word in ("config", "weights")] if "*" in one.file else [one.file]
            self.add(one.repository, {name: f"{one.repository} {name}".encode() for name in names})

    def commit(self, repository: str, revision: str = "main") -> str:
        """The commit of a revision; one that is named by its hash is there as well."""
        if re.fullmatch("[0-9a-f]{40}", revision):
            return revision
        return hashlib.sha1(repr(sorted(self.repositories[repository].items())).encode()).hexdigest()

    def content_of(self, sha256: str) -> tuple[str, bytes]:
        """Name and content of a file of models, by its checksum."""
        files = [item for files in self.repositories.values() for item in files.items()]
        return next(item for item in files if hashlib.sha256(item[1]).hexdigest() == sha256)

    def content_url(self, content: bytes) -> str:
        return f"{self._servers[1].url}/lfs/{hashlib.sha256(content).hexdigest()}"

    def note(self, asked: Asked) -> None:
        with self._lock:
            self.asked.append(asked)

    def sent(self, count: int) -> None:
        with self._lock:
            self.sent_bytes += count

    def next_cut(self, name: str) -> int | None:
        """After how many bytes this answer is cut."""
        with self._lock:
            return self.orders.cuts[name].pop(0) if self.orders.cuts.get(name) else None

    def is_damaged_now(self, name: str) -> bool:
        with self._lock:
            self.orders.damages[name] = self.orders.damages.get(name, 0) - 1
            return self.orders.damages[name] >= 0

    def close(self) -> None:
        for server in self._servers:
            server.close()


@contextmanager
def running_registry() -> Iterator[Registry]:
    """A registry without any repository."""
    registry = Registry()
    try:
        yield registry
    finally:
        registry.close()


def is_large(name: str) -> bool:
    """Whether a file lies on the content server, as all do that git does not keep itself."""
    return name.endswith((".pt", ".pth", ".bin", ".safetensors", ".jit"))


def git_sha1(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class _Server:
    def __init__(self, registry: Registry, *, is_content_server: bool) -> None:
        handler = type("Handler", (_Handler,), {"registry": registry, "is_content_server": is_content_server})
        self._server = ThreadingHTTPServer((ADDRESS, 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        self.url = f"http://{ADDRESS}:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    registry: Registry
    is_content_server: bool

    def log_message(self, *_values: Any) -> None:
        """Nothing is printed."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self.registry.note(Asked(self.is_content_server, self.command, path, token, self.headers.get("Range", "")))
        if self.registry.orders.is_down:
            self._refuse(503, "", "down for maintenance")
        elif self.is_content_server:
            self._send_content(*self.registry.content_of(path.rpartition("/")[2]))
        elif found := LISTING.fullmatch(path):
            self._list(*found.groups())
        elif found := FILE.fullmatch(path):
            self._resolve(*found.groups(), token=token)
        else:
            self._refuse(404, "", "no such page")

    def _list(self, repository: str, revision: str) -> None:
        files = self.registry.repositories.get(repository)
        if files is None:
            return self._refuse(401, "RepoNotFound", "Repository not found")
        has_checksums = not self.registry.orders.lists_no_checksums
        siblings = [_sibling(name, content) if has_checksums else {"rfilename": name} for name, content in files.items()]
        about = {"id": repository, "sha": self.registry.commit(repository, revision), "siblings": siblings}
        return self._send(json.dumps(about).encode())

    def _resolve(self, repository: str, revision: str, name: str, *, token: str) -> None:
        orders, files = self.registry.orders, self.registry.repositories.get(repository, {})
        if token and token not in orders.accepted:
            return self._refuse(401, "", "Invalid credentials in Authorization header")
        if repository in orders.gated and repository not in orders.accepted.get(token, ()):
            return self._refuse(403 if token else 401, "GatedRepo", f"Access to model {repository} is restricted")
        if name not in files:
            return self._refuse(404, "EntryNotFound", "Entry not found")
        content = files[name]
        commit = self.registry.commit(repository, revision)
        if not is_large(name):
            return self._send_content(name, content, commit=commit)
        self.send_response(302)
        self.send_header("Location", self.registry.content_url(content))
        self.send_header("X-Repo-Commit", commit)
        self.send_header("X-Linked-Size", str(len(content)))
        self.send_header("X-Linked-Etag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("Content-Length", "0")
        self.end_headers()
        return None

    def _send_content(self, name: str, content: bytes, *, commit: str = "") -> None:
        range_ = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(range_[1]) if range_ and not self.registry.orders.ignores_ranges else 0
        if start and start >= len(content):
            return self._refuse(416, "", "Range Not Satisfiable")
        if self.command == "GET" and self.registry.is_damaged_now(name):
            content = content[:-1] + bytes([content[-1] ^ 1])
        known = {} if is_large(name) else {"ETag": f'"{git_sha1(content)}"', "X-Repo-Commit": commit}
        return self._send(content[start:], 206 if start else 200, name=name, headers=known)

    def _send(self, body: bytes, status: int = 200, *, name: str = "", headers: Mapping[str, str] = EMPTY) -> None:
        self.send_response(status)
        for header, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(header, value)
        self.end_headers()
        if self.command != "GET":
            return
        if name and (cut := self.registry.next_cut(name)) is not None:
            body = body[:cut]
        for at in range(0, len(body), PIECE_BYTES):
            piece = body[at : at + PIECE_BYTES]
            self.wfile.write(piece)
            if name:
                self.registry.sent(len(piece))
            if name and self.registry.orders.bytes_per_s:
                time.sleep(len(piece) / self.registry.orders.bytes_per_s)

    def _refuse(self, status: int, code: str, words: str) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", words)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _sibling(name: str, content: bytes) -> dict[str, Any]:
    sibling: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": git_sha1(content)}
    if is_large(name):
        sibling["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 135}
    return sibling
