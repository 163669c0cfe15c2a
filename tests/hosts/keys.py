"""Keys for SSH, made by ssh-keygen."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

PASSPHRASE = "correct horse battery staple"


@dataclass(frozen=True)
class ClientKeys:
    """Private key files of a client."""

    plain: Path
    encrypted: Path
    """Opens with `PASSPHRASE`."""
    stranger: Path
    """No machine knows it."""

    def authorized(self) -> str:
        return "".join(public_line(key) for key in (self.plain, self.encrypted))


def make_client_keys(folder: Path) -> ClientKeys:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return ClientKeys(
        plain=make_key(folder / "plain"),
        encrypted=make_key(folder / "encrypted", passphrase=PASSPHRASE),
        stranger=make_key(folder / "stranger"),
    )


def make_key(path: Path, *, passphrase: str = "") -> Path:
    """Make an ed25519 key, or a new one in the place of the one that is there."""
    for old in (path, public_file(path)):
        old.unlink(missing_ok=True)
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-a", "1", "-C", path.name, "-N", passphrase, "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


def public_file(key: Path) -> Path:
    return key.with_name(f"{key.name}.pub")


def public_line(key: Path) -> str:
    return public_file(key).read_text()
