"""Questions outside our zones: for whom they are forwarded, what is asked, what is believed, and how it ends."""

import asyncio
import struct
from collections.abc import Awaitable, Callable

import dns.asyncquery
import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.dns.forward import is_answer_to
from node.dns.forwarder import Forwarder, ForwardSettings
from node.dns.grants import LOOPBACK
from node.dns.limiter import LimiterSettings
from node.dns.listen import read_address
from node.dns.networks import Network
from node.dns.respond import Client, Forward, RespondSettings, respond
from node.dns.server import DnsServer, DnsSettings
from tests.dns.test_server import until
from tests.dns.zones import exchange, flags, query, view, zones
from tests.ports import free_port

ZONES = zones({"example.": "www A 192.0.2.1\nout CNAME www.elsewhere.\n"})
FORWARDING = RespondSettings(forward_for=LOOPBACK, cookie_secrets=(bytes(16),))
VIEW = view(ZONES, FORWARDING)
LOCAL, STRANGER = Client("127.0.0.1", "udp"), Client("192.0.2.99", "udp")


class Upstream(asyncio.DatagramProtocol):
    """A server that is asked; ``make`` turns a question into the octets that are sent back, each in its turn."""

    def __init__(self, make: Callable[[bytes], list[bytes]]) -> None:
        self.make = make
        self.packets: list[bytes] = []
        self.ports: set[int] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.packets.append(data)
        self.ports.add(addr[1])
        for packet in self.make(data):
            self.transport.sendto(packet, addr)  # type: ignore[attr-defined]


def good(packet: bytes) -> list[bytes]:
    """Answer with one address, as a resolver does."""
    answer = dns.message.make_response(dns.message.from_wire(packet), recursion_available=True)
    answer.flags |= dns.flags.AA
    answer.answer.append(dns.rrset.from_text(answer.question[0].name, 60, "IN", "A", "198.51.100.7"))
    return [answer.to_wire()]


def forwarding(
    test: Callable[[DnsServer, int, Upstream], Awaitable[None]],
    make: Callable[[bytes], list[bytes]] = good,
    *more: str,
    networks: tuple[Network, ...] = LOOPBACK,
    **times: float,
) -> None:
    """Run a test with a server of ours that forwards to an upstream of the test's."""

    async def run() -> None:
        upstream = Upstream(make)
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: upstream, local_addr=("127.0.0.1", 0)
        )
        own = f"127.0.0.1:{transport.get_extra_info('sockname')[1]}"
        forwarder = Forwarder(ForwardSettings((*more, own), **{"try_s": 0.2, "total_s": 1.0, **times}))  # type: ignore[arg-type]
        shown = view(ZONES, RespondSettings(forward_for=networks))
        server = DnsServer(DnsSettings(("127.0.0.1:0",)), lambda: shown, None, forwarder.ask)
        await server.start()
        try:
            async with asyncio.timeout(30):
                await test(server, read_address(server.addresses[0]).port, upstream)
            await until(lambda: forwarder.pending == 0)
        finally:
            await server.stop()
            transport.close()

    asyncio.run(run())


async def ask(port: int, question: str = "WWW.elsewhere. A", **options: object) -> dns.message.Message:
    """Ask our server."""
    name, type_ = question.split()
    asked = dns.message.make_query(name, type_, **options)  # type: ignore[arg-type]
    return await dns.asyncquery.udp(asked, "127.0.0.1", port=port, timeout=5)


def test_a_question_outside_our_zones_is_answered_by_the_other_server() -> None:
    """Without AA, with RA, in the client's spelling; our own names are never asked for elsewhere."""

    async def test(server: DnsServer, port: int, upstream: Upstream) -> None:
        answer = await ask(port)
        assert "198.51.100.7" == answer.answer[0][0].address
        assert "QR RD RA" == flags(answer)
        assert b"\x03WWW" in answer.question[0].name.to_wire()
        assert "QR AA RD RA" == flags(await ask(port, "www.example. A"))
        assert dns.rcode.NXDOMAIN == (await ask(port, "no.example. A")).rcode()
        assert 1 == len(upstream.packets)

    forwarding(test)


def test_each_question_has_a_port_and_an_id_of_its_own() -> None:
    """Who guesses has to guess both (RFC 5452 section 9)."""

    async def test(server: DnsServer, port: int, upstream: Upstream) -> None:
        await asyncio.gather(*(ask(port, f"n{number}.elsewhere. A") for number in range(20)))
        assert 20 == len(upstream.ports)
        assert 15 < len({packet[:2] for packet in upstream.packets})

    forwarding(test)


