"""The demo of ``qdns dev --with-demo``: three little web servers that can be broken and mended."""

import asyncio
from dataclasses import dataclass

from node.health.service import Check, Endpoint, Service
from node.state.command import PutZone, ZoneSettings
from node.zone.name import from_text
from node.zone.rrset import A, make

ADDRESSES = ("127.0.0.11", "127.0.0.12", "127.0.0.13")
PORT = 8778
_REQUEST_OCTETS_MAX = 8192
_REQUEST_TIME_S = 5.0


@dataclass
class _Site:
    """One web server's condition."""

    broken: bool = False


class Demo:
    """Three web servers on loopback; ``POST /fail`` breaks one, ``POST /mend`` mends it."""

    def __init__(self, port: int = PORT) -> None:
        self.port = port
        self._servers: list[asyncio.Server] = []

    async def start(self) -> None:
        """Listen. Raises ``OSError`` when an address is taken."""
        for address in ADDRESSES:
            site = _Site()

            async def serve(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter, site: _Site = site
            ) -> None:
                await _serve(site, reader, writer)

            self._servers.append(
                await asyncio.start_server(serve, address, self.port, limit=_REQUEST_OCTETS_MAX)
            )

    async def stop(self) -> None:
        """Stop listening."""
        for server in self._servers:
            server.close()
            await server.wait_closed()
        self._servers.clear()

    def zone(self) -> PutZone:
        """Return the zone that the demo lives in."""
        apex = from_text("demo.test")
        nameserver = from_text("ns1.demo.test")
        settings = ZoneSettings(nameservers=(nameserver,), contact=from_text("hostmaster.demo.test"))
        return PutZone(apex, settings, (make(nameserver, A, 5, [bytes((127, 0, 0, 1))]),))

    def service(self) -> Service:
        """Return the service whose endpoints the web servers are."""
        return Service(
            fqdn=from_text("www.demo.test"),
            zone=from_text("demo.test"),
            check=Check("http", self.port),
            endpoints=tuple(Endpoint(address) for address in ADDRESSES),
            interval_ms=1000,
            timeout_ms=500,
            recheck_ms=250,
        )


async def _serve(site: _Site, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request and close."""
    try:
        async with asyncio.timeout(_REQUEST_TIME_S):
            head = await reader.readuntil(b"\r\n\r\n")
            writer.write(_answer(site, head))
            await writer.drain()
    except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass  # a client that says nothing sensible gets nothing
    finally:
        writer.close()


def _answer(site: _Site, head: bytes) -> bytes:
    method, _, rest = head.partition(b" ")
    path = rest.partition(b" ")[0]
    if method == b"POST" and path in (b"/fail", b"/mend"):
        site.broken = path == b"/fail"
        text = "broken: it leaves DNS soon\n" if site.broken else "mended: it comes back soon\n"
        return _response("200 OK", text)
    if site.broken:
        return _response("503 Service Unavailable", "broken on purpose; mend it: POST /mend\n")
    return _response("200 OK", "the demo works; break it: POST /fail\n")


def _response(status: str, text: str) -> bytes:
    body = text.encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
    )
    return head.encode() + b"\r\n" + body
