"""What is left out of a target comes from OpenSSH's configuration."""

from pathlib import Path

import pytest

from cosmos_ops.errors import InputError
from cosmos_ops.remote.target import SSHTarget, route_to

CONFIG = """
Host rig
    HostName 192.0.2.7
    User artist
    Port 2222
    IdentityFile ~/keys/rig
    IdentitiesOnly yes
    ProxyJump guard@gate:2200,inner
    UserKnownHostsFile /etc/known_a /etc/known_b
Host tunnel
    ProxyCommand nc -x proxy %h %p
Host plain
    ProxyJump none
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config").write_text(CONFIG)
    return tmp_path


def route(folder, address, **values):
    return route_to(SSHTarget(address, ssh_folder=folder, **values))


def test_an_alias_is_what_the_configuration_says(folder):
    found = route(folder, "rig")

    assert (found.address, found.user, found.port) == ("192.0.2.7", "artist", 2222)
    assert found.key_paths == (Path("~/keys/rig").expanduser(),)
    assert not found.uses_agent
    assert found.known_hosts == (Path("/etc/known_a"), Path("/etc/known_b"))


def test_what_the_target_names_goes_first(folder):
    found = route(folder, "rig", user="root", port=22, key_path="~/other")

    assert (found.user, found.port, found.key_paths) == ("root", 22, (Path("~/other").expanduser(),))


def test_jumps_are_machines_with_their_own_entries(folder):
    assert [(jump.address, jump.user, jump.port) for jump in route(folder, "rig").jumps] == [
        ("gate", "guard", 2200),
        ("inner", "", 0),
    ]
    assert route(folder, "plain").jumps == ()


def test_a_proxy_command_has_its_words_filled_in(folder):
    assert route(folder, "tunnel").proxy_command == "nc -x proxy tunnel 22"


def test_without_configuration_openssh_s_defaults_hold(tmp_path):
    (tmp_path / "id_ed25519").write_text("a key")
    found = route(tmp_path, "rig.example", user="me")

    assert (found.address, found.port, found.known_hosts) == ("rig.example", 22, (tmp_path / "known_hosts",))
    assert found.key_paths == (tmp_path / "id_ed25519",)
    assert found.uses_agent


def test_a_configuration_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "config").write_text("Host a b c 'd\n")

    with pytest.raises(InputError, match=r"config cannot be read.*give the host's address"):
        route(tmp_path, "rig")


def test_secrets_are_not_shown():
    assert "hush" not in repr(SSHTarget("rig", key="hush", passphrase="hush"))