def test_nothing_of_the_client_goes_on_but_the_question() -> None:
    """No cookie, no options; RD, CD and DO do."""
    packet = query(
        "www.elsewhere. A", use_edns=0, want_dnssec=True, options=[dns.edns.CookieOption(bytes(8), b"")]
    )
    outcome = respond(packet, LOCAL, VIEW)
    assert isinstance(outcome, Forward)
    sent = dns.message.from_wire(outcome.packet)
    assert (0, (), 1168, "RD", dns.flags.DO) == (
        sent.id,
        sent.options,
        sent.payload,
        dns.flags.to_text(sent.flags),
        sent.ednsflags,
    )


def test_the_answer_has_our_own_options() -> None:
    """Cookie and NSID are between the client and us; the reason of an error is passed on."""
    packet = query("www.elsewhere. A", use_edns=0, options=[dns.edns.CookieOption(b"8octets!", b"")])
    outcome = respond(packet, LOCAL, VIEW)
    assert isinstance(outcome, Forward)
    upstream = dns.message.make_response(dns.message.from_wire(outcome.packet))
    upstream.use_edns(0, options=[dns.edns.GenericOption(3, b"theirs"), dns.edns.EDEOption(6, "bogus")])
    answer = dns.message.from_wire(outcome.finish(upstream.to_wire()).packet)
    assert {10, 15} == {int(option.otype) for option in answer.options}
    assert 1232 == answer.payload


def test_strangers_and_other_requests_are_refused_with_the_rule() -> None:
    """No open resolver: the extended error tells which list the address is missing from."""
    packet = query("www.elsewhere. A", use_edns=0)
    refused = exchange(packet, VIEW, STRANGER)
    assert (dns.rcode.REFUSED, "QR RD") == (refused.rcode(), flags(refused))
    assert "forward_for does not list the address 192.0.2.99" == refused.options[0].text
    iterative = query("www.elsewhere. A", use_edns=0, flags=0)
    assert dns.rcode.REFUSED == exchange(iterative, VIEW, LOCAL).rcode()
    assert dns.rcode.REFUSED == exchange(packet, view(ZONES), LOCAL).rcode()
    for question in ("elsewhere. AXFR", "elsewhere. IXFR", "elsewhere. TYPE253"):
        outcome = respond(query(question, use_edns=0), LOCAL, VIEW)
        assert not isinstance(outcome, Forward)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda packet: bytes((packet[0] ^ 1,)) + packet[1:],
        lambda packet: packet.replace(b"elsewhere", b"everywhere"[:9]),
        lambda packet: packet[:2] + bytes((packet[2] & 0x7F,)) + packet[3:],
        lambda packet: packet[:-1],
        lambda packet: packet[:5],
    ],
    ids=["another-id", "another-question", "a-query", "cut-short", "no-header"],
)
def test_what_does_not_answer_the_question_is_not_believed(spoil: Callable[[bytes], bytes]) -> None:
    """The wrong one is passed over, the right one behind it is taken."""

    async def test(server: DnsServer, port: int, upstream: Upstream) -> None:
        answer = await ask(port)
        assert "198.51.100.7" == answer.answer[0][0].address
        assert 1 == len(upstream.packets)

    forwarding(test, lambda packet: [spoil(good(packet)[0]), *good(packet)])


def test_a_flood_of_guesses_ends_the_try() -> None:
    """After some wrong ones the port is given up, and in the end the client is told."""

    async def test(server: DnsServer, port: int, upstream: Upstream) -> None:
        answer = await ask(port, use_edns=0)
        assert dns.rcode.SERVFAIL == answer.rcode()
        assert [22] == [option.code for option in answer.options]
        assert 2 == len(upstream.packets)

    forwarding(test, lambda packet: [b"\xff\xff" + good(packet)[0][2:]] * 20, try_s=5, total_s=10)


def test_a_dead_server_costs_its_time_only() -> None:
    """The next one is asked; when none answers, SERVFAIL, and the process lives."""
    closed = f"127.0.0.1:{free_port()}"

    async def second(server: DnsServer, port: int, upstream: Upstream) -> None:
        assert "198.51.100.7" == (await ask(port)).answer[0][0].address

    async def silent(server: DnsServer, port: int, upstream: Upstream) -> None:
        assert dns.rcode.SERVFAIL == (await ask(port)).rcode()
        assert "192.0.2.1" == (await ask(port, "www.example. A")).answer[0][0].address

    forwarding(second, good, closed)
    forwarding(silent, lambda packet: [])


