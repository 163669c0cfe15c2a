"""`cosmos host add`: what was given is read, the host key accepted, the login tried, and only then the block saved."""

import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import click
from pydantic import SecretStr, ValidationError

from cosmos_ops.errors import HostKeyError, HostUnknownError, HostUnreachableError, InputError, LoginRefusedError
from cosmos_ops.remote.connection import Connection
from cosmos_ops.remote.keys import is_encrypted
from cosmos_ops.remote.login import HostKey, fetch_host_key
from cosmos_ops.remote.target import SSHTarget, route_to
from cosmos_ops.settings import Settings
from deployments.host_blocks import address_of, load_host, reach_prefect, slots_text

if TYPE_CHECKING:
    # Prefect reads its environment when it is imported, so it is imported only after `reach_prefect`.
    from blocks import GPUHost

PASSPHRASE_VARIABLE = "COSMOS_KEY_PASSPHRASE"  # noqa: S105
RESERVED = frozenset({"local", "auto"})
NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
FORM = "ssh://USER@HOST:PORT, such as ssh://ubuntu@gpu-1.example.com or ssh://root@10.0.0.5:2222"


@dataclass(frozen=True)
class Wanted:
    """What `cosmos host add` was given, read and checked as far as that is possible without asking anybody."""

    name: str
    fields: Mapping[str, Any]
    """Fields of the block that were given."""
    fingerprint: str = ""
    replaces: bool = False
    passphrase: str = field(default="", repr=False)

    @classmethod
    def read(cls, name: str, url: str, *, fingerprint: str, replaces: bool, **options: Any) -> "Wanted":
        """From the words of the command line.

        Raises:
            InputError: Something cannot be meant; the message says what and what to write instead.
        """
        _check_name(name)
        fingerprint = fingerprint.rstrip("=")
        if fingerprint and not FINGERPRINT.fullmatch(fingerprint):
            raise InputError(f"the fingerprint {fingerprint!r} is not SHA256: and 43 characters, as `ssh-keygen -lf` shows it")
        return cls(
            name,
            fields={**read_url(url), **_read_options(**options)},
            fingerprint=fingerprint,
            replaces=replaces,
            passphrase=os.environ.get(PASSPHRASE_VARIABLE, ""),
        )


def add_host(settings: Settings, wanted: Wanted, say: Callable[[str], None]) -> None:
    """Add a GPU server, or change one.

    Raises:
        InputError: There is such a host already, or nobody can be asked to accept the host key.
        HostKeyError: The host key is not the one that was meant; nothing was saved.
        HostUnreachableError: The host does not answer; nothing was saved.
        LoginRefusedError: It does not let us in; nothing was saved.
    """
    # The machine is asked first: Prefect takes longer to answer.
    key = _host_key(settings, wanted)
    reach_prefect(settings)
    block = _block(wanted)
    _accept(key, wanted, address_of(block), say)
    block.host_key = key.line
    if wanted.passphrase:
        block.passphrase = SecretStr(wanted.passphrase)
    _log_in(block, wanted.name)
    block.save(wanted.name, overwrite=True)
    say(f"Saved host {wanted.name}: {address_of(block)}, slots {slots_text(block.slots)}; the login works.")
    say(f"Next: cosmos host check {wanted.name}")


