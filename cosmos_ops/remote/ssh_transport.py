"""paramiko's transport with large windows, fast ciphers first, and channels to Unix sockets."""

import threading
from typing import Any

import paramiko

from cosmos_ops.remote.packets import Packetizer

CONNECT_LIMIT_S = 10.0
WINDOW_BYTES = 1 << 26
PACKET_BYTES = 1 << 18
CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr")


class Transport(paramiko.Transport):
    """paramiko's transport, which also opens the Unix sockets of a host (OpenSSH's `direct-streamlocal@openssh.com`)."""

    _STREAMLOCAL = "direct-streamlocal@openssh.com"

    def __init__(self, sock: Any, **options: Any) -> None:
        sizes: dict[str, Any] = {"default_window_size": WINDOW_BYTES, "default_max_packet_size": PACKET_BYTES}
        super().__init__(sock, packetizer_class=Packetizer, **sizes, **options)
        self.get_security_options().ciphers = CIPHERS
        self.banner_timeout = self.auth_timeout = CONNECT_LIMIT_S
        self._opening = threading.local()

    def open_unix_socket(self, path: str, *, timeout_s: float) -> paramiko.Channel:
        """A channel to a Unix socket on the host.

        Raises:
            paramiko.ChannelException: The host forbids it (code 1) or cannot connect to the socket (code 2).
        """
        self._opening.path = path
        try:
            return self.open_channel(self._STREAMLOCAL, timeout=timeout_s)
        finally:
            self._opening.path = None

    def _send_user_message(self, message: paramiko.Message) -> None:
        # Within `open_unix_socket` the first message is the request to open; paramiko does not know what else belongs to it.
        path, self._opening.path = getattr(self._opening, "path", None), None
        if path is not None:
            message.add_string(path)
            message.add_string("")
            message.add_int(0)
        super()._send_user_message(message)  # type: ignore[misc]
