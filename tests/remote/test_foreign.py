"""Every error of the libraries that reach a host becomes one of ours; a class that nobody has thought of fails here.

A new version of a library that brings a new class is looked at by a person, who adds it to the table.
"""

import inspect
import socket

import docker.errors
import paramiko
import pytest
import requests.exceptions
import urllib3.exceptions

from cosmos_ops import errors
from cosmos_ops.errors import CosmosError
from cosmos_ops.remote.foreign import FOREIGN, ours, translated

UNREACHABLE = "HostUnreachableError"
EXPECTED = {
    "paramiko": {
        "LoginRefusedError": "AuthenticationException BadAuthenticationType PartialAuthentication PasswordRequiredException "
        "UnableToAuthenticate AuthFailure",
        "HostKeyError": "BadHostKeyException",
        "InputError": "ConfigParseError CouldNotCanonicalize",
        "HostUnhealthyError": "IncompatiblePeer",
        "TransferError": "SFTPError",
        UNREACHABLE: "ChannelException MessageOrderError NoValidConnectionsError ProxyCommandFailure SSHException",
        # Keys and configuration are read at one place each, which says what is wrong with them.
        None: "UnknownKeyType",
    },
    "docker": {
        "ImageMissingError": "ImageNotFound",
        "DockerUnavailableError": "ContextException InvalidConfigFile InvalidVersion MissingContextParameter TLSParameterError",
        UNREACHABLE: "StreamParseError",
        "HostUnhealthyError": "APIError BuildError ContainerError ContextAlreadyExists ContextNotFound DeprecatedMethod "
        "DockerException ImageLoadError InvalidArgument InvalidRepository NotFound NullResource",
    },
    "requests": {
        UNREACHABLE: "ChunkedEncodingError ConnectTimeout ConnectionError ContentDecodingError HTTPError InvalidHeader "
        "InvalidJSONError InvalidProxyURL InvalidSchema InvalidURL JSONDecodeError MissingSchema ProxyError ReadTimeout "
        "RequestException RetryError SSLError StreamConsumedError Timeout TooManyRedirects URLRequired UnrewindableBodyError",
    },
    "urllib3": {
        UNREACHABLE: "BodyNotHttplibCompatible ClosedPoolError ConnectTimeoutError ConnectionError DecodeError EmptyPoolError "
        "FullPoolError HTTPError HeaderParsingError HostChangedError IncompleteRead InvalidChunkLength InvalidHeader "
        "LocationParseError LocationValueError MaxRetryError NameResolutionError NewConnectionError PoolError ProtocolError "
        "ProxyError ProxySchemeUnknown ReadTimeoutError RequestError ResponseError ResponseNotChunked SSLError TimeoutError "
        "TimeoutStateError URLSchemeUnknown UnrewindableBodyError",
        # Raised for proxies of HTTP, which our channels never use.
        None: "ProxySchemeUnsupported",
    },
    "socket": {UNREACHABLE: "error gaierror herror timeout"},
}
MODULES = {
    "paramiko": (paramiko, paramiko.ssh_exception),
    "docker": (docker.errors,),
    "requests": (requests.exceptions,),
    "urllib3": (urllib3.exceptions,),
    "socket": (socket,),
}


def classes(library):
    """The errors that a library defines, by name; warnings and the errors of Python and of other libraries are not its own."""
    found = {}
    for module in MODULES[library]:
        for name, cls in inspect.getmembers(module, inspect.isclass):
            is_own = library == "socket" or cls.__module__.startswith(library)
            if issubclass(cls, Exception) and not issubclass(cls, Warning) and is_own and not name.startswith("_"):
                found[name] = cls
    return found


def mapped(cls):
    return next((to.__name__ for froms, to, _ in FOREIGN if issubclass(cls, froms)), None)


@pytest.mark.parametrize("library", MODULES)
def test_every_class_of_a_library_has_its_place(library):
    expected = {name: to for to, names in EXPECTED[library].items() for name in names.split()}
    assert {name: mapped(cls) for name, cls in classes(library).items()} == expected


def test_every_one_of_our_classes_in_the_table_is_in_the_tree():
    assert all(getattr(errors, to.__name__) is to and issubclass(to, CosmosError) for _, to, _ in FOREIGN)


def test_a_message_names_the_host_and_the_foreign_words():
    assert str(ours(ConnectionResetError("peer left"), "rig")) == "host rig: the connection failed (peer left)"


def test_a_full_disk_is_named_whoever_says_so():
    said = requests.Response()
    said.status_code = 500
    error = docker.errors.APIError("500", response=said, explanation="mkdir /var/lib/docker: no space left on device")
    assert type(ours(error, "rig")).__name__ == "DiskFullError"
    assert type(ours(OSError(28, "No space left on device"), "rig")).__name__ == "DiskFullError"


def test_docker_in_trouble_is_no_refusal():
    response = requests.Response()
    response.status_code = 503
    assert type(ours(docker.errors.APIError("503", response=response), "rig")).__name__ == UNREACHABLE
    response.status_code = 400
    assert type(ours(docker.errors.APIError("400", response=response), "rig")).__name__ == "HostUnhealthyError"


def test_our_own_errors_and_mistakes_of_ours_pass_as_they_are():
    with pytest.raises(errors.TransferError, match="mine"), translated("rig"):
        raise errors.TransferError("mine")
    with pytest.raises(ZeroDivisionError), translated("rig"):
        print(1 / 0)
    with pytest.raises(TypeError, match="no error that a host causes"):
        ours(ZeroDivisionError(), "rig")
