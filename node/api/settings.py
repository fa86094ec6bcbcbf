"""Where the API listens, and its limits."""

import ssl
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Where the API listens, and its limits."""

    listen: tuple[str, ...] = ("127.0.0.1:7380",)
    """``ip:port``, ``[ip6]:port`` or ``unix:/path``; port 0 takes a free one."""
    tls: ssl.SSLContext | None = None
    """What the TCP addresses show; None for plain HTTP. A Unix socket needs none."""
    handshake_s: float = 5.0
    body_octets_max: int = 4 * 1024 * 1024
    bodies_octets_max: int = 320 * 1024 * 1024
    """Of all long bodies that are held at one time: the longest zone file and some more."""
    body_time_s: float = 30.0
    connections_max: int = 512
    streams_max: int = 200
    downloads_max: int = 2
    """Backups at a time."""
    waiting_max: int = 400
    """Blocking queries and watches at a time."""
    keep_alive_s: int = 30
    stop_s: int = 3
    send_time_s: float = 30.0
    """A stream whose reader takes nothing for so long is dropped."""
