"""Private key files: whether one asks for a passphrase before anybody logs in with it."""

from pathlib import Path

import paramiko


def is_encrypted(path: Path) -> bool:
    """Whether the private key in a file needs a passphrase; one that is not there or no key needs none."""
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            kind.from_private_key_file(str(path))
        except paramiko.PasswordRequiredException:
            return True
        except (paramiko.SSHException, OSError, ValueError, IndexError):
            continue
    return False
