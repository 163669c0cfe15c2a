"""What the images of the GPU families are built from; the builds themselves need NVIDIA's images and the internet."""

import re
import tarfile

import pytest

from cosmos_ops.checkpoints import MANIFEST
from cosmos_ops.errors import InputError
from cosmos_ops.remote.family_images import FAMILY_IMAGES, driver_number, family_context

IMAGES = pytest.mark.parametrize("image", FAMILY_IMAGES.values(), ids=FAMILY_IMAGES.keys())


def dockerfile(image):
    with family_context(image, {}) as context:
        context.tar.seek(0)
        with tarfile.open(fileobj=context.tar) as tar:
            return tar.extractfile("Dockerfile").read().decode()


def digest(image):
    with family_context(image, {}) as context:
        return context.digest


def test_every_family_with_model_files_has_an_image():
    assert FAMILY_IMAGES.keys() == MANIFEST.keys()


@IMAGES
def test_the_source_is_pinned_to_a_commit(image):
    filled = image.with_sources()

    assert re.fullmatch("[0-9a-f]{40}", image.commit)
    assert filled.source_url == f"https://codeload.github.com/{image.repository}/tar.gz/{image.commit}"
    assert filled.tag.endswith(image.commit[:12])


@IMAGES
def test_what_varies_stands_at_the_top_and_every_step_is_one_that_any_docker_knows(image):
    text = dockerfile(image.with_sources())
    head, _, steps = text.partition("\n#")

    assert f"ARG BASE_IMAGE={next(iter(image.drivers))}" in head
    assert "ARG SOURCE_URL=https://" in head
    assert "FROM ${BASE_IMAGE} AS source" in steps
    assert "LABEL org.opencontainers.image.revision=${SOURCE_COMMIT}" in steps
    # These need BuildKit, which docker's API does not use by itself.
    assert not re.search(r"RUN --|COPY --(?!from=)|<<|^# syntax", text, re.MULTILINE)
    assert {name for name, _ in re.findall(r"\$\{(\w+)(})", text)} <= {"BASE_IMAGE", "SOURCE_URL", "SOURCE_COMMIT"}


@IMAGES
def test_another_source_is_another_context(image):
    assert digest(image.with_sources()) == digest(image.with_sources())
    assert digest(image.with_sources()) != digest(image.with_sources(source_url="http://mirror/source.tar.gz"))
    assert digest(image.with_sources()) != digest(image.with_sources(base_image="mirror/base:1"))


def test_the_proxies_of_the_host_block_reach_the_build_and_no_other_variable_does():
    environment = {"HTTPS_PROXY": "http://proxy:3128", "no_proxy": "localhost", "HF_ENDPOINT": "http://mirror"}
    image = FAMILY_IMAGES["transfer25"].with_sources()

    with family_context(image, environment) as context:
        assert context.build_args == {"HTTPS_PROXY": "http://proxy:3128", "no_proxy": "localhost"}
        assert context.digest == digest(image)


@pytest.mark.parametrize("text", ["two words", "line\nRUN evil", "tab\there"])
def test_a_source_that_would_add_to_the_dockerfile_is_refused(text):
    with pytest.raises(InputError, match="leave blanks"):
        FAMILY_IMAGES["transfer25"].with_sources(source_url=text)
    with pytest.raises(InputError, match="leave blanks"):
        FAMILY_IMAGES["transfer25"].with_sources(base_image=text)


@pytest.mark.parametrize(
    ("older", "newer"), [("570.124.06", "570.133.20"), ("535.86", "570.124.06"), ("570.133.20", "580.65.06"), ("9.1", "10.0")]
)
def test_drivers_are_compared_by_their_numbers(older, newer):
    assert driver_number(older) < driver_number(newer)


def test_the_driver_follows_from_the_base_image():
    cosmos3 = FAMILY_IMAGES["cosmos3"]

    assert cosmos3.with_sources().driver_min == "580.65.06"
    assert cosmos3.with_sources(base_image="nvidia/cuda:12.8.1-cudnn-devel-ubuntu24.04").driver_min == "570.124.06"
    assert cosmos3.with_sources(base_image="mirror/cuda:1").driver_min == "570.124.06"
