"""A database as Prefect's server leaves it after its first start: the steps to make one take longer than most tests."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

from tests.hosts.cache import cached


def give_database(path: Path) -> None:
    """Put an empty database there, for a server whose first start is not what a test is about."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(cached("prefect", (version("prefect"), sqlite3.sqlite_version), _make), path)


def _make(path: Path) -> None:
    environment = {**os.environ, "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{path}"}
    command = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"]
    subprocess.run(command, env=environment, capture_output=True, check=True)
    # Everything into the one file.
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
