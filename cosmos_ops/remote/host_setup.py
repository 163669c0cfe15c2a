"""Docker on a host builds an image; `build_context` and `family_images` have what is sent."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from typing import Any

import docker
import docker.errors

from cosmos_ops.errors import HostUnhealthyError
from cosmos_ops.remote.build_context import Context
from cosmos_ops.remote.foreign import translated
from cosmos_ops.remote.ssh_host import SSHHost

CONTEXT_LABEL = "cosmos.context"
"""On an image: the digest of all that it was built from, but for its base."""
SILENCE_LIMIT_S = 1800
"""How long a step may say nothing; pip with a slow mirror takes its time."""
LAST_LINES = 6
PULLED = ("Pull complete", "Already exists")
BOOKKEEPING = ("--->", "Removing intermediate container")


def image_tag() -> str:
    """Name and tag of the image; another version of this project has another one."""
    return f"cosmos-preview:{version('cosmos-ops')}"


def is_built(host: SSHHost, context: Context, tag: str) -> bool:
    """Whether the image on the host was made of just this, on the base that the host has now."""
    with translated(host.name):
        built, base = (_inspected(host.docker.api(), image) for image in (tag, context.base_image))
    if built is None or (built["Config"].get("Labels") or {}).get(CONTEXT_LABEL) != context.digest:
        return False
    layers = [] if base is None else base["RootFS"]["Layers"]
    return bool(built["RootFS"]["Layers"][: len(layers)] == layers)


def build(host: SSHHost, context: Context, tag: str, *, on_line: Callable[[str], None], on_sent: Callable[[int], None]) -> None:
    """Build the image on the host; steps whose content docker knows are not done again.

    Args:
        host: Where.
        context: What is sent there.
        tag: Name of the image.
        on_line: Told every line of docker.
        on_sent: Told how many more bytes are under way.

    Raises:
        HostUnhealthyError: A step failed; the message has its last lines.
    """
    with translated(host.name):
        answers = host.docker.api().build(
            fileobj=context.chunks(on_sent),  # type: ignore[arg-type]
            custom_context=True,
            tag=tag,
            buildargs=dict(context.build_args),
            labels={CONTEXT_LABEL: context.digest},
            network_mode="none" if context.is_offline else None,
            rm=True,
            forcerm=True,
            decode=True,
            timeout=SILENCE_LIMIT_S,
        )
        _follow(host, answers, context.advice, on_line)


def _follow(host: SSHHost, answers: Iterator[Any], advice: str, on_line: Callable[[str], None]) -> None:
    step, last = "it did not begin", deque[str](maxlen=LAST_LINES)
    for answer in answers:
        for line in _lines(answer):
            if line.startswith("Step "):
                step = line
                last.clear()
            else:
                last.append(line)
            on_line(line)
        if "error" in answer:
            words = " | ".join([*last, " ".join(str(answer["error"]).split())])
            raise HostUnhealthyError(f"host {host.name}: the image could not be built; {step}: {words}. {_hint(words, advice)}")


def _lines(answer: Mapping[str, Any]) -> list[str]:
    """What an answer of the builder says; of a pull only what is done, not every move of its bars."""
    text = str(answer.get("stream", ""))
    if "status" in answer and ("id" not in answer or answer["status"] in PULLED):
        text = " ".join(str(answer[key]) for key in ("id", "status") if key in answer)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith(BOOKKEEPING)]


def _hint(words: str, advice: str) -> str:
    if "no space left" in words.lower():
        return "Make room where docker keeps its images (`docker system df`, `docker image prune`)"
    if any(part in words for part in ("No module named pip", "python3: not found", "python3: command not found")):
        return "The base image needs python3 with pip; name another one with --base-image"
    if any(part in words for part in ("pull access denied", "dial tcp", "manifest unknown", "i/o timeout", "no such host")):
        return "If the host has no internet, load an image with Python there (`docker load`) and name it with --base-image"
    return advice


def _inspected(api: docker.APIClient, image: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = api.inspect_image(image)  # type: ignore[no-untyped-call]
    except docker.errors.ImageNotFound:
        return None
    return found
