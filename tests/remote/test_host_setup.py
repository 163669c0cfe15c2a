"""The image of the preview family is built on the host from what this machine computes with, and proves itself by a real job."""

import ast
import re
import sys
import tarfile
from contextlib import closing, contextmanager

import pytest

from cosmos_ops.errors import HostUnhealthyError, ImageMissingError, InputError, ProcessFailedError
from cosmos_ops.remote.build_context import LIBRARIES, PYTHON, build_context, requirements
from cosmos_ops.remote.host import ignore_bytes
from cosmos_ops.remote.host_setup import build, is_built
from cosmos_ops.remote.ssh_host import SSHHost
from cosmos_ops.smoke import run_smoke_job
from tests.hosts.debian import base_python_version
from tests.hosts.images import BASE, TINY
from tests.hosts.wheels import preview_wheels

from .servers import a_spec

pytestmark = pytest.mark.gpu_machines

TAG = "cosmos-preview:test"
ALIAS = "base-of-test:1"


@pytest.fixture
def host(machine, tmp_path):
    with closing(SSHHost(a_spec(machine, tmp_path))) as host:
        yield host


@contextmanager
def offline_context(base_image=BASE):
    """With the wheels of the base image, which are ours only if its Python is."""
    if base_python_version() != PYTHON:
        pytest.skip(f"the base image has Python {base_python_version()}, this is {PYTHON}")
    with build_context(wheels=preview_wheels(), base_image=base_image) as context:
        yield context


def built(host, context, tag=TAG):
    """Build, and give back the lines of docker and how many bytes were sent."""
    lines, sent = [], []
    build(host, context, tag, on_line=lines.append, on_sent=sent.append)
    return lines, sum(sent)


# What is sent


def test_equal_content_gives_equal_bytes():
    with build_context() as one, build_context() as other:
        assert one.digest == other.digest
        assert b"".join(one.chunks(ignore_bytes)) == b"".join(other.chunks(ignore_bytes))


def test_another_base_is_another_context():
    with build_context() as one, build_context(base_image="python:3.9") as other:
        assert one.digest != other.digest


def test_the_program_comes_with_all_that_it_imports_and_nothing_else():
    with build_context() as context:
        context.tar.seek(0)
        with tarfile.open(fileobj=context.tar) as tar:
            sources = {member.name: tar.extractfile(member).read() for member in tar if member.name.endswith(".py")}
    imported = {name for source in sources.values() for name in top_level_imports(source)}
    assert {"cosmos_ops/preview/__main__.py", "cosmos_ops/errors.py"} <= set(sources)
    assert not any(name.startswith(("cosmos_ops/remote", "cosmos_ops/store", "cosmos_ops/params")) for name in sources)
    assert {"numpy", "cv2", "av", "cosmos_ops"} <= imported
    assert imported - {"numpy", "cv2", "av", "cosmos_ops"} <= sys.stdlib_module_names
    assert [line.partition("==")[0] for line in requirements().splitlines()] == list(LIBRARIES)


def top_level_imports(source):
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def test_a_folder_without_the_wheels_is_refused_with_the_command_that_brings_them(tmp_path):
    with pytest.raises(InputError, match="pip download") as caught, build_context(wheels=tmp_path):
        pass

    assert all(line in str(caught.value) for line in requirements().split())


# On the host


def test_it_is_built_offline_computes_and_is_not_built_again(machine, host):
    forget(machine, TAG)
    machine.docker.api.tag(BASE, *ALIAS.split(":"))
    with offline_context(ALIAS) as context:
        assert not is_built(host, context, TAG)
        lines, sent = built(host, context)

        assert sent == context.size_bytes
        assert lines[0].startswith("Step 1/")
        assert lines[-1] == f"Successfully tagged {TAG}"
        assert not any(line.startswith("WARNING") for line in lines)
        assert is_built(host, context, TAG)
        assert run_smoke_job(host, TAG, on_news=print) == 3
        assert [path for path in machine.workspace.rglob("*") if path.is_file()] == []
        assert machine.containers() == []

        image = machine.docker.images.get(TAG).id
        built(host, context)
        assert machine.docker.images.get(TAG).id == image

        machine.docker.api.tag(TINY, *ALIAS.split(":"), force=True)
        assert not is_built(host, context, TAG), "the base of that name is another one now"


def test_a_step_that_fails_is_named_with_its_last_lines_and_a_way_out(host):
    with offline_context(TINY) as context, pytest.raises(HostUnhealthyError) as caught:
        built(host, context, "cosmos-preview:broken")

    assert re.search(r"Step \d+/\d+ : RUN .*pip install", str(caught.value))
    assert "python3: not found" in str(caught.value)
    assert "--base-image" in str(caught.value)


def test_the_smoke_job_wants_an_image_that_is_there(host):
    with pytest.raises(ImageMissingError, match="no-such-image:1"):
        run_smoke_job(host, "no-such-image:1", on_news=print)


def test_the_smoke_job_of_an_image_without_the_program_fails_with_its_words(machine, host):
    with pytest.raises(ProcessFailedError, match=r"smoke job failed.*No module named"):
        run_smoke_job(host, BASE, on_news=print)

    assert machine.containers() == []


def forget(machine, tag):
    """Remove an image with the layers that nothing else needs, so that it is built anew."""
    if any(tag in image.tags for image in machine.docker.images.list()):
        machine.docker.images.remove(tag, force=True)
    machine.docker.images.prune()
