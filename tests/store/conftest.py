"""Every test that asks for a `store` or a `url` runs over SQLite and over a real PostgreSQL."""

import os

import pytest

from .builders import Clock, open_store
from .postgresql import HOW_TO_INSTALL, binaries, running_server


@pytest.fixture(scope="session")
def postgresql():
    found = binaries()
    if found is None and os.environ.get("CI") == "true":
        pytest.fail(HOW_TO_INSTALL)
    if found is None:
        pytest.skip(HOW_TO_INSTALL)
    with running_server(found) as server:
        yield server


@pytest.fixture
def sqlite_url(tmp_path):
    return f"sqlite:///{tmp_path}/data/store.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request):
    if request.param == "sqlite":
        return request.getfixturevalue("sqlite_url")
    return request.getfixturevalue("postgresql").new_database()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(url, clock):
    with open_store(url, now=clock) as store:
        yield store
