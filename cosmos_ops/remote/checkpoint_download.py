"""Downloads model files on a host: a container there runs our program (`fetcher`), which talks to the Hugging Face hub."""

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

import docker
import docker.errors
from docker.types import LogConfig
from docker.types import Mount as DockerMount

from cosmos_ops.checkpoints import Checkpoint
from cosmos_ops.errors import HostError, ImageMissingError
from cosmos_ops.job import MODELS_FOLDER, ContainerExit, LogLine
from cosmos_ops.remote import containers, fetcher, follow
from cosmos_ops.remote.checkpoint_files import Found
from cosmos_ops.remote.checkpoint_news import News, Progress, Troubles, ignore_progress
from cosmos_ops.remote.checkpoint_store import look
from cosmos_ops.remote.fetcher.places import DOWNLOADS, EVENTS, REQUEST
from cosmos_ops.remote.foreign import translated
from cosmos_ops.remote.host import ignore_contact
from cosmos_ops.remote.slots import CREATED, ENDED
from cosmos_ops.remote.ssh_host import MODELS, SSHHost

ENDPOINT = "https://huggingface.co"
TOKEN, ENDPOINT_VARIABLE = "HF_TOKEN", "HF_ENDPOINT"
DOWNLOAD_LABEL = "cosmos.download"
"""Every container that downloads carries it."""
PROGRAMS = PurePosixPath(".programs")
START = "from fetcher.main import main\n\nmain()\n"
"""What Python finds in the folder that it is told to run."""
TRIES, PAUSE_S = 5, 1.0
"""How often the program asks again while the network fails and nothing comes, and how long it waits before the second time."""
SILENCE_LIMIT_S = 600.0
"""The program says something every second."""
GRACE_S = 5.0
LEFT_AFTER_S = 60.0
"""A container that ended, or was never started, for so long has nobody who waits for it."""
LAST_LINES = 20


@dataclass(frozen=True)
class Access:
    """By whom and where files are asked for."""

    token: str = ""
    endpoint: str = ENDPOINT

    @classmethod
    def of(cls, host: SSHHost) -> "Access":
        """As the block of a host says, by HF_TOKEN in its secrets and HF_ENDPOINT in its environment."""
        return cls(host.spec.secrets.get(TOKEN, ""), host.spec.environment.get(ENDPOINT_VARIABLE, ENDPOINT))


def download(
    host: SSHHost,
    checkpoints: Sequence[Checkpoint],
    *,
    image: str,
    access: Access,
    on_news: Callable[[str], None],
    on_progress: Callable[[Progress], None] = ignore_progress,
) -> list[Found]:
    """Bring files to a host, each verified; what is there and verified is not asked for again, what was begun is gone on with.

    Args:
        host: Where; two downloads there take turns.
        checkpoints: What.
        image: An image on the host with `python3` in it.
        access: Token and registry.
        on_news: Told in sentences what will be downloaded, how large it is, and what has come.
        on_progress: Told about once a second how far it is; may raise, and what is there stays for later.

    Returns:
        As `look`, all present.

    Raises:
        AccessRefusedError: The token is missing or refused, or a licence was not accepted.
        CheckpointMissingError: The registry has no such file, or another one than we know.
        DownloadFailedError: The network failed, or a file came damaged twice.
        DiskFullError: It does not fit.
        HostUnhealthyError: The program cannot run there.
    """
    found = look(host, checkpoints)
    if all(one.is_verified for one in found):
        on_news(f"All {len(found)} files are there and verified; nothing is downloaded")
        return found
    _sweep(host)
    name = f"cosmos-download-{secrets.token_hex(6)}"
    folder = MODELS / DOWNLOADS / name
    program = _bring_program(host)
    host.write(folder / REQUEST, json.dumps(_request(checkpoints, access)))
    news = News(on_news, on_progress)
    try:
        _start(host, name, image, access, [str(MODELS_FOLDER / path.relative_to(MODELS)) for path in (program, folder)])
        ended = _follow(host, name, host.workspace / folder / EVENTS, news)
        _judge(host, name, ended, news.troubles)
    finally:
        # The host may be gone; the next download removes what is left.
        with suppress(HostError):
            host.stop(name, grace_s=GRACE_S)
            host.remove(name)
            host.remove_folder(folder)
    return look(host, checkpoints)


def _request(checkpoints: Sequence[Checkpoint], access: Access) -> Mapping[str, Any]:
    entries = [
        {
            "repository": one.repository,
            "revision": one.revision,
            "file": one.file,
            "layout": one.layout,
            "folder": str(one.folder),
            "sha256": one.sha256,
            "md5": one.md5,
        }
        for one in checkpoints
    ]
    return {"endpoint": access.endpoint, "tries": TRIES, "pause_s": PAUSE_S, "checkpoints": entries}


