"""A GPU server reached by SSH as a host: files by SFTP, containers by Docker's API, both through one connection."""

import posixpath
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any

import docker
import docker.errors

from cosmos_ops.errors import CheckpointMissingError, ContainerGoneError, DiskFullError, HostUnhealthyError, ImageMissingError
from cosmos_ops.gpu_samples import GPU_SAMPLE_COMMAND
from cosmos_ops.job import ContainerExit, ContainerSpec, InputFile, JobPaths, LogLine
from cosmos_ops.remote import containers, follow
from cosmos_ops.remote.connection import Connection
from cosmos_ops.remote.docker_client import DockerClient
from cosmos_ops.remote.file_facts import file_facts
from cosmos_ops.remote.foreign import translated
from cosmos_ops.remote.gpus import read_gpus
from cosmos_ops.remote.host import (
    GPU,
    LEFT_OVER_AFTER_MIN,
    Busy,
    ContainerState,
    Fetch,
    FileFacts,
    Health,
    ignore_bytes,
    ignore_contact,
)
from cosmos_ops.remote.slots import CREATED, ENDED, GPUS_LABEL, abandoned, free_slot, gives_way, large_enough, rivals
from cosmos_ops.remote.spec import HostSpec, Slot
from cosmos_ops.remote.transfer import Download, Transfers, Upload

FOLDER_LABEL = "cosmos.folder"
INPUTS, PARTIALS, MODELS = PurePosixPath("inputs"), PurePosixPath("partials"), PurePosixPath("models")
DISK_FREE_MIN_BYTES = 200_000_000
SEEN_FOR_S = 0.05
"""How long a look at the containers of the host serves all who follow one."""


