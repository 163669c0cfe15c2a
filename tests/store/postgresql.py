"""A PostgreSQL server of its own for the tests, from the binaries of the Debian package."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy import URL

from cosmos_ops.names import new_id

PASSWORD = "open-sesame"
HOW_TO_INSTALL = (
    "PostgreSQL is not installed, so half of the store is not tested: apt-get install --no-install-recommends postgresql"
)


class Server:
    """A server that answers on a socket in its own folder."""

    def __init__(self, folder: Path, binaries: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self._pg_ctl = str(binaries / "pg_ctl")

    def start(self) -> None:
        options = f"-c fsync=off -c listen_addresses='' -c unix_socket_directories={self.folder}"
        _run([self._pg_ctl, "-D", str(self.data), "-w", "-l", str(self.folder / "log"), "-o", options, "start"])

    def stop(self) -> None:
        """Cut all connections, and answer nobody."""
        _run([self._pg_ctl, "-D", str(self.data), "-m", "immediate", "stop"])

    @contextmanager
    def away(self) -> Iterator[None]:
        """Nobody gets an answer inside."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def new_database(self) -> str:
        name = new_id("test")
        with psycopg.connect(host=str(self.folder), user="postgres", password=PASSWORD, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def url(self, database: str, password: str = PASSWORD) -> str:
        url = URL.create("postgresql+psycopg", "postgres", password, database=database, query={"host": str(self.folder)})
        return url.render_as_string(hide_password=False)


def binaries() -> Path | None:
    """Folder of the newest installed version."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    return folders[-1] if folders else None


@contextmanager
def running_server(binaries: Path) -> Iterator[Server]:
    # The user that runs the server cannot enter pytest's own folders.
    folder = Path(tempfile.mkdtemp(prefix="cosmos-pg-"))
    (folder / "password").write_text(PASSWORD)
    if os.getuid() == 0:
        shutil.chown(folder, "postgres")
        shutil.chown(folder / "password", "postgres")
    server = Server(folder, binaries)
    try:
        auth = ["--username=postgres", "--auth=scram-sha-256", f"--pwfile={folder / 'password'}"]
        _run([str(binaries / "initdb"), "-D", str(server.data), "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", *auth])
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


def _run(command: list[str]) -> None:
    # PostgreSQL refuses to run as root.
    prefix = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    # The server inherits the streams of pg_ctl: a pipe would stay open as long as it runs.
    subprocess.run([*prefix, *command], check=True, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