def _bring_program(host: SSHHost) -> PurePosixPath:
    """Send the program, unless just this one is there; its start is written last."""
    sources = {path.name: path.read_text(encoding="utf-8") for path in sorted(Path(fetcher.__file__).parent.glob("*.py"))}
    digest = hashlib.sha256(json.dumps([START, sources]).encode()).hexdigest()
    folder = MODELS / PROGRAMS / digest[:16]
    if not host.exists(folder / "__main__.py"):
        for name, text in sources.items():
            host.write(folder / "fetcher" / name, text)
        host.write(folder / "__main__.py", START)
    return folder


def _start(host: SSHHost, name: str, image: str, access: Access, arguments: Sequence[str]) -> None:
    with translated(host.name):
        api = host.docker.api()
        user = host.container_user(api)
        try:
            api.create_container(
                image,
                command=["-I", "-B", *arguments],
                name=name,
                labels={DOWNLOAD_LABEL: name},
                entrypoint=["python3"],
                environment=_environment(host, access),
                user=user,
                working_dir="/",
                host_config=_host_config(host, api, is_root=user.partition(":")[0] == containers.ROOT),
            )
        except docker.errors.ImageNotFound as error:
            raise ImageMissingError(
                f"host {host.name}: the image {image} is not there; name one with python3 that is there with --image"
            ) from error
        containers.start(api, name)


def _environment(host: SSHHost, access: Access) -> dict[str, str]:
    """That of the block, which may name proxies, and of its secrets the token alone."""
    token = {TOKEN: access.token} if access.token else {}
    return {**containers.ENVIRONMENT, **host.spec.environment, **token}


def _host_config(host: SSHHost, api: docker.APIClient, *, is_root: bool) -> dict[str, Any]:
    config: dict[str, Any] = api.create_host_config(
        mounts=[DockerMount(str(MODELS_FOLDER), str(host.workspace / MODELS), type="bind")],
        network_mode="host",
        init=True,
        cap_drop=["ALL"],
        # Root of the container writes into the folder of the user who logs in.
        cap_add=["CHOWN", "DAC_OVERRIDE", "FOWNER"] if is_root else None,
        security_opt=["no-new-privileges"],
        log_config=LogConfig(type="json-file", config={"max-size": "10m", "max-file": "1"}),
    )
    return config


def _follow(host: SSHHost, name: str, events: PurePosixPath, news: News) -> ContainerExit:
    def take(line: LogLine) -> None:
        news.take(line.text)

    watched = follow.Watched(
        read=lambda offset: host.transfers.read_from(events, offset, follow.READ_BYTES),
        exit=lambda: _exit(host, name),
        stop=lambda: host.stop(name, grace_s=GRACE_S),
    )
    return follow.follow(
        watched, on_line=take, is_cancelled=lambda: False, on_contact=ignore_contact, stall_limit_s=lambda: SILENCE_LIMIT_S
    )


def _exit(host: SSHHost, name: str) -> ContainerExit | None:
    with translated(host.name):
        return containers.exit_of(host.docker.api(), name)


def _judge(host: SSHHost, name: str, ended: ContainerExit, troubles: Troubles) -> None:
    if troubles:
        raise troubles.error(host.name)
    if ended.is_stalled or ended.code:
        with translated(host.name):
            words = host.docker.api().logs(name, tail=LAST_LINES).decode("utf-8", "replace")
        raise troubles.unexplained(host.name, ended, words)


def _sweep(host: SSHHost) -> None:
    """Remove what downloads left whose callers were killed; callers that live do this themselves."""
    with translated(host.name):
        api = host.docker.api()
        before_s = containers.now_s(api) - LEFT_AFTER_S
        found = api.containers(all=True, filters={"label": DOWNLOAD_LABEL, "status": [CREATED, *ENDED]})
        names = [containers.name_of(one) for one in found if _since_s(api, one) < before_s]
    for name in names:
        host.remove(name)
        host.remove_folder(MODELS / DOWNLOADS / name)


def _since_s(api: docker.APIClient, found: Mapping[str, Any]) -> float:
    """Since when it does not run, in Unix seconds by the clock of the host."""
    if found["State"] == CREATED:
        return float(found["Created"])
    ended = re.sub(r"\.\d+", "", api.inspect_container(found["Id"])["State"]["FinishedAt"])
    return datetime.fromisoformat(ended.replace("Z", "+00:00")).timestamp()
