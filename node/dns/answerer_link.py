"""The words that the control process and its answerers exchange over one Unix socket each.

Messages keep their bounds (SOCK_SEQPACKET); the first octet is the kind. Sockets and tables travel as file
descriptors. Whoever connects must be of the same user: the kernel says who it is.
"""

import json
import os
import socket
import struct
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

from node.dns import table_layout as layout
from node.dns.answerer_batch import Sender

FORMAT = 4
"""Version of these messages; raised with every change."""
SOCKET_NAME = "answerers.sock"
MESSAGE_OCTETS_MAX = 65_535 + 256
FDS_MAX = 64
PROC = Path("/proc")

HELLO, QUESTION, PONG, READER, FAILED = b"H", b"Q", b"P", b"R", b"E"
"""From an answerer: who it is; a packet that it cannot answer; it is alive; why the compiled reader that is there
does not answer, or nothing where it does after all; why it ends."""
SETUP, TABLE, POLICY, ANSWER, STOP, PING = b"C", b"T", b"L", b"A", b"S", b"I"
"""To an answerer: what to serve; another table; other rules; the answer to a packet; end; are you alive."""

_ENVELOPE = struct.Struct("<BBB")
"""Number of the socket, octets of the sender's address and of the ancillary data."""


@cache
def version() -> str:
    """Return what an answerer and a control process must have in common: formats, and the code that answers."""
    here = Path(__file__).parent
    code = b"".join(each.read_bytes() for each in sorted((*here.glob("*.py"), *here.glob("*.so"))))
    return f"{FORMAT}.{layout.FORMAT}.{crc32(code):08x}"


def wrapped(kind: bytes, number: int, sender: Sender, packet: bytes) -> bytes:
    """Write a packet with its sender."""
    head = _ENVELOPE.pack(number, len(sender.name), len(sender.control))
    return b"".join((kind, head, sender.name, sender.control, packet))


def unwrapped(message: bytes) -> tuple[int, Sender, bytes]:
    """Undo ``wrapped``, but for the kind."""
    number, name, control = _ENVELOPE.unpack_from(message, 1)
    start = 1 + _ENVELOPE.size
    sender = Sender(message[start : start + name], message[start + name : start + name + control])
    return number, sender, message[start + name + control :]


def send_json(link: socket.socket, kind: bytes, fields: dict[str, Any], fds: list[int]) -> None:
    """Send a message of named fields with file descriptors. Raises ``OSError``."""
    socket.send_fds(link, [kind + json.dumps(fields).encode()], fds)


def receive(link: socket.socket) -> tuple[bytes, list[int]] | None:
    """Receive a message and its file descriptors; None when nothing waits, an empty one at the end."""
    try:
        message, fds, _, _ = socket.recv_fds(link, MESSAGE_OCTETS_MAX, FDS_MAX, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except OSError:
        return b"", []
    return message, list(fds)


def fields(message: bytes) -> dict[str, Any]:
    """Read the named fields of a message. Raises ``ValueError``."""
    match json.loads(message[1:]):
        case dict() as found:
            return found
        case _:
            raise ValueError("the message is not a map")


class Directory:
    """The directory where they meet; reached through its descriptor, as paths of sockets are short."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._identity = _identity(os.fstat(self._fd))

    @property
    def socket_path(self) -> str:
        """Path of the control process's socket; where the kernel shows no descriptors as it is, and must be short."""
        through = PROC / f"self/fd/{self._fd}"
        return str((through if through.is_dir() else self.path) / SOCKET_NAME)

    def is_there(self) -> bool:
        """Say whether the directory still stands at its path."""
        try:
            return _identity(self.path.stat()) == self._identity
        except OSError:
            return False

    def close(self) -> None:
        """Let go of it."""
        os.close(self._fd)


def peer(link: socket.socket) -> tuple[int, int]:
    """Return process and user at the other end (SO_PEERCRED)."""
    pid, uid, _ = struct.unpack("3i", link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return pid, uid


def _identity(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino
