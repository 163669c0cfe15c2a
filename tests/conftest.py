"""Keeps every test away from the user's own folders, and starts one Prefect server for the tests that ask for it."""

import json
import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

# Prefect reads its environment when it is imported, so this comes before any import of ours.
_HOME = Path(tempfile.mkdtemp(prefix="cosmos-tests-"))
for _name in [name for name in os.environ if name.startswith(("COSMOS_", "PREFECT_", "DOCKER_", "SSH_"))]:
    del os.environ[_name]
os.environ |= {
    "COSMOS_HOME": str(_HOME / "cosmos"),
    "PREFECT_HOME": str(_HOME / "prefect"),
    "PREFECT_PROFILES_PATH": str(_HOME / "prefect" / "profiles.toml"),
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DOCKER_CONFIG": str(_HOME / "docker"),
    "COSMOS_SSH_FOLDER": str(_HOME / "ssh"),
    "DO_NOT_TRACK": "1",
    "PREFECT_CLI_PROMPT": "false",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
}


pytest_plugins = ["tests.hosts.plugin"]


@pytest.fixture(scope="session", autouse=True)
def _folder_of_this_session():
    yield
    shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A Cosmos home folder of this test alone."""
    folder = tmp_path / "home"
    monkeypatch.setenv("COSMOS_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def prefect_api():
    """The API address of a real Prefect server, which flows of this process use as well."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker
    from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
    from prefect.testing import utilities

    from tests.prefect_database import give_database

    folder = Path(tempfile.mkdtemp())
    give_database(folder / "prefect-test.db")
    with ExitStack() as stack:
        # The harness would make its folder itself, and the database step by step.
        stack.enter_context(pytest.MonkeyPatch.context()).setattr(utilities, "mkdtemp", lambda: str(folder))
        stack.enter_context(utilities.prefect_test_harness(server_startup_timeout=120))
        stack.enter_context(temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}))
        yield PREFECT_API_URL.value()
        for worker in (APILogWorker, EventsWorker):
            worker.drain_all(timeout=10)


@pytest.fixture(autouse=True)
def _no_hosts_are_left(request):
    """Tests of other files share the Prefect server, and there `auto` must not find a server that is gone."""
    uses_prefect = "prefect_api" in request.fixturenames
    if uses_prefect:
        request.getfixturevalue("prefect_api")
        forget_hosts()
    yield
    if uses_prefect:
        forget_hosts()


def forget_hosts():
    from blocks import GPUHost
    from flows.hosts import saved_hosts

    for name in saved_hosts():
        GPUHost.delete(name)


@pytest.fixture
def shared_server(prefect_api, home):
    """Lets commands on this home folder use the server of the session, as they use that of `cosmos up`."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "server.json").write_text(json.dumps({"api_url": prefect_api}))
    return prefect_api


def pytest_terminal_summary(terminalreporter):
    """Print the matrix of faults and phases, of whatever worker its rows come from."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    calls = [report for report in reports if getattr(report, "when", "") == "call"]
    rows = [value for report in calls for name, value in report.user_properties if name == "matrix"]
    if rows:
        from tests.faults.printed import lines

        terminalreporter.section("what is survived: fault and phase to outcome")
        for line in lines(rows):
            terminalreporter.write_line(line)
