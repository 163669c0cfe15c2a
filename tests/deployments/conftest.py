"""What the tests of `cosmos host` share: a home folder for a module, the command in it, and host blocks."""

import json

import pytest

from blocks import GPUHost

from .command import cosmos


@pytest.fixture(scope="module")
def hosts_home(tmp_path_factory, prefect_api):
    """A home folder whose commands use the Prefect server of the session."""
    folder = tmp_path_factory.mktemp("hosts") / "home"
    folder.mkdir()
    (folder / "server.json").write_text(json.dumps({"api_url": prefect_api}))
    return folder


@pytest.fixture
def run(hosts_home):
    """Runs the command with an SSH folder of its own, and without a terminal."""

    def run(*arguments, **values):
        done = cosmos(hosts_home, *arguments, COSMOS_SSH_FOLDER=str(hosts_home / "ssh"), **values)
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        return done

    return run


@pytest.fixture
def saved(machine, prefect_api):
    """Saves a host block of the machine, as the command would."""

    def saved(name, **fields):
        login = {"address": machine.address, "port": machine.port, "user": "root", "key_path": str(machine.keys.plain)}
        block = GPUHost(kind="ssh", host_key=machine.host_key, workspace=str(machine.workspace), **login, **fields)
        block.save(name, overwrite=True)
        return name

    return saved
