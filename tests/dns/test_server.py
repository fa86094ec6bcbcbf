"""The server on real sockets: UDP, TCP, limits, and what it does when something fails."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable

import dns.asyncquery
import dns.message
import dns.rcode
import pytest

from node.dns.listen import ListenFailed, read_address
from node.dns.respond import View
from node.dns.server import DnsServer, DnsSettings
from node.dns.stream import StreamSettings
from tests.dns.zones import query, view, zones

ZONES = zones(
    {"example.": "www A 192.0.2.1\n" + "".join(f"big TXT {'z' * 200}{number}\n" for number in range(100))}
)
QUICK = StreamSettings(connections_max=3, idle_s=0.2, lifetime_s=60)


def serve(
    test: Callable[[DnsServer, str, int], Awaitable[None]],
    settings: DnsSettings | None = None,
    shown: Callable[[], View] = lambda: view(ZONES),
) -> None:
    """Run a test against a server on a free port of loopback."""

    async def run() -> None:
        server = DnsServer(settings or DnsSettings(("127.0.0.1:0",)), shown)
        await server.start()
        try:
            address = read_address(server.addresses[0])
            async with asyncio.timeout(30):
                await test(server, address.host, address.port)
        finally:
            await server.stop()

    asyncio.run(run())


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """Read one framed message."""
    return await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))


def framed(packet: bytes) -> bytes:
    """Put the length before a message."""
    return len(packet).to_bytes(2, "big") + packet


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition; the test's own deadline ends it."""
    while not condition():  # noqa: ASYNC110 - counters have no event
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0", "[::]:0"])
def test_udp_and_tcp_answer_on_the_same_port(listen: str) -> None:
    """RFC 7766 section 5: TCP is not optional; a wildcard address answers from the address that was asked."""
    host = {"0.0.0.0:0": "127.0.0.2", "[::]:0": "::1"}.get(listen)

    async def test(server: DnsServer, own: str, port: int) -> None:
        asked = dns.message.make_query("www.example.", "A")
        for ask in (dns.asyncquery.udp, dns.asyncquery.tcp):
            answer = await ask(asked, host or own, port=port, timeout=5)
            assert "192.0.2.1" == answer.answer[0][0].address
        assert {("udp", "A"): 1, ("tcp", "A"): 1} == dict(server.counters.queries)
        assert {"NOERROR": 2} == dict(server.counters.responses)

    try:
        serve(test, DnsSettings((listen,)))
    except ListenFailed as failed:
        pytest.skip(str(failed))


def test_truncation_leads_to_tcp() -> None:
    """What does not fit UDP comes whole over TCP (RFC 7766 section 5)."""

    async def test(_: DnsServer, host: str, port: int) -> None:
        asked = dns.message.make_query("big.example.", "TXT")
        answer, over_tcp = await dns.asyncquery.udp_with_fallback(asked, host, port=port, timeout=5)
        assert (True, 100) == (over_tcp, len(answer.answer[0]))

    serve(test)


def test_a_client_may_send_many_queries_at_once() -> None:
    """Pipelined queries are all answered (RFC 7766 section 6.2.1.1), also when the client stops sending behind them."""

    async def test(_: DnsServer, host: str, port: int) -> None:
        reader, writer = await asyncio.open_connection(host, port)
        packets = [number.to_bytes(2, "big") + query("www.example. A")[2:] for number in range(300)]
        octets = b"".join(map(framed, packets))
        writer.write(octets[:7])
        await writer.drain()
        writer.write(octets[7:])
        writer.write_eof()
        ids = [int.from_bytes((await read_frame(reader))[:2], "big") for _ in packets]
        assert list(range(300)) == sorted(ids)
        assert b"" == await reader.read()

    serve(test)


