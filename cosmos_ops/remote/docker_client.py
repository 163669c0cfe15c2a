"""Docker's API on a host, through our SSH connection: its HTTP travels in a channel to docker's socket, or to a command."""

import threading
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

import docker
import paramiko
from docker.transport.basehttpadapter import BaseHTTPAdapter
from docker.transport.sshconn import SSHConnection, SSHConnectionPool, SSHHTTPAdapter

from cosmos_ops.errors import DockerUnavailableError, HostUnreachableError
from cosmos_ops.remote.connection import ANSWER_LIMIT_S, Connection, Finished
from cosmos_ops.remote.foreign import translated

DEFAULT_SOCKET = PurePosixPath("/var/run/docker.sock")
BASE_URL = "http+docker://ssh"
CALLS_MAX, CALLS_BY_COMMAND_MAX = 8, 2
"""API calls at a time; a command is one of the few sessions that sshd allows, a forwarded socket is not."""
DIAL = ("system", "dial-stdio")
NOT_FOUND = 127


class DockerClient:
    """Finds the way to docker on a host, and gives the API client of the SDK for the connection as it is now."""

    def __init__(self, connection: Connection, *, socket: str = "", command: Sequence[str] = ()) -> None:
        self._connection = connection
        self._socket = socket
        self._command = tuple(command)
        """The docker command, if the API is to travel through it: `("sudo", "-n", "docker")`."""
        self._lock = threading.Lock()
        self._api: docker.APIClient | None = None
        self._transport: paramiko.Transport | None = None
        self._uses_command = bool(command)

    @property
    def way(self) -> str:
        """How the API travels, in words."""
        return " ".join((*self._docker(), *DIAL)) if self._uses_command else self._socket

    def api(self) -> docker.APIClient:
        """The client of the SDK; safe to share among threads.

        Raises:
            HostUnreachableError: The host or its docker does not answer.
            DockerUnavailableError: Docker is not there, or not open to us; the message says what to do.
        """
        with self._lock:
            transport = self._connection.transport()
            if self._api is None or self._transport is not transport:
                self.close()
                self._api, self._transport = self._connected(), transport
            return self._api

    def close(self) -> None:
        """Close the channels that are open."""
        if self._api is not None:
            self._api.close()
            self._api = None

    def _connected(self) -> docker.APIClient:
        self._socket = self._socket or self._found_socket()
        with translated(self._connection.host):
            self._uses_command = bool(self._command) or not self._is_forwarded()
            return _APIClient(self._open, CALLS_BY_COMMAND_MAX if self._uses_command else CALLS_MAX)

    def _is_forwarded(self) -> bool:
        """Whether the SSH server lets us to the socket; some forbid that, and say no more than that it did not work."""
        try:
            self._connection.open_unix_socket(self._socket).close()
        except paramiko.ChannelException as error:
            asked = self._ask()
            if asked.code:
                raise self._unavailable(asked) from error
            return False
        return True

    def _open(self) -> paramiko.Channel:
        if self._uses_command:
            return self._connection.open_command([*self._docker(), "--host", f"unix://{self._socket}", *DIAL])
        try:
            return self._connection.open_unix_socket(self._socket)
        except paramiko.ChannelException as error:
            raise self._unavailable(self._ask()) from error

    def _ask(self) -> Finished:
        host = f"unix://{self._socket}"
        return self._connection.run([*self._docker(), "--host", host, "version", "--format", "{{.Server.Version}}"])

    def _docker(self) -> tuple[str, ...]:
        return self._command or ("docker",)

    def _found_socket(self) -> str:
        """The socket that DOCKER_HOST names on the host, the default one, or that of a rootless docker."""
        named = self._connection.run(["printenv", "DOCKER_HOST"]).stdout.strip()
        if named.startswith("unix://"):
            return named.removeprefix("unix://")
        rootless = PurePosixPath("/run/user", self._connection.run(["id", "-u"]).stdout.strip(), "docker.sock")
        with self._connection.sftp() as sftp:
            for socket in (DEFAULT_SOCKET, rootless):
                try:
                    sftp.stat(str(socket))
                except (FileNotFoundError, PermissionError):
                    continue
                return str(socket)
        return str(DEFAULT_SOCKET)

    def _unavailable(self, asked: Finished) -> DockerUnavailableError | HostUnreachableError:
        """Why docker's socket refused us, in words that help; asked of the host itself."""
        host, socket = self._connection.host, self._socket
        words = " ".join(asked.stderr.split())
        if "permission denied" in words.lower():
            user = self._connection.run(["id", "-un"]).stdout.strip()
            return DockerUnavailableError(
                f"host {host}: permission denied for docker's socket {socket}; `sudo usermod -aG docker {user}` there and log in "
                "again, or let the host use `sudo -n docker`"
            )
        if asked.code == 127:
            return DockerUnavailableError(f"host {host}: docker is not installed; docs/hosts.md says how")
        return HostUnreachableError(
            f"host {host}: docker does not answer at {socket}; `sudo systemctl start docker` there, or name its socket ({words})"
        )


class _APIClient(docker.APIClient):
    """The SDK's client, whose connections are channels of ours."""

    def __init__(self, open_channel: Callable[[], paramiko.Channel], calls_max: int) -> None:
        # A name that is never looked up; the version is asked only once the adapter is in place.
        super().__init__(base_url="tcp://localhost:1", version="1.41", timeout=int(ANSWER_LIMIT_S))
        self._custom_adapter = _Adapter(open_channel, calls_max)
        self.mount("http+docker://", self._custom_adapter)
        # The SDK reads streams of a channel where the URL begins so.
        self.base_url = BASE_URL
        self._version = str(self.version(api_version=False)["ApiVersion"])


class _HTTPConnection(SSHConnection):
    def __init__(self, open_channel: Callable[[], paramiko.Channel]) -> None:
        super().__init__(timeout=int(ANSWER_LIMIT_S))
        self._open_channel = open_channel

    def connect(self) -> None:
        """Open the channel."""
        self.sock = self._open_channel()  # type: ignore[assignment]


class _Pool(SSHConnectionPool):
    def __init__(self, open_channel: Callable[[], paramiko.Channel], calls_max: int) -> None:
        super().__init__(timeout=int(ANSWER_LIMIT_S), maxsize=calls_max)
        self.block = True
        self._open_channel = open_channel

    def _new_conn(self) -> _HTTPConnection:  # type: ignore[override]
        return _HTTPConnection(self._open_channel)


class _Adapter(SSHHTTPAdapter):
    def __init__(self, open_channel: Callable[[], paramiko.Channel], calls_max: int) -> None:
        # The SDK's own would make a second connection to the host; here is one pool, because there is one docker behind it.
        BaseHTTPAdapter.__init__(self)
        self.ssh_client = None
        self._pool = _Pool(open_channel, calls_max)

    def get_connection(self, url: str | bytes, proxies: object = None) -> _Pool:  # noqa: ARG002
        """The pool."""
        return self._pool

    def close(self) -> None:
        """Close the channels that are open."""
        self._pool.close()
