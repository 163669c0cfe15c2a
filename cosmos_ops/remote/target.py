"""Which machine is meant, and how to get in: what a block says, completed by OpenSSH's own configuration."""

import getpass
from dataclasses import dataclass, field
from pathlib import Path

import paramiko

from cosmos_ops.errors import InputError

SSH_PORT = 22
IDENTITIES = ("id_ed25519", "id_ecdsa", "id_rsa")
"""Keys that are tried when nobody names one."""


@dataclass(frozen=True)
class SSHTarget:
    """A machine as a user names it; whatever is left out comes from `~/.ssh/config` or is OpenSSH's default."""

    address: str
    """Host name, IP address, or an alias of the configuration."""
    user: str = ""
    port: int = 0
    """0: the port of the configuration, or 22."""
    key_path: str = ""
    """File of the private key; empty: those of the configuration, the agent's, and the default ones."""
    key: str = field(default="", repr=False)
    """The private key itself, instead of a file."""
    passphrase: str = field(default="", repr=False)
    host_key: str = ""
    """The one host key to accept, as `ssh-ed25519 AAAA...`; empty: those of the known hosts."""
    ssh_folder: Path = Path("~/.ssh")
    """Where configuration, known hosts and default keys lie."""


@dataclass(frozen=True)
class Route:
    """A target with everything filled in."""

    address: str
    port: int
    user: str
    key_paths: tuple[Path, ...]
    uses_agent: bool
    known_hosts: tuple[Path, ...]
    proxy_command: str = ""
    jumps: tuple[SSHTarget, ...] = ()
    """Machines to go through, the nearest first."""


def route_to(target: SSHTarget) -> Route:
    """Fill in what the target leaves open.

    Raises:
        InputError: The configuration cannot be read.
    """
    folder = target.ssh_folder.expanduser()
    found = _configured(folder / "config", target)
    named = [target.key_path] if target.key_path else found.get("identityfile", [])
    explicit = tuple(Path(path).expanduser() for path in named)
    is_only_explicit = bool(target.key or target.key_path) or found.get("identitiesonly", "no") == "yes"
    known = str(found.get("userknownhostsfile", folder / "known_hosts")).split()
    return Route(
        address=str(found.get("hostname", target.address)),
        port=target.port or int(found.get("port", SSH_PORT)),
        user=target.user or str(found.get("user", "")) or getpass.getuser(),
        key_paths=explicit if is_only_explicit else (*explicit, *_default_keys(folder)),
        uses_agent=not is_only_explicit,
        known_hosts=tuple(Path(path).expanduser() for path in known),
        proxy_command=_given(found, "proxycommand"),
        jumps=tuple(_jump(text, target) for text in _given(found, "proxyjump").split(",") if text),
    )


def _configured(path: Path, target: SSHTarget) -> paramiko.SSHConfigDict:
    if not path.is_file():
        return paramiko.SSHConfigDict()
    try:
        return paramiko.SSHConfig.from_path(str(path)).lookup(target.address)
    except (paramiko.ConfigParseError, paramiko.CouldNotCanonicalize, UnicodeDecodeError, OSError) as error:
        raise InputError(f"{path} cannot be read: {error}; mend it, or give the host's address, user and key in full") from error


def _given(found: paramiko.SSHConfigDict, name: str) -> str:
    value = str(found.get(name, ""))
    return "" if value.lower() == "none" else value


def _default_keys(folder: Path) -> tuple[Path, ...]:
    return tuple(folder / name for name in IDENTITIES if (folder / name).is_file())


def _jump(text: str, target: SSHTarget) -> SSHTarget:
    """`[user@]host[:port]`, as ProxyJump has it; a jump has its own entry in the configuration and the known hosts."""
    user, _, place = text.strip().removeprefix("ssh://").rpartition("@")
    address, _, port = place.rpartition(":") if place.rpartition(":")[2].isdigit() and place.count(":") == 1 else (place, "", "0")
    return SSHTarget(address.strip("[]"), user, int(port), ssh_folder=target.ssh_folder)
