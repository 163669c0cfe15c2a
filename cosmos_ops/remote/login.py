"""Logging in: the way to a machine, its host key, and the key that it lets in."""

import io
import logging
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import paramiko

from cosmos_ops.errors import HostKeyError, LoginRefusedError
from cosmos_ops.remote.foreign import translated
from cosmos_ops.remote.ssh_transport import CONNECT_LIMIT_S, Transport
from cosmos_ops.remote.target import SSH_PORT, Route, SSHTarget, route_to

KEEPALIVE_S = 10
UNACKNOWLEDGED_LIMIT_MS = 30_000
LOG_NAME = "cosmos.ssh"

# paramiko logs what it also raises; we say it once, in our own words.
logging.getLogger(LOG_NAME).setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class HostKey:
    """The key by which a host proves who it is."""

    line: str
    """Type and key, as a known_hosts file has them."""
    fingerprint: str
    """`SHA256:...`, as OpenSSH shows it."""


def connected(
    target: SSHTarget, *, through: paramiko.SSHClient | None = None, timeout_s: float = CONNECT_LIMIT_S
) -> paramiko.SSHClient:
    """Log in; raises what paramiko raises, `HostKeyError` for a host that nobody knows, `LoginRefusedError` for a useless key."""
    route = route_to(target)
    pkey = _read_key(target)
    client = paramiko.SSHClient()
    client.set_log_channel(LOG_NAME)
    _let_known(client, target, route)
    sock = _socket(route, through, timeout_s)
    try:
        client.connect(
            route.address,
            port=route.port,
            username=route.user,
            pkey=pkey,
            # paramiko takes a list as well, its type stubs do not know.
            key_filename=cast(str, [] if pkey else [str(path) for path in route.key_paths]),
            passphrase=target.passphrase or None,
            allow_agent=route.uses_agent,
            look_for_keys=False,
            sock=sock,
            timeout=timeout_s,
            banner_timeout=timeout_s,
            auth_timeout=timeout_s,
            transport_factory=Transport,
        )
    except BaseException:
        client.close()
        with suppress(OSError, EOFError):
            sock.close()
        raise
    transport = client.get_transport()
    assert transport is not None
    transport.set_keepalive(KEEPALIVE_S)
    return client


def fetch_host_key(target: SSHTarget) -> HostKey:
    """The host key that a machine shows; nobody logs in.

    Raises:
        HostUnreachableError: It does not answer.
    """
    route = route_to(target)
    with translated(target.address):
        transport = Transport(_socket(route, None, CONNECT_LIMIT_S))
        try:
            transport.set_log_channel(LOG_NAME)
            transport.start_client(timeout=CONNECT_LIMIT_S)
            key = transport.get_remote_server_key()
        finally:
            transport.close()
    return HostKey(f"{key.get_name()} {key.get_base64()}", key.fingerprint)


def fingerprint_of(line: str) -> str:
    """The fingerprint of a host key line.

    Raises:
        HostKeyError: It is no host key.
    """
    return _parsed_host_key(line).fingerprint


class _Refuse(paramiko.MissingHostKeyPolicy):
    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:  # noqa: ARG002
        """Nobody is let in unseen."""
        raise HostKeyError(
            f"the host key of {hostname} is not known; it shows {key.fingerprint}. Compare that with the machine's own "
            "(ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub) and accept it with `cosmos host add`"
        )


def _let_known(client: paramiko.SSHClient, target: SSHTarget, route: Route) -> None:
    client.set_missing_host_key_policy(_Refuse())
    if target.host_key:
        key = _parsed_host_key(target.host_key)
        name = route.address if route.port == SSH_PORT else f"[{route.address}]:{route.port}"
        client.get_host_keys().add(name, key.get_name(), key)
        return
    for path in route.known_hosts:
        if path.is_file():
            client.load_system_host_keys(str(path))


def _parsed_host_key(line: str) -> paramiko.PKey:
    entry = paramiko.hostkeys.HostKeyEntry.from_line(f"host {line.strip()}")
    if entry is None or entry.key is None:
        raise HostKeyError("the host key cannot be read; it has the form 'ssh-ed25519 AAAA...'")
    return entry.key


def _socket(route: Route, through: paramiko.SSHClient | None, timeout_s: float) -> Any:
    """What the connection runs over: a TCP connection, a command, or a channel through the machines in between."""
    for jump in route.jumps if through is None else ():
        through = connected(jump, through=through, timeout_s=timeout_s)
    if through is not None:
        transport = through.get_transport()
        assert transport is not None
        channel = transport.open_channel("direct-tcpip", (route.address, route.port), ("127.0.0.1", 0), timeout=timeout_s)
        # The client to the machine in between must live as long as the channel through it.
        channel.cosmos_jump = through  # type: ignore[attr-defined]
        return channel
    if route.proxy_command:
        return paramiko.ProxyCommand(route.proxy_command)
    sock = socket.create_connection((route.address, route.port), timeout=timeout_s)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_LIMIT_MS)
    return sock


def _read_key(target: SSHTarget) -> paramiko.PKey | None:
    """The private key that the target names; none if it names none."""
    if not target.key and not target.key_path:
        return None
    text = target.key or _key_text(Path(target.key_path).expanduser())
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key(io.StringIO(text), target.passphrase or None)
        except paramiko.PasswordRequiredException:
            raise
        except (paramiko.SSHException, ValueError, IndexError):
            continue
    raise LoginRefusedError(
        f"host {target.address}: the private key {target.key_path} cannot be read: wrong passphrase, "
        "or no private key of OpenSSH (Ed25519, ECDSA or RSA)"
    )


def _key_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LoginRefusedError(f"the private key {path} cannot be read: {error}") from error
