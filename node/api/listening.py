"""The API's listening sockets, bound before anything is served, so that failure is told at start."""

import functools
import pwd
import socket
import struct
from pathlib import Path

UNIX = "unix:"


class ApiError(Exception):
    """The API cannot be started; the message says why and what to do."""


def listening(text: str) -> socket.socket:
    """Bind one address and listen. Raises ``ApiError``."""
    if text.startswith(UNIX):
        return _listening_unix(text.removeprefix(UNIX))
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((host, int(port)))
        bound.listen(1024)
        bound.setblocking(False)
    except (OSError, ValueError) as error:
        bound.close()
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ApiError(f"the API cannot listen on {text}: {why.lower()}") from None
    return bound


def _listening_unix(path: str) -> socket.socket:
    """Listen on a Unix socket that only its owner and group reach; a dead one is replaced."""
    place = Path(path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if place.is_socket() and not _is_alive(path):
            place.unlink()
        bound.bind(path)
        place.chmod(0o660)
        bound.listen(1024)
        bound.setblocking(False)
    except OSError as error:
        bound.close()
        raise ApiError(
            f"the API cannot listen on {UNIX}{path}: {(error.strerror or str(error)).lower()}"
        ) from None
    return bound


def peer_user(connection: socket.socket) -> str | None:
    """Return who is at the other end of a Unix socket, by the kernel's word; None for any other connection.

    Who may connect at all is decided by the socket's mode: its owner, its group, and root.
    """
    if connection.family != socket.AF_UNIX:
        return None
    credentials = struct.Struct("3i")
    try:
        octets = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size)
        _, user, _ = credentials.unpack(octets)
    except OSError:
        return None
    return _name_of(user)


@functools.lru_cache(maxsize=64)
def _name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except (KeyError, OverflowError):
        return str(user)


def _is_alive(path: str) -> bool:
    """Say whether somebody listens on the socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
        return trial.connect_ex(path) == 0


def address_text(bound: socket.socket) -> str:
    """Write where a socket listens, as the settings do."""
    if bound.family == socket.AF_UNIX:
        return f"{UNIX}{bound.getsockname()}"
    host, port = bound.getsockname()[:2]
    return f"[{host}]:{port}" if bound.family == socket.AF_INET6 else f"{host}:{port}"
