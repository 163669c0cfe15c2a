"""Servers on this machine from which docker fetches: files by HTTP, and images by the protocol of registries.

Simulated machines share the network of this process; docker takes registries on 127.0.0.1 without TLS.
"""

import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ADDRESS = "127.0.0.1"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
NOT_THERE = json.dumps({"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}).encode()
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


class FileServer:
    """Answers with what is in `files`, by path, and keeps the paths that were asked for."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[str, bytes]] = {"/v2/": ("application/json", b"{}")}
        self.asked: list[str] = []
        handler = type("Handler", (_Handler,), {"server_of": self})
        self._server = ThreadingHTTPServer((ADDRESS, 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        self.address = f"{ADDRESS}:{self._server.server_port}"

    def add(self, path: str, content: bytes, kind: str = "application/octet-stream") -> str:
        """Offer a file, and give its address."""
        self.files[path] = (kind, content)
        return f"http://{self.address}{path}"

    def add_image(self, name: str, tag: str, layers: list[Mapping[str, bytes]]) -> str:
        """Offer an image whose layers hold these files, and give what docker calls it."""
        tars = [tar_of(files) for files in layers]
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [_digest(tar) for tar in tars]},
        }
        blobs = [self._add_blob(name, gzip.compress(tar, mtime=0), LAYER) for tar in tars]
        described = self._add_blob(name, json.dumps(config).encode(), CONFIG)
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": described, "layers": blobs}
        content = json.dumps(manifest).encode()
        for reference in (tag, _digest(content)):
            self.add(f"/v2/{name}/manifests/{reference}", content, MANIFEST)
        return f"{self.address}/{name}:{tag}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _add_blob(self, name: str, content: bytes, kind: str) -> dict[str, Any]:
        self.add(f"/v2/{name}/blobs/{_digest(content)}", content)
        return {"mediaType": kind, "size": len(content), "digest": _digest(content)}


@contextmanager
def running_file_server() -> Iterator[FileServer]:
    server = FileServer()
    try:
        yield server
    finally:
        server.close()


def tar_of(files: Mapping[str, bytes]) -> bytes:
    """A tar file in which nothing tells when it was packed."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))
    return content.getvalue()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class _Handler(BaseHTTPRequestHandler):
    server_of: FileServer

    def log_message(self, *_values: Any) -> None:
        """Nothing is printed."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self.server_of.asked.append(self.path)
        is_there = self.path in self.server_of.files
        kind, content = self.server_of.files.get(self.path, ("application/json", NOT_THERE))
        self.send_response(200 if is_there else 404)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Type", kind)
        if is_there:
            self.send_header("Docker-Content-Digest", _digest(content))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)
