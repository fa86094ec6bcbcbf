"""Opening the sockets that DNS is served from; what fails says the address and what to do."""

import contextlib
import errno
import ipaddress
import os
import socket
from dataclasses import dataclass

_PORT_TRIES = 20
_BUFFER_OCTETS = 1024 * 1024
_BACKLOG = 512
_IP_PKTINFO = 8  # of Linux; the socket module has it from Python 3.14 on
_IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER, _PMTUDISC_OMIT = 10, 23, 5


class ListenFailed(Exception):
    """An address cannot be listened on; the message says which, why and what to do."""


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """An IP address and a port, 0 for any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_wildcard(self) -> bool:
        """Say whether it stands for all addresses of the machine."""
        return ipaddress.ip_address(self.host).is_unspecified


def read_address(text: str) -> ListenAddress:
    """Read ``ip:port`` or ``[ip6]:port``. Raises ``ListenFailed``."""
    host, _, port = text.rpartition(":")
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
        number = int(port)
    except ValueError:
        raise ListenFailed(f"{text!r} is not an address to listen on: write ip:port or [ip6]:port") from None
    if not 0 <= number <= 65_535:
        raise ListenFailed(f"{text!r}: a port lies between 0 and 65535")
    return ListenAddress(str(address), number)


def open_pair(address: ListenAddress) -> tuple[socket.socket, socket.socket]:
    """Open UDP and TCP on one address and port. Raises ``ListenFailed``."""
    for last in (False,) * (_PORT_TRIES - 1) + (True,):
        datagram = open_datagram(address)
        port = datagram.getsockname()[1]
        try:
            return datagram, open_stream(ListenAddress(address.host, port))
        except ListenFailed:
            datagram.close()
            if address.port or last:
                raise
    raise AssertionError


def open_datagram(address: ListenAddress, *, is_shared: bool = False) -> socket.socket:
    """Open a UDP socket that never blocks; shared ones divide an address's queries. Raises ``ListenFailed``."""
    opened = _opened(address, socket.SOCK_DGRAM)
    if is_shared:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    return _bound(prepared(opened, address), address, "UDP")


def shared_datagram(address: ListenAddress, given: socket.socket | None) -> socket.socket:
    """Return a UDP socket for one of several processes, that never blocks. Raises ``ListenFailed``.

    Without one that is bound already each gets one of its own, and these divide an address's queries; else they all
    read the one that is given.
    """
    return open_datagram(address, is_shared=True) if given is None else prepared(given.dup(), address)


def prepared(datagram: socket.socket, address: ListenAddress) -> socket.socket:
    """Give a UDP socket, be it bound already, what ours have; return it."""
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        with contextlib.suppress(OSError):
            datagram.setsockopt(socket.SOL_SOCKET, option, _BUFFER_OCTETS)
    if address.is_wildcard:
        _tell_destination(datagram)
    _ignore_path_mtu(datagram)
    return datagram


def open_stream(address: ListenAddress) -> socket.socket:
    """Open a listening TCP socket that never blocks. Raises ``ListenFailed``."""
    opened = _opened(address, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound = _bound(opened, address, "TCP")
    bound.listen(_BACKLOG)
    return bound


def _opened(address: ListenAddress, kind: socket.SocketKind) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        opened = socket.socket(family, kind)
    except OSError as error:
        raise ListenFailed(_sentence(address, kind.name, error)) from None
    opened.setblocking(False)
    if family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return opened


def _bound(opened: socket.socket, address: ListenAddress, protocol: str) -> socket.socket:
    try:
        opened.bind((address.host, address.port))
    except OSError as error:
        opened.close()
        raise ListenFailed(_sentence(address, protocol, error)) from None
    return opened


def _tell_destination(opened: socket.socket) -> None:
    """Learn which of our addresses was asked, so that the answer comes from it."""
    if opened.family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        opened.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)


def _ignore_path_mtu(opened: socket.socket) -> None:
    """Trust our own size limit, not ICMP messages that anybody can forge (RFC 9715)."""
    with contextlib.suppress(OSError):
        if opened.family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_OMIT)
        else:
            opened.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_OMIT)


def _sentence(address: ListenAddress, protocol: str, error: OSError) -> str:
    hints = {
        errno.EADDRINUSE: "another program listens there: stop it or choose another port",
        errno.EACCES: "a port below 1024 needs CAP_NET_BIND_SERVICE: grant it or choose another port",
        errno.EADDRNOTAVAIL: "the machine does not have this address: correct it in the configuration",
    }
    hint = hints.get(error.errno or 0, "check the address")
    reason = os.strerror(error.errno or 0).lower()
    return f"cannot listen for DNS on {address} ({protocol}): {reason}; {hint}"
