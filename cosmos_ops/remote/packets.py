"""SSH packets in bulk: paramiko makes, sends and takes them one by one, at several times the cost of their encryption."""

import socket
import struct
import threading
import time
from typing import Any, cast
from weakref import WeakValueDictionary

import paramiko
from paramiko.packet import NeedRekeyException
from paramiko.packet import Packetizer as PlainPacketizer

from cosmos_ops.remote.inbox import Inbox

READ_AHEAD_BYTES = 1 << 18
BUSY_BYTES = 1 << 16
LULL_S = 0.0005
_CHANNEL_DATA = 94
_TAG_BYTES = 16
_PADDING_MIN = 4
_PACKET_BYTES_MAX = 1 << 20
_LENGTH, _DATA_HEAD, _NONCE = struct.Struct(">I"), struct.Struct(">BII"), struct.Struct(">4sQ")
_DATA_AT = 1 + _DATA_HEAD.size
_BYTES = [bytes((value,)) for value in range(256)]
_ZEROS = bytes(256)
_HEAD_ROOM_BYTES = 64
"""paramiko leaves so much of the largest packet to its head."""


class Packets:
    """Data for a channel, cut to what its window and packet size allow; goes where paramiko takes a message."""

    def __init__(self, channel_id: int, chunks: list[memoryview]) -> None:
        self.channel_id = channel_id
        self.chunks = chunks

    def messages(self) -> list["_Message"]:
        """The same for paramiko's own packetizer."""
        return [_Message(_DATA_HEAD.pack(_CHANNEL_DATA, self.channel_id, len(chunk)) + chunk) for chunk in self.chunks]


class Packetizer(PlainPacketizer):
    """paramiko's, but what the authenticated ciphers (GCM) protect is made, sent and taken apart with few copies and calls."""

    def __init__(self, sock: Any) -> None:
        # Others than real sockets wait until they have all that is asked for.
        self._ahead = _ReadAhead(sock) if isinstance(sock, socket.socket) else None
        super().__init__(cast(socket.socket, self._ahead or sock))
        self._turn = threading.RLock()
        self._out: _Cipher | None = None
        self._in: _Cipher | None = None
        self._number_in = 0
        self.inboxes: WeakValueDictionary[int, Inbox] = WeakValueDictionary()
        """Where data go without a detour through paramiko, by the number of the channel; no number comes twice."""

    def set_outbound_cipher(self, block_engine: Any, block_size: int, *rest: Any, **options: Any) -> None:
        """Use a cipher from now on; those without authentication are left to paramiko."""
        super().set_outbound_cipher(block_engine, block_size, *rest, **options)
        with self._turn:
            self._out = _Cipher(block_engine, block_size, options["iv_out"]) if options.get("aead") else None

    def set_inbound_cipher(self, block_engine: Any, block_size: int, *rest: Any, **options: Any) -> None:
        """Use a cipher from now on."""
        super().set_inbound_cipher(block_engine, block_size, *rest, **options)
        self._in = _Cipher(block_engine, block_size, options["iv_in"]) if options.get("aead") else None

    def reset_seqno_in(self) -> None:
        """Number packets from the start."""
        super().reset_seqno_in()
        self._number_in = 0

    def send_message(self, data: Any) -> None:
        """Send a message of paramiko's, or `Packets`."""
        with self._turn:
            if self._out is None:
                for message in data.messages() if isinstance(data, Packets) else (data,):
                    super().send_message(cast(paramiko.Message, message))
                return
            sealed = self._out.sealed_data(data) if isinstance(data, Packets) else self._out.sealed(data.asbytes())
            self.write_all(memoryview(b"".join(sealed)))
            self._renew_keys_after(self._out)

    def read_message(self) -> tuple[int, paramiko.Message]:
        """Wait for a packet; its type and the rest of it."""
        if self._in is None:
            kind, message = super().read_message()
            self._number_in = message.seqno + 1
            return kind, message
        while True:
            packet = self._read_packet(self._in)
            inbox = self.inboxes.get(int.from_bytes(packet[2:6], "big")) if packet[1] == _CHANNEL_DATA else None
            if inbox is None:
                break
            inbox.feed(memoryview(packet)[_DATA_AT : len(packet) - packet[0]])
            if self.need_rekey():
                # paramiko sees to that.
                raise NeedRekeyException
        message = paramiko.Message(packet[2 : len(packet) - packet[0]])
        message.seqno = (self._number_in - 1) & 0xFFFFFFFF
        return packet[1], message

    def _read_packet(self, cipher: "_Cipher") -> bytes:
        """The decrypted packet: size of its padding, payload, padding."""
        head = self._read(4, check_rekey=True)
        (size,) = _LENGTH.unpack(head)
        if size > _PACKET_BYTES_MAX:
            raise paramiko.SSHException(f"a packet of {size} bytes")
        packet = cipher.opened(head, self._read(size + _TAG_BYTES))
        self._number_in += 1
        self._renew_keys_after(cipher)
        return packet

    def _read(self, size: int, *, check_rekey: bool = False) -> bytes | memoryview:
        # paramiko's way also sees to timeouts and keepalives, but what is here already needs neither.
        return (self._ahead and self._ahead.taken(size)) or self.read_all(size, check_rekey=check_rekey)

    def _renew_keys_after(self, cipher: "_Cipher") -> None:
        if cipher.moved_bytes >= self.REKEY_BYTES and not self.need_rekey():
            self._trigger_rekey()  # type: ignore[attr-defined]