def test_another_server_may_know_what_one_could_not_find_out() -> None:
    """SERVFAIL and REFUSED of one are passed on only when all say so."""
    failing = lambda packet: [struct.pack("!HH", *struct.unpack("!H", packet[:2]), 0x8182) + packet[4:]]  # noqa: E731

    async def test(server: DnsServer, port: int, upstream: Upstream) -> None:
        answer = await ask(port)
        assert (dns.rcode.SERVFAIL, 2) == (answer.rcode(), len(upstream.packets))

    forwarding(test, failing)


def test_a_long_answer_is_cut_over_udp_and_whole_over_tcp() -> None:
    """TC leads the client to TCP, where we ask over TCP too."""
    big = zones({"big.": "".join(f"@ TXT {'z' * 200}{number}\n" for number in range(20))})

    async def run() -> None:
        upstream = DnsServer(DnsSettings(("127.0.0.1:0",)), lambda: view(big))
        await upstream.start()
        forwarder = Forwarder(ForwardSettings((upstream.addresses[0],)))
        server = DnsServer(DnsSettings(("127.0.0.1:0",)), lambda: VIEW, None, forwarder.ask)
        await server.start()
        port = read_address(server.addresses[0]).port
        asked = dns.message.make_query("big.", "TXT", use_edns=0)
        cut = await dns.asyncquery.udp(asked, "127.0.0.1", port=port, timeout=5)
        assert (0, True) == (len(cut.answer), bool(cut.flags & dns.flags.TC))
        whole = await dns.asyncquery.tcp(asked, "127.0.0.1", port=port, timeout=5)
        assert 20 == len(whole.answer[0])
        await server.stop()
        await upstream.stop()

    asyncio.run(run())


def test_no_more_questions_wait_than_there_is_room_for() -> None:
    """What exceeds it is told at once that nobody answers."""

    async def run() -> None:
        silent = Upstream(lambda packet: [])
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: silent, local_addr=("127.0.0.1", 0)
        )
        own = f"127.0.0.1:{transport.get_extra_info('sockname')[1]}"
        forwarder = Forwarder(ForwardSettings((own,), try_s=0.3, total_s=0.3, pending_max=3))
        packet = query("www.elsewhere. A")
        answers = await asyncio.gather(*(forwarder.ask(packet, is_stream=False) for _ in range(10)))
        assert ([None] * 10, 3, 0) == (answers, len(silent.packets), forwarder.pending)
        transport.close()

    asyncio.run(run())


@given(st.binary(max_size=200))
def test_any_octets_are_an_answer_or_none(octets: bytes) -> None:
    """Whatever comes back, judging it never raises."""
    packet = query("www.elsewhere. A")
    assert not is_answer_to(packet, octets, 1) or octets[:2] == b"\x00\x01"


@given(st.data())
def test_mutated_answers_are_relayed_within_the_limit_or_not_at_all(data: st.DataObject) -> None:
    """What passes the check can be relayed, never longer than the client takes."""
    packet = query(
        "www.elsewhere. A", use_edns=0, options=[dns.edns.CookieOption(b"8octets!", b"")], payload=512
    )
    outcome = respond(packet, LOCAL, VIEW)
    assert isinstance(outcome, Forward)
    answer = bytearray(good(outcome.packet)[0] + bytes(0))
    for _ in range(data.draw(st.integers(0, 4))):
        answer[data.draw(st.integers(2, len(answer) - 1))] = data.draw(st.integers(0, 255))
    if is_answer_to(outcome.packet, bytes(answer), 0):
        assert 512 >= len(outcome.finish(bytes(answer)).packet)


def test_answers_of_other_servers_are_limited_as_our_own_are() -> None:
    """A source that can be forged gets no more of them than of ours: what is too much is cut here, and dropped else."""

    async def test(server: DnsServer, port: int, _upstream: Upstream) -> None:
        server.limit(LimiterSettings(responses_per_s=1, slip=1))
        answers = [await ask(port) for _ in range(4)]
        assert not answers[0].flags & dns.flags.TC
        assert any(answer.flags & dns.flags.TC for answer in answers[1:])
        assert server.counters.cut > 0

    forwarding(test)
