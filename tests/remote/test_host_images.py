"""Images that a host fetches from a registry, by a real dockerd."""

from contextlib import closing, suppress

import docker.errors
import pytest

from cosmos_ops.errors import HostError, ImageMissingError
from cosmos_ops.remote.host_images import find_image, pull, reference
from cosmos_ops.remote.ssh_host import SSHHost
from tests.hosts.downloads import running_file_server

from .servers import a_spec

pytestmark = pytest.mark.gpu_machines


@pytest.fixture
def host(machine, tmp_path):
    with closing(SSHHost(a_spec(machine, tmp_path))) as host:
        yield host


@pytest.fixture
def server():
    with running_file_server() as server:
        yield server


@pytest.mark.parametrize(
    ("image", "name", "tag"),
    [
        ("python", "python", "latest"),
        ("python:3.12-slim", "python", "3.12-slim"),
        ("nvcr.io/nvidia/cuda:13.0.2", "nvcr.io/nvidia/cuda", "13.0.2"),
        ("localhost:5000/cosmos", "localhost:5000/cosmos", "latest"),
        ("localhost:5000/cosmos:1", "localhost:5000/cosmos", "1"),
        ("cosmos@sha256:0123", "cosmos", "sha256:0123"),
    ],
)
def test_a_name_is_taken_apart_as_docker_does(image, name, tag):
    assert reference(image) == (name, tag)


def test_an_image_is_fetched_layer_by_layer_and_then_is_there(machine, host, server):
    image = server.add_image("cosmos/model", "1", [{"weights": b"w" * 5000}, {"program": b"p"}])
    news = []
    try:
        assert find_image(host, image) is None
        pull(host, image, on_news=news.append)

        found = find_image(host, image)
        assert found is not None
        assert found.size_bytes >= 5001
        assert found.id == machine.docker.images.get(image).id
        assert news[-1].startswith("2 of 2 layers, ")
    finally:
        with suppress(docker.errors.ImageNotFound):
            machine.docker.images.remove(image)


def test_an_image_that_the_registry_lacks_is_named_with_a_way_out(host, server):
    with pytest.raises(ImageMissingError, match=r"no-such/model:1.*docker load"):
        pull(host, f"{server.address}/no-such/model:1", on_news=print)


def test_a_registry_that_does_not_answer_is_no_missing_image(host, server):
    server.close()

    with pytest.raises(HostError, match="refused") as caught:
        pull(host, f"{server.address}/cosmos/model:1", on_news=print)

    assert not isinstance(caught.value, ImageMissingError)
