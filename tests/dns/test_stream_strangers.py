"""Who holds a place among the connections, and who loses it when there is one too many."""

import asyncio
import ssl
from contextlib import suppress
from pathlib import Path

import dns.asyncquery
import dns.message
import trustme

from node.dns.listen import open_stream, read_address
from node.dns.server import DnsServer, DnsSettings
from node.dns.stream import Messages, StreamListeners, StreamSettings
from tests.dns.test_server import framed, serve
from tests.dns.test_tls import ZONES, context
from tests.dns.zones import view

CONNECTIONS_MAX = 5


async def ends_soon(reader: asyncio.StreamReader) -> bool:
    """Say whether the other side closes the connection within a second."""
    try:
        return await asyncio.wait_for(reader.read(), 1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def authority_context(authority: trustme.CA) -> ssl.SSLContext:
    """Make a client's context that trusts the authority."""
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return client


def tls_settings(folder: Path, authority: trustme.CA, handshake_s: float = 5.0) -> DnsSettings:
    """Listen for TLS with a certificate of the authority."""
    server_context, _ = context(folder, authority, "ns.example")
    stream = StreamSettings(connections_max=CONNECTIONS_MAX, handshake_s=handshake_s)
    return DnsSettings(("127.0.0.1:0",), ("127.0.0.1:0",), server_context, stream)


def test_connections_without_a_handshake_count(tmp_path: Path) -> None:
    """Who connects and says nothing takes one of the limited places, so that nobody can use up all descriptors."""
    authority = trustme.CA()

    async def test(server: DnsServer, *_addresses: object) -> None:
        port = read_address(server.tls_addresses[0]).port
        strangers = [await asyncio.open_connection("127.0.0.1", port) for _ in range(30)]
        ended = await asyncio.gather(*(ends_soon(reader) for reader, _writer in strangers))
        assert CONNECTIONS_MAX == ended.count(False)
        answer = await dns.asyncquery.tls(
            dns.message.make_query("www.example.", "A"),
            "127.0.0.1",
            port=port,
            timeout=5,
            ssl_context=authority_context(authority),
            server_hostname="ns.example",
        )
        assert "192.0.2.1" == answer.answer[0][0].address
        for _, stranger in strangers:
            stranger.close()

    serve(test, tls_settings(tmp_path, authority), lambda: view(ZONES))


def test_a_handshake_that_never_ends_is_ended(tmp_path: Path) -> None:
    """A client that says half of its first words is closed in time, and nothing is logged as a defect of ours."""
    authority = trustme.CA()
    faults: list[object] = []

    async def test(server: DnsServer, *_addresses: object) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
        port = read_address(server.tls_addresses[0]).port
        for octets in (b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n", b"\0\x1d" + bytes(29)):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(octets)
            with suppress(ConnectionError):
                async with asyncio.timeout(3):
                    await reader.read()
            writer.close()
        assert [] == faults

    serve(test, tls_settings(tmp_path, authority, handshake_s=0.3), lambda: view(ZONES))


def test_a_client_that_takes_a_zone_is_not_idle() -> None:
    """When there is one connection too many, a transfer on its way is not what ends (RFC 7766 section 6.2.3)."""

    def zone() -> Messages:
        while True:
            yield bytes(1000)

    async def run() -> None:
        listeners = StreamListeners(
            StreamSettings(connections_max=2),
            lambda frame, *_client: zone() if frame == b"zone" else frame,
            lambda _change: None,
        )
        bound = open_stream(read_address("127.0.0.1:0"))
        port = bound.getsockname()[1]
        await listeners.listen(bound, None)
        taker, taking = await asyncio.open_connection("127.0.0.1", port)
        taking.write(framed(b"zone"))
        await taker.readexactly(10_000)
        asker, asking = await asyncio.open_connection("127.0.0.1", port)
        asking.write(framed(bytes(20)))
        await asker.readexactly(22)
        await taker.readexactly(1_000_000)
        _, third = await asyncio.open_connection("127.0.0.1", port)
        assert await ends_soon(asker)
        await taker.readexactly(1_000_000)
        for writer in (taking, asking, third):
            writer.close()
        await listeners.stop()

    asyncio.run(run())