def test_an_idle_client_is_closed() -> None:
    """A connection without messages ends (RFC 7766 section 6.2.3), however slowly its octets drip."""

    async def test(server: DnsServer, host: str, port: int) -> None:
        _, silent = await asyncio.open_connection(host, port)
        reader, dripping = await asyncio.open_connection(host, port)
        dripping.write(b"\x00")
        await until(lambda: server.counters.connections_closed == 2)
        assert b"" == await reader.read()
        silent.close()

    serve(test, DnsSettings(("127.0.0.1:0",), stream=QUICK))


def test_one_connection_too_many_closes_the_idlest() -> None:
    """Clients that only sit there keep nobody out."""
    settings = StreamSettings(connections_max=3, idle_s=30)

    async def test(server: DnsServer, host: str, port: int) -> None:
        idle = [await asyncio.open_connection(host, port) for _ in range(20)]
        await until(lambda: server.counters.connections_opened == 20)
        answer = await dns.asyncquery.tcp(
            dns.message.make_query("www.example.", "A"), host, port=port, timeout=5
        )
        assert dns.rcode.NOERROR == answer.rcode()
        assert server.counters.connections_opened - server.counters.connections_closed <= 3
        for _, writer in idle:
            writer.close()

    serve(test, DnsSettings(("127.0.0.1:0",), stream=settings))


def test_a_client_that_does_not_read_is_not_fed() -> None:
    """Answers to a client that reads nothing are bounded, and it is closed in the end."""

    async def test(server: DnsServer, host: str, port: int) -> None:
        client = socket.create_connection((host, port))
        client.setblocking(False)
        asked = framed(query("big.example. TXT")) * 100
        with contextlib.suppress(ConnectionError, BlockingIOError):
            while True:
                client.send(asked)
                await asyncio.sleep(0)
        await until(lambda: server.counters.connections_closed == 1)
        client.close()
        assert server.counters.queries["tcp", "TXT"] < 10_000

    serve(test, DnsSettings(("127.0.0.1:0",), stream=QUICK))


def test_garbage_on_tcp_ends_the_connection() -> None:
    """A frame without a DNS header is not DNS."""

    async def test(server: DnsServer, host: str, port: int) -> None:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(framed(b""))
        assert b"" == await reader.read()
        assert 1 == server.counters.dropped["short"]

    serve(test)


def test_a_defect_costs_one_answer() -> None:
    """An exception becomes SERVFAIL and a count, and the next question is answered."""
    views = [None, view(ZONES)]

    def broken() -> View:
        shown = views.pop(0)
        if shown is None:
            raise RuntimeError("a defect")
        return shown

    async def test(server: DnsServer, host: str, port: int) -> None:
        asked = dns.message.make_query("www.example.", "A")
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(framed(asked.to_wire()))
        assert dns.rcode.SERVFAIL == (await read_frame(reader))[3] & 15
        writer.write(framed(asked.to_wire()))
        assert dns.rcode.NOERROR == (await read_frame(reader))[3] & 15
        assert 1 == server.counters.failures
        writer.close()

    serve(test, shown=broken)


def start_failing(settings: DnsSettings) -> str:
    """Start a server that cannot start, and return what it says."""

    async def run() -> None:
        with pytest.raises(ListenFailed) as failed:
            await DnsServer(settings, lambda: view(ZONES)).start()
        said.append(str(failed.value))

    said: list[str] = []
    asyncio.run(run())
    return said[0]


def test_an_address_in_use_is_named() -> None:
    """A start that fails says which address, why and what to do, and holds no socket."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = start_failing(DnsSettings(("127.0.0.1:0", f"127.0.0.1:{port}")))
        assert (
            f"cannot listen for DNS on 127.0.0.1:{port} (TCP): address already in use; another program" in said
        )
        with socket.socket(type=socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", port))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("198.51.100.1:0", "does not have this address"),
        ("localhost:53", "write ip:port"),
        ("127.0.0.1:x", "write ip:port"),
        ("127.0.0.1:70000", "between 0 and 65535"),
    ],
)
def test_an_impossible_address_is_explained(text: str, said: str) -> None:
    """Not an address, not ours, not a port."""
    assert said in start_failing(DnsSettings((text,)))
