"""What the image of the preview family is built from: the program, and the versions that this machine computes with."""

import ast
import hashlib
import io
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import IO

import cosmos_ops
from cosmos_ops.errors import InputError

LIBRARIES = ("numpy", "opencv-python-headless", "av")
"""What the preview program imports and is not ours."""
PROGRAM = "cosmos_ops.preview"
ROOT = Path(cosmos_ops.__file__).parent
DOCKERFILE = ROOT / "preview" / "Dockerfile"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
WHEELS = PurePosixPath("wheels")
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Context:
    """What is sent to docker: a tar file that is equal, byte for byte, for equal content."""

    tar: IO[bytes]
    size_bytes: int
    file_count: int
    digest: str
    base_image: str
    is_offline: bool
    """Whether it brings all libraries itself."""
    build_args: Mapping[str, str]
    """What the Dockerfile is told."""
    advice: str
    """What to do about a step that fails without internet."""

    def chunks(self, on_sent: Callable[[int], None]) -> Iterator[bytes]:
        """The tar file piece by piece; the callback is told how many more bytes are under way."""
        self.tar.seek(0)
        while chunk := self.tar.read(CHUNK_BYTES):
            yield chunk
            on_sent(len(chunk))


@contextmanager
def build_context(*, wheels: Path | None = None, base_image: str = "") -> Iterator[Context]:
    """Pack what the image is built from.

    Args:
        wheels: Folder with the wheels of all libraries, for a host without internet.
        base_image: Image with Python to build upon; empty for the slim one of the Python that runs here.

    Raises:
        InputError: A wheel is missing in the folder.
    """
    base_image = base_image or f"python:{PYTHON}-slim"
    content = {**_program_files(), "Dockerfile": DOCKERFILE.read_bytes(), "requirements.txt": requirements().encode()}
    needed = _wheel_files(wheels) if wheels else []
    with tempfile.TemporaryFile() as tar:
        _pack(tar, content, needed)
        yield Context(
            tar=tar,
            size_bytes=tar.tell(),
            file_count=len(content) + len(needed),
            digest=_digest(tar, base_image),
            base_image=base_image,
            is_offline=wheels is not None,
            build_args={"PYTHON": PYTHON, "BASE_IMAGE": base_image},
            advice="If the host has no internet, bring the libraries with --wheels (docs/hosts.md)",
        )


def requirements() -> str:
    """The libraries in the versions that this machine computes with, as pip reads them."""
    return "".join(f"{name}=={version(name)}\n" for name in LIBRARIES)


def _pack(tar: IO[bytes], content: Mapping[str, bytes], wheels: Sequence[Path]) -> None:
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.GNU_FORMAT) as archive:
        folder = tarfile.TarInfo(str(WHEELS))
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(folder)
        for name in sorted(content):
            archive.addfile(_entry(name, len(content[name])), io.BytesIO(content[name]))
        for wheel in wheels:
            with wheel.open("rb") as file:
                archive.addfile(_entry(str(WHEELS / wheel.name), wheel.stat().st_size), file)


def _entry(name: str, size_bytes: int) -> tarfile.TarInfo:
    """Nothing in it tells who packed it, or when: owner and time stay at 0."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size_bytes, 0o644
    return entry


def _digest(tar: IO[bytes], base_image: str) -> str:
    digest = hashlib.sha256(base_image.encode())
    tar.seek(0)
    while chunk := tar.read(CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


def _program_files() -> dict[str, bytes]:
    """The modules of the preview program and all of ours that they import, by their place in the context."""
    found: dict[str, bytes] = {}
    wanted = [PROGRAM, *(f"{PROGRAM}.{path.stem}" for path in (ROOT / "preview").glob("*.py"))]
    while wanted:
        path = _file_of(wanted.pop())
        name = f"{ROOT.name}/{path.relative_to(ROOT).as_posix()}" if path else ""
        if path is None or name in found:
            continue
        found[name] = path.read_bytes()
        wanted += _imported(found[name])
    return found


def _file_of(module: str) -> Path | None:
    """The file of a module of ours; none for the names of other things."""
    path = ROOT.parent.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def _imported(source: bytes) -> Iterator[str]:
    """What a module imports of ours: modules, and names that may be modules, with the packages around them."""
    for node in ast.walk(ast.parse(source)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            parts = name.split(".")
            if parts[0] == ROOT.name:
                yield from (".".join(parts[:count]) for count in range(1, len(parts) + 1))


def _wheel_files(folder: Path) -> list[Path]:
    """The wheels of a folder that are needed; others in it stay here.

    Raises:
        InputError: One is missing; the message says how to get it.
    """
    starts = [f"{name.replace('-', '_')}-{version(name)}-" for name in LIBRARIES]
    found = {start: sorted(folder.glob(f"{start}*.whl")) for start in starts}
    if missing := [start.rstrip("-") for start in starts if not found[start]]:
        raise InputError(
            f"{folder} lacks the wheels of {', '.join(missing)}; get them with: pip download --no-deps --only-binary=:all: "
            f"--python-version {PYTHON} --platform manylinux_2_28_x86_64 --dest {folder} {' '.join(requirements().split())}"
        )
    return [wheel for start in starts for wheel in found[start]]
