"""`cosmos host add` as a user types it: nothing is saved before the host key is accepted and the login works."""

import json
import os
import pty
import subprocess

import pytest

from flows.hosts import saved_hosts
from tests.hosts.keys import PASSPHRASE, public_file

from .command import COSMOS, environment, the_error

pytestmark = pytest.mark.gpu_machines


@pytest.fixture
def url(machine):
    return f"ssh://root@{machine.address}:{machine.port}"


@pytest.fixture
def fingerprint(machine):
    shown = subprocess.run(
        ["ssh-keygen", "-lf", public_file(machine.folder / "ssh" / "host_key")], capture_output=True, text=True
    )
    return shown.stdout.split()[1]


@pytest.fixture
def add(run, machine, url, fingerprint):
    """Adds the machine by the command, or changes it."""

    def add(name, *options, **values):
        given = ("--key", machine.keys.plain, "--workspace", machine.workspace, "--accept-fingerprint", fingerprint)
        return run("host", "add", name, url, *given, *options, **values)

    return add


def test_a_wrong_fingerprint_saves_nothing(run, machine, url, fingerprint):
    wrong = "SHA256:" + "A" * 43

    error = the_error(run("host", "add", "never", url, "--key", machine.keys.plain, "--accept-fingerprint", wrong), code=1)

    assert fingerprint in error
    assert wrong in error
    assert "never" not in saved_hosts()


def test_without_a_terminal_it_says_what_to_pass(run, url, fingerprint):
    assert f"--accept-fingerprint {fingerprint}" in the_error(run("host", "add", "never", url))


def test_a_key_that_the_machine_does_not_know_saves_nothing(add, machine):
    assert "authorized_keys" in the_error(add("never", "--key", machine.keys.stranger), code=1)
    assert "never" not in saved_hosts()


def test_a_machine_that_does_not_answer_is_named(run, machine, url):
    machine.stop_sshd()

    assert f"host {machine.address}: the connection failed" in the_error(run("host", "add", "never", url), code=1)


def test_a_gpu_in_two_slots_is_refused(add):
    assert "no GPU may be in two" in the_error(add("never", "--slots", "0,0"))


def test_in_a_terminal_it_shows_the_host_key_and_asks(hosts_home, machine, url, fingerprint):
    terminal = Terminal(hosts_home, "host", "add", "asked", url, "--key", machine.keys.encrypted)

    shown = terminal.answer("[y/N]: ", "y")
    assert fingerprint in shown
    assert "ssh-ed25519" in shown
    terminal.answer("Passphrase of ", PASSPHRASE)
    code, rest = terminal.end()

    assert code == 0, rest
    assert "Saved host asked" in rest
    assert PASSPHRASE not in shown + rest


def test_a_host_key_that_is_not_accepted_saves_nothing(hosts_home, machine, url):
    terminal = Terminal(hosts_home, "host", "add", "never", url, "--key", machine.keys.plain)
    terminal.answer("[y/N]: ", "")

    code, rest = terminal.end()

    assert code == 1
    assert "error: the host key was not accepted" in rest
    assert "never" not in saved_hosts()


def test_an_encrypted_key_takes_the_passphrase_from_a_variable_and_no_secret_is_shown(run, add, machine):
    options = ("secretive", "--key", machine.keys.encrypted)
    refused = the_error(add(*options), code=1)
    done = add(*options, COSMOS_KEY_PASSPHRASE=PASSPHRASE)
    shown = run("host", "show", "secretive")

    assert "set COSMOS_KEY_PASSPHRASE" in refused
    assert done.returncode == 0, done.stderr
    fields = json.loads(shown.stdout)
    assert (fields["passphrase"], fields["key"], fields["key_path"]) == ("***", "", str(machine.keys.encrypted))
    assert PASSPHRASE not in done.stdout + done.stderr + shown.stdout + shown.stderr


def test_a_second_host_of_a_name_is_refused_and_replace_keeps_what_is_not_given(saved, add):
    name = saved("twice", images={"other": "image:1"}, shm_gb=4)

    assert "--replace" in the_error(add(name))
    done = add(name, "--slots", "0+1", "--image", "preview=image:2", "--replace")

    assert done.returncode == 0, done.stderr
    block = saved_hosts()[name]
    assert (block.slots, block.shm_gb) == ([[0, 1]], 4)
    assert block.images == {"other": "image:1", "preview": "image:2"}


class Terminal:
    """The command in a terminal of its own, and somebody who types."""

    def __init__(self, home, *arguments):
        ours, theirs = pty.openpty()
        self._keyboard = ours
        # In a session of its own it cannot find the terminal in which the tests run.
        self._process = subprocess.Popen(
            [*COSMOS, *map(str, arguments)],
            env=environment(home, COSMOS_SSH_FOLDER=str(home / "ssh")),
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        os.close(theirs)

    def answer(self, question, text):
        """Type an answer once it is asked for; gives back what was shown before."""
        shown = b""
        while question.encode() not in shown:
            more = os.read(self._process.stdout.fileno(), 1 << 16)
            assert more, shown.decode()
            shown += more
        os.write(self._keyboard, text.encode() + b"\n")
        return shown.decode()

    def end(self):
        """Exit code, and what was shown since the last answer."""
        rest = self._process.stdout.read().decode()
        self._process.stdout.close()
        os.close(self._keyboard)
        return self._process.wait(60), rest
