"""What `cosmos host add` is given: each word that cannot be meant is named, with what to write instead."""

import pytest

from cosmos_ops.errors import InputError
from deployments.host_adding import Wanted, read_slots, read_url


@pytest.mark.parametrize(
    ("url", "fields"),
    [
        ("ssh://root@10.0.0.5:2222", ("10.0.0.5", "root", 2222)),
        ("ssh://gpu-alias", ("gpu-alias", "", 0)),
        ("ssh://first%40last@[::1]:22/", ("::1", "first@last", 22)),
    ],
)
def test_an_address_that_can_be_meant(url, fields):
    assert tuple(read_url(url).values()) == fields


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("root@10.0.0.5", "not of the form ssh://"),
        ("http://10.0.0.5", "not of the form ssh://"),
        ("ssh://", "not of the form ssh://"),
        ("ssh://root@", "not of the form ssh://"),
        ("ssh://root:secret@10.0.0.5", "password"),
        ("ssh://10.0.0.5/data", "--workspace"),
        ("ssh://10.0.0.5:70000", "Port out of range"),
        ("ssh://10.0.0.5:0", "cannot be read"),
        ("ssh://10.0.0.5:abc", "cannot be read"),
        ("ssh://[::1", "cannot be read"),
        ("ssh://two words", "cannot be read"),
    ],
)
def test_an_address_that_cannot_be_meant(url, words):
    with pytest.raises(InputError, match=words) as caught:
        read_url(url)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("text", "slots"), [("0", [[0]]), ("0,1", [[0], [1]]), ("0+1, 2+3", [[0, 1], [2, 3]])])
def test_slots(text, slots):
    assert read_slots(text) == slots


@pytest.mark.parametrize("text", ["a", "0,,1", "0 1", "-1", "0-3"])
def test_slots_that_cannot_be_meant(text):
    with pytest.raises(InputError, match="two slots"):
        read_slots(text)


@pytest.mark.parametrize("name", ["local", "auto", "GPU-1", "gpu_1", "gpu 1", "-gpu", ""])
def test_a_name_that_no_host_can_have(name):
    with pytest.raises(InputError, match=r"taken|lower-case letters"):
        read(name)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"images": ("cosmos-preview",)}, "FAMILY=IMAGE"),
        ({"key": "/no/such/key"}, "ssh-keygen -t ed25519"),
        ({"docker_socket": "docker.sock"}, "no absolute path"),
        ({"docker_command": "sudo 'docker"}, "cannot be taken apart"),
        ({"fingerprint": "MD5:00"}, "43 characters"),
    ],
)
def test_an_option_that_cannot_be_meant(options, words):
    with pytest.raises(InputError, match=words):
        read("gpu-1", **options)


def read(name, **options):
    nothing = {"key": "", "workspace": "", "slots": "", "images": (), "docker_command": "", "docker_socket": ""}
    return Wanted.read(name, "ssh://gpu", **{"fingerprint": "", "replaces": False, **nothing, **options})