def read_url(url: str) -> dict[str, Any]:
    """User, address and port of `ssh://...`, as fields of the block.

    Raises:
        InputError: It is not of that form.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port or 0
    except ValueError as error:
        raise InputError(f"the address {url!r} cannot be read ({error}); it has the form {FORM}") from error
    if parts.scheme != "ssh" or not parts.hostname:
        raise InputError(f"the address {url!r} is not of the form {FORM}")
    if parts.password is not None:
        raise InputError("the address has a password in it; hosts are reached by key alone, so leave it out and give --key")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise InputError(f"the address {url!r} has something behind the host; the folder there is given by --workspace")
    if (parts.port is not None and not port) or re.search(r"\s", url.strip()):
        raise InputError(f"the address {url!r} cannot be read; it has the form {FORM}")
    return {"address": parts.hostname, "user": unquote(parts.username or ""), "port": port}


def read_slots(text: str) -> list[list[int]]:
    """`0,1` is two slots of a GPU each, `0+1` one slot of both.

    Raises:
        InputError: It is not of that form.
    """
    slots = [[gpu.strip() for gpu in slot.split("+")] for slot in text.split(",")]
    if not all(gpu.isdecimal() for slot in slots for gpu in slot):
        raise InputError(f"the slots {text!r} are not numbers of GPUs such as 0,1 (two slots) or 0+1 (one slot of two GPUs)")
    return [[int(gpu) for gpu in slot] for slot in slots]


def _check_name(name: str) -> None:
    if name in RESERVED:
        raise InputError(f"'{name}' is taken: flows call this machine so, or any host at all; choose another name")
    if not NAME.fullmatch(name):
        raise InputError(f"a host cannot be called {name!r}; use lower-case letters, digits and dashes, such as gpu-1")


def _read_options(
    *, key: str, workspace: str, slots: str, images: Sequence[str], docker_command: str, docker_socket: str
) -> dict[str, Any]:
    """Options that were given, as fields of the block."""
    fields: dict[str, Any] = {"workspace": workspace, "docker_socket": docker_socket}
    if docker_socket and not docker_socket.startswith("/"):
        raise InputError(f"the docker socket {docker_socket!r} is no absolute path such as /run/user/1000/docker.sock")
    if key:
        fields["key_path"] = str(_key_file(key))
    if slots:
        fields["slots"] = read_slots(slots)
    if images:
        fields["images"] = dict(_image(pair) for pair in images)
    try:
        fields["docker_command"] = shlex.split(docker_command)
    except ValueError as error:
        raise InputError(f"the docker command {docker_command!r} cannot be taken apart: {error}") from error
    return {name: value for name, value in fields.items() if value}


def _key_file(key: str) -> Path:
    path = Path(key).expanduser().absolute()
    if not path.is_file():
        raise InputError(f"there is no private key {path}; `ssh-keygen -t ed25519 -f {path}` makes one")
    return path


def _image(pair: str) -> tuple[str, str]:
    family, _, image = pair.partition("=")
    if not family or not image:
        raise InputError(f"the image {pair!r} is not FAMILY=IMAGE, such as preview=cosmos-preview:0.1.0")
    return family, image


def _block(wanted: Wanted) -> "GPUHost":
    """The block to save: what was given, over what a block of that name said before."""
    from blocks import GPUHost

    fields: dict[str, Any] = {}
    try:
        known = load_host(wanted.name)
    except HostUnknownError:
        known = None
    if known is not None:
        if not wanted.replaces:
            raise InputError(f"there is a host '{wanted.name}' already; --replace changes it, and keeps what is not given")
        fields = {name: getattr(known, name) for name in GPUHost.model_fields}
    fields |= {**wanted.fields, "kind": "ssh", "images": {**fields.get("images", {}), **wanted.fields.get("images", {})}}
    try:
        return GPUHost(**fields)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in error.errors())
        raise InputError(f"the host cannot be added: {problems}") from error


def _host_key(settings: Settings, wanted: Wanted) -> HostKey:
    """The key that the machine shows, unless it is wrong or nobody can be asked about it."""
    address, port = wanted.fields["address"], wanted.fields["port"]
    try:
        key = fetch_host_key(SSHTarget(address, port=port, ssh_folder=settings.ssh_folder))
    except HostKeyError as error:
        # The host itself is let in unseen here; only a machine in between is not.
        raise HostKeyError(
            f"on the way to {address} (ProxyJump): {error}; a machine in between is accepted by logging in to it once with `ssh`"
        ) from error
    except LoginRefusedError:
        raise
    except HostUnreachableError as error:
        raise HostUnreachableError(f"{error}; see whether it is on, and whether its SSH server answers there") from error
    if wanted.fingerprint and key.fingerprint != wanted.fingerprint:
        raise HostKeyError(
            f"{address} shows another host key: {_kind(key)} {key.fingerprint}, not {wanted.fingerprint}; either that is the "
            "fingerprint of another of its keys, or this is not the machine that you mean. Nothing was saved"
        )
    if not wanted.fingerprint and not sys.stdin.isatty():
        raise InputError(
            f"{address} shows the host key {_kind(key)} {key.fingerprint}, and without a terminal nobody can be asked whether "
            f"that is right; compare it with {_own_words(key)}, then pass --accept-fingerprint {key.fingerprint}"
        )
    return key


def _accept(key: HostKey, wanted: Wanted, address: str, say: Callable[[str], None]) -> None:
    if wanted.fingerprint:
        say(f"{address} shows the host key that is accepted: {_kind(key)} {key.fingerprint}")
        return
    say(f"{address} shows this host key:\n  type         {_kind(key)}\n  fingerprint  {key.fingerprint}")
    say(f"Compare it with {_own_words(key)}.")
    if not click.confirm("Is it the same?", default=False):
        raise HostKeyError("the host key was not accepted; nothing was saved")


def _kind(key: HostKey) -> str:
    return key.line.partition(" ")[0]


def _own_words(key: HostKey) -> str:
    kind = next((kind for kind in ("ecdsa", "rsa") if kind in _kind(key)), "ed25519")
    return f"`ssh-keygen -lf /etc/ssh/ssh_host_{kind}_key.pub` on the machine's own console"


def _log_in(block: "GPUHost", name: str) -> None:
    """Try to log in; where the key turns out to be encrypted, ask for its passphrase."""
    try:
        _try(block, name)
    except LoginRefusedError:
        encrypted = _encrypted_keys(block.spec(name).target)
        if not encrypted or block.passphrase.get_secret_value():
            raise
        if not sys.stdin.isatty():
            raise LoginRefusedError(
                f"the private key {encrypted[0]} is encrypted; set {PASSPHRASE_VARIABLE}, or load the key into the SSH agent"
            ) from None
        block.passphrase = SecretStr(click.prompt(f"Passphrase of {encrypted[0]}", hide_input=True))
        _try(block, name)


def _try(block: "GPUHost", name: str) -> None:
    with closing(Connection(name, block.spec(name).target)) as connection:
        connection.transport()


def _encrypted_keys(target: SSHTarget) -> list[Path]:
    return [path for path in route_to(target).key_paths if is_encrypted(path)]