class _Cipher:
    """AES-GCM as RFC 5647 has it: the length of a packet is authenticated but not encrypted, each packet has its number."""

    def __init__(self, engine: Any, block_bytes: int, nonce: bytes) -> None:
        self._engine = engine
        self._block_bytes = block_bytes
        self._fixed, self._number = nonce[:4], int.from_bytes(nonce[4:], "big")
        self.moved_bytes = 0

    def sealed_data(self, packets: Packets) -> list[bytes]:
        """Packets of data, each its length and what is encrypted."""
        out: list[bytes] = []
        for chunk in packets.chunks:
            size = len(chunk)
            out += self.sealed(_DATA_HEAD.pack(_CHANNEL_DATA, packets.channel_id, size), chunk)
        return out

    def sealed(self, head: bytes, rest: bytes | memoryview = b"") -> tuple[bytes, bytes]:
        """One packet: its length and what is encrypted."""
        size = 1 + len(head) + len(rest)
        padding = self._block_bytes - size % self._block_bytes
        if padding < _PADDING_MIN:
            padding += self._block_bytes
        length = _LENGTH.pack(size + padding)
        # What the padding holds does not matter: no two packets have the same nonce.
        packet = b"".join((_BYTES[padding], head, rest, _ZEROS[:padding]))
        return length, self._engine.encrypt(self._nonce(len(packet)), packet, length)

    def opened(self, length: bytes | memoryview, packet: bytes | memoryview) -> bytes:
        """The decrypted packet: size of its padding, payload, padding."""
        opened: bytes = self._engine.decrypt(self._nonce(len(packet)), packet, length)
        return opened

    def _nonce(self, size: int) -> bytes:
        nonce = _NONCE.pack(self._fixed, self._number)
        self._number += 1
        self.moved_bytes += size
        return nonce


class _Message:
    """What paramiko's own packetizer asks of a message."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def asbytes(self) -> bytes:
        return self._content


class _ReadAhead:
    """A socket of which much is read at once, because every call and every change of threads costs."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._ahead = memoryview(b"")
        self._sent_bytes = 0

    def taken(self, size: int) -> memoryview | None:
        """So many bytes, if they are here already."""
        if len(self._ahead) < size:
            return None
        data, self._ahead = self._ahead[:size], self._ahead[size:]
        return data

    def recv(self, size: int) -> bytes:
        if not self._ahead:
            if self._sent_bytes > BUSY_BYTES:
                # Much is being sent: in a moment more answers are there.
                time.sleep(LULL_S)
            self._ahead = memoryview(self._sock.recv(READ_AHEAD_BYTES))
            self._sent_bytes = 0
        return bytes(self.taken(min(size, len(self._ahead))) or b"")

    def send(self, data: bytes) -> int:
        sent = self._sock.send(data)
        self._sent_bytes += sent
        return sent

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


def send_all(channel: paramiko.Channel, data: bytes) -> None:
    """Send all of `data`, waiting for the window where need be.

    Raises:
        EOFError: The channel is closed.
        TimeoutError: The window stayed shut.
    """
    rest = memoryview(data)
    while rest:
        chunks = _reserved(channel, rest)
        rest = rest[sum(map(len, chunks)) :]
        # Outside the lock of the channel, as paramiko does: it would deadlock while keys are exchanged.
        wire: Any = channel
        wire.transport._send_user_message(Packets(wire.remote_chanid, chunks))


def _reserved(channel: paramiko.Channel, data: memoryview) -> list[memoryview]:
    """As much of the data as the window allows, in packets; waits until that is something."""
    wire: Any = channel
    with wire.lock:
        size = wire._wait_for_send_window(len(data))
        if size == 0:
            raise EOFError("the channel was closed")
        chunks = [data[:size]]
        # What is in hand goes out before we wait for more: the other side opens the window only for what arrives.
        more = min(len(data) - size, wire.out_window_size)
        step = wire.out_max_packet_size - _HEAD_ROOM_BYTES
        chunks += [data[start : min(start + step, size + more)] for start in range(size, size + more, step)]
        wire.out_window_size -= more
        return chunks


def give_inbox(channel: paramiko.Channel) -> None:
    """Let a channel have an inbox; nothing must be under way for it."""
    wire: Any = channel
    with wire.lock:
        if isinstance(wire.in_buffer, Inbox):
            return
        inbox = wire.in_buffer = Inbox()
        if wire.closed or wire.eof_received:
            inbox.close()
    wire.transport.packetizer.inboxes[wire.chanid] = inbox