class SSHHost:
    """Runs containers on a machine with Docker; safe to share among threads."""

    def __init__(self, spec: HostSpec) -> None:
        self.name = spec.name
        self.slot_count = len(spec.slots)
        self.slots = spec.slots
        self.runs_images = True
        self.spec = spec
        self.connection = Connection(spec.name, spec.target)
        self.docker = DockerClient(self.connection, socket=spec.docker_socket, command=spec.docker_command)
        self._lock = threading.Lock()
        self._workspace: PurePosixPath | None = None
        self._user = spec.container_user
        self._transfers: Transfers | None = None
        self._seen: tuple[float, dict[str, dict[str, Any]]] = (0.0, {})

    @property
    def workspace(self) -> PurePosixPath:
        """The workspace as an absolute path on the machine."""
        if self._workspace is None:
            with self.connection.sftp() as sftp:
                home = sftp.normalize(".")
            folder = self.spec.workspace.removeprefix("~/") or "cosmos"
            self._workspace = PurePosixPath(posixpath.normpath(posixpath.join(home, folder)))
        return self._workspace

    @property
    def transfers(self) -> Transfers:
        """Moves files to and from the machine."""
        with self._lock:
            if self._transfers is None:
                self._transfers = Transfers(self.connection, partials=self.workspace / PARTIALS)
            return self._transfers

    # Files

    def paths(self, job_folder: PurePosixPath) -> JobPaths:  # noqa: ARG002
        """The mounts of every container."""
        return JobPaths(job=containers.JOB_FOLDER, inputs=containers.INPUTS_FOLDER)

    def image(self, family: str, default: str) -> str:
        """The image that the block names for a family."""
        return self.spec.images.get(family, default)

    def put(self, files: Sequence[InputFile], *, on_sent: Callable[[int], None] = ignore_bytes) -> int:
        """Send inputs that are not there yet."""
        uploads = [Upload(file.source, self.workspace / file.host_path, file.sha256, file.size_bytes) for file in files]
        return self.transfers.upload(uploads, on_sent=on_sent)

    def write(self, path: PurePosixPath, text: str) -> None:
        """Write a small file, completely or not at all."""
        self.transfers.write_text(self.workspace / path, text)

    def read(self, path: PurePosixPath) -> str | None:
        """The text of a small file; none if it is not there."""
        return self.transfers.read_text(self.workspace / path)

    def get(self, files: Sequence[Fetch], *, on_received: Callable[[int], None] = ignore_bytes) -> None:
        """Bring files home, verified."""
        downloads = [Download(self.workspace / file.path, file.target, file.sha256, file.size_bytes) for file in files]
        self.transfers.download(downloads, on_received=on_received)

    def facts(self, paths: Sequence[PurePosixPath]) -> dict[PurePosixPath, FileFacts]:
        """Size and checksum of files that are there; the host computes them."""
        return file_facts(self.connection, self.workspace, paths)

    def exists(self, path: PurePosixPath) -> bool:
        """Whether there is such a file or folder."""
        return self.transfers.exists(self.workspace / path)

    def remove_folder(self, path: PurePosixPath) -> None:
        """Remove a folder with all that is in it."""
        self.transfers.remove_tree(self.workspace / path)

    # Containers

    def check(self, container: ContainerSpec, inputs: Sequence[InputFile]) -> None:
        """Docker, image, a slot that is large enough, model files, and room for the inputs."""
        self._check_image(container.image)
        if not large_enough(self.spec.slots, container.gpu_count):
            raise HostUnhealthyError(
                f"host {self.name} has no slot of {container.gpu_count} GPUs; give it one (`cosmos host add`), or use fewer GPUs"
            )
        if container.family:
            # Looking needs a host itself.
            from cosmos_ops.remote.checkpoint_store import require

            require(self, container.family, container.modes)
        free = self.transfers.free_bytes(self.workspace)
        needed = sum(file.size_bytes for file in inputs) + DISK_FREE_MIN_BYTES
        if free < needed and not all(self.exists(file.host_path) for file in inputs):
            raise DiskFullError(
                f"host {self.name}: {self.workspace} has {free / 1e6:.0f} MB left, the job needs {needed / 1e6:.0f} MB; make room"
            )

    def start(self, name: str, container: ContainerSpec, *, folder: PurePosixPath, labels: Mapping[str, str]) -> Busy | None:
        """Take a GPU slot by creating the container, look around, and start it; see `slots` for why two never start."""
        with translated(self.name):
            api = self.docker.api()
            found = {containers.name_of(one): one for one in containers.listed(api, {})}
            if name not in found:
                slots = large_enough(self.spec.slots, container.gpu_count)
                slot = free_slot(slots, [containers.occupant(one) for one in found.values()])
                if slot is None:
                    return self._busy(api, found)
                if not self._create(api, name, container, slot, folder, labels):
                    return Busy("another process starts it at this moment")
            elif found[name]["State"] != CREATED:
                return None
            return self._start(api, name)

    def follow(
        self,
        name: str,
        *,
        on_line: Callable[[LogLine], None],
        is_cancelled: Callable[[], bool],
        stall_limit_s: Callable[[], float],
        grace_s: float,
        on_contact: Callable[[bool], None] = ignore_contact,
    ) -> ContainerExit:
        """Hand over every line as it comes, until the container has ended."""
        watched = follow.Watched(
            read=lambda offset: self.transfers.read_from(self._log_of(name), offset, follow.READ_BYTES),
            exit=lambda: self._exit(name),
            stop=lambda: self.stop(name, grace_s=grace_s),
        )
        hide = [secret for secret in self.spec.secrets.values() if secret]
        return follow.follow(
            watched,
            on_line=lambda line: on_line(follow.masked(line, hide)),
            is_cancelled=is_cancelled,
            on_contact=on_contact,
            stall_limit_s=stall_limit_s,
        )

    def stop(self, name: str, *, grace_s: float) -> None:
        """SIGTERM, and SIGKILL once the grace is over."""
        with translated(self.name), suppress(docker.errors.NotFound):
            api = self.docker.api()
            if api.inspect_container(name)["State"]["Status"] == CREATED:
                api.remove_container(name, v=True)
            else:
                api.stop(name, timeout=int(grace_s))
        self._seen = (0.0, {})

    def find(self, labels: Mapping[str, str]) -> list[ContainerState]:
        """Our containers that carry all these labels."""
        with translated(self.name):
            api = self.docker.api()
            return [self._state(api, found) for found in containers.listed(api, labels)]

    def remove(self, name: str) -> None:
        """Remove an ended container."""
        with translated(self.name), suppress(docker.errors.NotFound):
            try:
                self.docker.api().remove_container(name, v=True)
            except docker.errors.APIError as error:
                # 409: it runs, or somebody else removes it at this moment.
                if error.status_code != 409:
                    raise

    # The machine

    def tidy(self) -> None:
        """Remove old partial files; the host's own clock tells which they are."""
        folder = str(self.workspace / PARTIALS)
        self.connection.run(["find", folder, "-type", "f", "-mmin", f"+{LEFT_OVER_AFTER_MIN}", "-delete"])

    def gpus(self) -> list[GPU]:
        """What nvidia-smi says."""
        return read_gpus(self.connection)

    def lacks(self, family: str, modes: Sequence[str]) -> str:
        """Why jobs of these modes cannot run there for lack of model files; empty if they can."""
        # Looking needs a host itself.
        from cosmos_ops.remote.checkpoint_store import require

        try:
            require(self, family, modes)
        except CheckpointMissingError as error:
            return str(error)
        return ""

    def gpu_figures(self, name: str) -> str:
        """What nvidia-smi prints for the GPUs of the container's slot."""
        found = self._look().get(name)
        gpus = str((found or {}).get("Labels", {}).get(GPUS_LABEL, ""))
        return self.connection.run([*GPU_SAMPLE_COMMAND, "-i", gpus]).stdout if gpus else ""

    def health(self) -> Health:
        """Docker answers and there is room."""
        try:
            with translated(self.name):
                self.docker.api().ping()
            free = self.transfers.free_bytes(self.workspace)
        except HostUnhealthyError as error:
            return Health(problems=(str(error),))
        low = f"only {free / 1e6:.0f} MB are free under {self.workspace}; make room" if free < DISK_FREE_MIN_BYTES else None
        return Health(problems=(low,) if low else ())

    def close(self) -> None:
        """Close the connection; containers go on."""
        self.docker.close()
        self.connection.close()

    def _check_image(self, image: str) -> None:
        with translated(self.name):
            try:
                self.docker.api().inspect_image(image)  # type: ignore[no-untyped-call]
            except docker.errors.ImageNotFound as error:
                raise ImageMissingError(
                    f"host {self.name}: the image {image} is not there; `cosmos host setup {self.name} --family ...` brings it"
                ) from error

    def _busy(self, api: docker.APIClient, found: Mapping[str, dict[str, Any]]) -> Busy:
        occupants = [containers.occupant(one) for one in found.values()]
        for one in abandoned(occupants, containers.now_s(api)):
            # Without force: if it was started after all, this fails, and it stays.
            with suppress(docker.errors.APIError):
                api.remove_container(one.name, v=True)
        on = sorted(one.name for one in occupants if not one.is_over)
        return Busy(f"all {len(self.spec.slots)} GPU slots of {self.name} are taken, by {', '.join(on)}")

    def _create(
        self,
        api: docker.APIClient,
        name: str,
        container: ContainerSpec,
        slot: Slot,
        folder: PurePosixPath,
        labels: Mapping[str, str],
    ) -> bool:
        at = containers.Placement(
            job_folder=self.workspace / folder,
            inputs_folder=self.workspace / INPUTS,
            models_folder=self.workspace / MODELS,
            slot=slot,
            user=self.container_user(api),
            labels={FOLDER_LABEL: str(folder), **labels},
            mounts=self.spec.mounts,
            env={**self.spec.environment, **self.spec.secrets},
            limits=self.spec.limits,
        )
        self.transfers.make_folders(at.job_folder, at.inputs_folder, *[at.models_folder] * bool(container.family))
        try:
            containers.create(api, name, container, at)
        except docker.errors.APIError as error:
            if error.status_code == 409:
                return False
            raise
        return True

    def _start(self, api: docker.APIClient, name: str) -> Busy | None:
        found = {one.name: one for one in map(containers.occupant, containers.listed(api, {}))}
        if name not in found:
            return Busy("it was removed while it was started")
        others = rivals(name, found[name].gpus, list(found.values()))
        if others:
            if gives_way(name, others):
                with suppress(docker.errors.NotFound):
                    api.remove_container(name, v=True)
            return Busy(f"the GPU slot of {self.name} is being taken by {others[0].name}")
        try:
            containers.start(api, name)
        except docker.errors.NotFound:
            return Busy("it was removed while it was started")
        return None

    def container_user(self, api: docker.APIClient) -> str:
        """Who the process is: the user who logs in, so that its outputs are his; in rootless docker that is its root."""
        if not self._user:
            options = api.info().get("SecurityOptions") or []
            ids = [self.connection.run(["id", which]).stdout.strip() for which in ("-u", "-g")]
            self._user = "0:0" if any("rootless" in option for option in options) else ":".join(ids)
        return self._user

    def _exit(self, name: str) -> ContainerExit | None:
        found = self._look().get(name)
        if found is not None and found["State"] not in ENDED:
            return None
        with translated(self.name):
            try:
                return containers.exit_of(self.docker.api(), name)
            except docker.errors.NotFound as error:
                raise ContainerGoneError(f"host {self.name}: there is no container '{name}' any more") from error

    def _log_of(self, name: str) -> PurePosixPath:
        found = self._look().get(name)
        if found is None:
            raise ContainerGoneError(f"host {self.name}: there is no container '{name}'")
        return self.workspace / str(found["Labels"].get(FOLDER_LABEL, "")) / containers.LOG_NAME

    def _look(self) -> dict[str, dict[str, Any]]:
        """The containers of the host, from one look for all who follow."""
        with self._lock:
            at, seen = self._seen
            if time.monotonic() - at > SEEN_FOR_S:
                with translated(self.name):
                    seen = {containers.name_of(one): one for one in containers.listed(self.docker.api(), {})}
                self._seen = (time.monotonic(), seen)
            return seen

    def _state(self, api: docker.APIClient, found: dict[str, Any]) -> ContainerState:
        name = containers.name_of(found)
        ended = containers.exit_of(api, name) if found["State"] in ENDED else None
        return ContainerState(name, found["Labels"], ended, is_started=found["State"] != CREATED)
