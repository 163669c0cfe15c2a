"""Builds the images of the simulated models on a simulated server, with the programs where NVIDIA has them."""

import io
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

from tests.hosts.images import LIBRARIES
from tests.hosts.machine import GPUMachine

MODEL_IMAGES = {
    "transfer1": "cosmos-test-transfer1:latest",
    "transfer25": "cosmos-test-transfer25:latest",
    "cosmos3": "cosmos-test-cosmos3:latest",
}
"""The image of each family."""

COMMON = "cosmos-test-models-common:latest"
PACKAGE = "simulated_models"
FOLDER = Path(__file__).parent
LEFT_OUT = ("image.py",)

COMMON_DOCKERFILE = f"""\
FROM {LIBRARIES}
COPY {PACKAGE} /usr/lib/python3/dist-packages/{PACKAGE}
COPY bin /usr/local/bin
ENV PYTHONPATH=/workspace
WORKDIR /workspace
RUN python3 -m compileall -q /usr/lib/python3/dist-packages/{PACKAGE}
"""
FAMILY_DOCKERFILE = f"FROM {COMMON}\nCOPY workspace /workspace\n"

PROGRAM = f"""\
import sys

from {PACKAGE}.{{module}} import main

if __name__ == "__main__":
    sys.exit(main())
"""
TRANSFER1 = "cosmos_transfer1"
UPSAMPLER = f"{TRANSFER1}/auxiliary/upsampler"
# Like the real one, `transfer.py` needs the folder of its package in PYTHONPATH.
WORKSPACES: Mapping[str, Mapping[str, str]] = {
    "transfer1": {
        f"{TRANSFER1}/__init__.py": "",
        f"{TRANSFER1}/diffusion/inference/transfer.py": f"import {TRANSFER1}\n{PROGRAM.format(module='transfer1')}",
        f"{TRANSFER1}/utils/misc.py": f"from {PACKAGE}.transfer1_upsampler import extract_video_frames\n",
        f"{UPSAMPLER}/model/upsampler.py": f"from {PACKAGE}.transfer1_upsampler import PixtralPromptUpsampler\n",
        f"{UPSAMPLER}/inference/upsampler_pipeline.py": PROGRAM.format(module="transfer1_upsampler"),
    },
    "transfer25": {"examples/inference.py": PROGRAM.format(module="transfer25")},
    "cosmos3": {
        "cosmos_framework/scripts/inference.py": PROGRAM.format(module="cosmos3"),
        "cosmos_framework/inference/prompt_upsampling.py": PROGRAM.format(module="cosmos3_upsampling"),
    },
}


def give_models(machine: GPUMachine, *families: str) -> None:
    """Build the images of these families, of all if none is named, where they are not there."""
    for family in families or MODEL_IMAGES:
        if not machine.docker.images.list(MODEL_IMAGES[family]):
            give_common(machine)
            _build(machine, MODEL_IMAGES[family], FAMILY_DOCKERFILE, workspace_files(family))


def give_common(machine: GPUMachine) -> None:
    """Build what the images share, if it is not there."""
    if not machine.docker.images.list(COMMON):
        _build(machine, COMMON, COMMON_DOCKERFILE, {**package_files(), **bin_files()})


def lay_out(folder: Path, family: str) -> dict[str, str]:
    """Put the programs of a family into a folder of this machine, and return the environment that finds them there."""
    for name, content in {**workspace_files(family), **package_files(), **bin_files()}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(_mode(name))
    python = Path(sys.executable).parent
    return {"PATH": f"{folder / 'bin'}:{python}:/usr/bin:/bin", "PYTHONPATH": f"{folder / 'workspace'}:{folder}"}


def workspace_files(family: str) -> dict[str, bytes]:
    """What lies below `/workspace`, where NVIDIA has it."""
    return {f"workspace/{name}": text.encode() for name, text in WORKSPACES[family].items()}


def package_files() -> dict[str, bytes]:
    """The simulations of all families, as a package."""
    paths = [path for path in FOLDER.glob("*.py") if not path.name.startswith("test_") and path.name not in LEFT_OUT]
    return {f"{PACKAGE}/{path.name}": path.read_bytes() for path in sorted(paths)}


def bin_files() -> dict[str, bytes]:
    """Commands on the PATH."""
    return {"bin/torchrun": f"#!/usr/bin/env python3\n{PROGRAM.format(module='torchrun')}".encode()}


def _mode(name: str) -> int:
    return 0o755 if name.startswith("bin/") else 0o644


def _build(machine: GPUMachine, tag: str, dockerfile: str, files: Mapping[str, bytes]) -> None:
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        for name, content in {"Dockerfile": dockerfile.encode(), **files}.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), _mode(name)
            tar.addfile(entry, io.BytesIO(content))
    context.seek(0)
    machine.docker.images.build(fileobj=context, custom_context=True, tag=tag, network_mode="none", rm=True, forcerm=True)
