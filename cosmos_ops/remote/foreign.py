"""The edge at which the errors of paramiko, docker, requests and the sockets become ours; a test lists the foreign classes."""

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import docker.errors
import paramiko
import requests.exceptions
import urllib3.exceptions

from cosmos_ops.errors import (
    CosmosError,
    DiskFullError,
    DockerUnavailableError,
    HostKeyError,
    HostUnhealthyError,
    HostUnreachableError,
    ImageMissingError,
    InputError,
    LoginRefusedError,
    TransferError,
)

FOREIGN: tuple[tuple[tuple[type[Exception], ...], type[CosmosError], str], ...] = (
    ((paramiko.BadHostKeyException,), HostKeyError, "its host key has changed"),
    (
        (paramiko.PasswordRequiredException,),
        LoginRefusedError,
        "the private key is encrypted; give its passphrase, or load the key into the SSH agent",
    ),
    (
        (paramiko.AuthenticationException,),
        LoginRefusedError,
        "it refuses this user and key; put the public key into ~/.ssh/authorized_keys there, or name another user or key",
    ),
    ((paramiko.ConfigParseError, paramiko.CouldNotCanonicalize), InputError, "the SSH configuration cannot be read"),
    (
        (paramiko.ssh_exception.IncompatiblePeer,),
        HostUnhealthyError,
        "its SSH server has no algorithm in common with ours; bring one of them up to date",
    ),
    ((paramiko.SFTPError,), TransferError, "its SFTP server sent something that cannot be understood"),
    ((paramiko.ProxyCommandFailure,), HostUnreachableError, "the ProxyCommand failed"),
    ((paramiko.SSHException,), HostUnreachableError, "the SSH connection broke"),
    ((docker.errors.ImageNotFound,), ImageMissingError, "the image is not there"),
    ((docker.errors.APIError,), HostUnhealthyError, "docker refuses"),
    (
        (
            docker.errors.InvalidVersion,
            docker.errors.TLSParameterError,
            docker.errors.InvalidConfigFile,
            docker.errors.MissingContextParameter,
            docker.errors.ContextException,
        ),
        DockerUnavailableError,
        "docker's client cannot be set up",
    ),
    (
        (docker.errors.BuildError, docker.errors.ImageLoadError, docker.errors.ContainerError),
        HostUnhealthyError,
        "docker could not carry it out",
    ),
    ((docker.errors.StreamParseError,), HostUnreachableError, "docker's answer broke off"),
    ((docker.errors.DockerException,), HostUnhealthyError, "docker failed"),
    (
        (requests.exceptions.RequestException, urllib3.exceptions.HTTPError),
        HostUnreachableError,
        "docker's answer broke off or did not come in time",
    ),
    ((socket.gaierror, socket.herror), HostUnreachableError, "nobody knows its address"),
    ((EOFError,), HostUnreachableError, "the connection was closed"),
    ((OSError,), HostUnreachableError, "the connection failed"),
)
"""Foreign classes to ours, the first that fits counts, with what is said before the foreign words."""

_FULL_WORDS = "no space left on device"
_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})


def ours(error: Exception, host: str) -> CosmosError:
    """Our error for a foreign one that a host caused.

    Raises:
        TypeError: No class of `FOREIGN` fits; the table lacks a line.
    """
    if isinstance(error, CosmosError):
        return error
    if (isinstance(error, OSError) and error.errno in _FULL) or _FULL_WORDS in str(error):
        return DiskFullError(f"host {host}: no space left; free some there, then run it again")
    if isinstance(error, docker.errors.APIError) and error.is_server_error():
        return HostUnreachableError(f"host {host}: docker fails at this moment{_detail(error)}")
    for classes, our_class, words in FOREIGN:
        if isinstance(error, classes):
            return our_class(f"host {host}: {words}{_detail(error)}")
    raise TypeError(f"{type(error).__name__} is no error that a host causes") from error


@contextmanager
def translated(host: str) -> Iterator[None]:
    """Turn what the libraries raise inside into our errors."""
    try:
        yield
    except tuple(cls for classes, _, _ in FOREIGN for cls in classes) as error:
        if isinstance(error, CosmosError):
            raise
        raise ours(error, host) from error


def _detail(error: Exception) -> str:
    if isinstance(error, docker.errors.APIError) and error.explanation:
        return f": {' '.join(str(error.explanation).split())}"
    if isinstance(error, paramiko.BadHostKeyException):
        return (
            f": known is {error.expected_key.fingerprint}, but it shows {error.key.fingerprint}; if the machine was set up anew, "
            "`cosmos host add` it again, else somebody may be listening in"
        )
    words = " ".join(str(error).split())
    return f" ({words})" if words else f" ({type(error).__name__})"
