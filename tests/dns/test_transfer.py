"""Transfers: what another library makes of them is our zone, from any serial."""

import asyncio
import ipaddress
import time

import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.xfr
import dns.zone
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.dns.grants import Access
from node.dns.query import parse
from node.dns.respond import Client, Send, Stream, respond
from node.dns.server import DnsServer, DnsSettings
from node.dns.stream import StreamSettings
from node.dns.transfer import axfr, ixfr
from node.state.command import ChangeZone, DeleteRRset, PutRRset
from node.zone.name import Name, from_text, to_text
from node.zone.rrset import SOA, A, RRset, make, rdata_to_text, type_to_text
from node.zone.zone import Replacement, Zone, new_zone, with_changes
from tests.dns.log import KEYS, ZONE, Log
from tests.dns.test_server import read_frame, serve
from tests.dns.test_tsig import theirs
from tests.dns.zones import UDP, query

OPEN = Access(transfer_keys=frozenset({from_text("xfr")}), transfer_networks=Access().transfer_networks)
SOA_RRSET = make(ZONE, SOA, 5, [b"\x00\x00" + bytes(20)])
NAMES = [from_text(f"n{number}.example") for number in range(6)]


def address(number: int) -> bytes:
    return number.to_bytes(4, "big")


def ours(zone: Zone) -> set[tuple[str, str, int, str]]:
    """List what a secondary should hold."""
    return {
        (to_text(rrset.name), type_to_text(rrset.type), rrset.ttl, rdata_to_text(rrset.type, rdata))
        for rrset in zone.iter_rrsets()
        if not rrset.disabled
        for rdata in rrset.rdatas
    }


def its(zone: dns.zone.Zone) -> set[tuple[str, str, int, str]]:
    """List what another library's zone holds."""
    return {
        (str(name), dns.rdatatype.to_text(rdata.rdtype), ttl, rdata.to_text())
        for name, ttl, rdata in zone.iterate_rdatas()
    }


def transferred(zone: Zone, secondary: dns.zone.Zone, serial: int | None, limit: int = 700) -> None:
    """Carry the zone into the other library's, from a serial or whole."""
    type_ = dns.rdatatype.AXFR if serial is None else dns.rdatatype.IXFR
    asked = dns.message.make_query("example.", type_)
    parsed = parse(asked.to_wire())
    assert parsed is not None
    soa = zone.get(zone.name, SOA)
    assert soa is not None
    messages = axfr(parsed, zone, soa, limit) if serial is None else ixfr(parsed, zone, soa, serial, limit)
    inbound = dns.xfr.Inbound(secondary, type_, serial)
    done = False
    with inbound:
        for octets in messages:
            assert not done, "messages follow the end"
            assert len(octets) <= limit
            done = inbound.process_message(dns.message.from_wire(octets, xfr=True, one_rr_per_rrset=True))
    assert done, "the transfer has no end"


CHANGES = st.lists(
    st.lists(
        st.tuples(st.sampled_from(NAMES), st.integers(0, 3), st.booleans(), st.sampled_from([5, 60])),
        min_size=1,
        max_size=4,
    ),
    min_size=1,
    max_size=8,
)


def changed(zone: Zone, changes: list[tuple[Name, int, bool, int]], index: int) -> Zone:
    replacements = {}
    for name, count, disabled, ttl in changes:
        rrset = make(name, A, ttl, [address(number) for number in range(count)]) if count else None
        if rrset is not None and disabled:
            rrset = msgspec.structs.replace(rrset, disabled=True)
        replacements[name] = Replacement(name, A, rrset)
    return with_changes(zone, replacements.values(), index)


@given(CHANGES, st.integers(0, 7))
@settings(deadline=None)
def test_a_secondary_catches_up_from_any_version(
    rounds: list[list[tuple[Name, int, bool, int]]], since: int
) -> None:
    """IXFR from an older serial and AXFR lead to the same contents (RFC 1995 section 4, RFC 5936 section 2.2)."""
    versions = [
        new_zone(
            ZONE,
            [SOA_RRSET, make(from_text("keep.example"), A, 5, [address(number) for number in range(30)])],
            1,
            7,
        )
    ]
    for number, changes in enumerate(rounds):
        versions.append(changed(versions[-1], changes, number + 2))
    secondary = dns.zone.Zone("example.", relativize=False)
    start = versions[min(since, len(versions) - 1)]
    transferred(start, secondary, None)
    assert ours(start) == its(secondary)
    transferred(versions[-1], secondary, start.serial)
    assert ours(versions[-1]) == its(secondary)


def test_a_forgotten_serial_gets_the_whole_zone() -> None:
    """RFC 1995 section 4: the server answers with the full zone."""
    zone = new_zone(ZONE, [SOA_RRSET, make(NAMES[0], A, 5, [address(1)])], 1, 100)
    secondary = dns.zone.Zone("example.", relativize=False)
    transferred(new_zone(ZONE, [SOA_RRSET], 1, 3), secondary, None)
    transferred(zone, secondary, 3)
    assert ours(zone) == its(secondary)


def test_differences_longer_than_the_zone_are_not_sent() -> None:
    """The shorter way is taken (RFC 1995 section 5)."""
    zone = new_zone(ZONE, [SOA_RRSET], 1, 1)
    for number in range(20):
        zone = changed(zone, [(NAMES[0], 1 + number % 2, False, 5)], number)
    parsed = parse(query("example. IXFR"))
    assert parsed is not None
    soa = zone.get(ZONE, SOA)
    assert soa is not None
    (only,) = ixfr(parsed, zone, soa, 1)
    assert 3 + 1 == int.from_bytes(only[6:8], "big")


def test_one_changed_record_of_many_is_one_record() -> None:
    """A large RRset does not travel for one of its records."""
    many = [make(from_text(f"x{number}.example"), A, 5, [address(1)]) for number in range(20)]
    first = make(NAMES[0], A, 5, [address(number) for number in range(100)])
    second = make(NAMES[0], A, 5, [address(number) for number in range(1, 101)])
    zone = new_zone(ZONE, [SOA_RRSET, first, *many], 1, 1)
    after = with_changes(zone, [Replacement(NAMES[0], A, second)], 2)
    parsed = parse(query("example. IXFR"))
    assert parsed is not None
    soa = after.get(ZONE, SOA)
    assert soa is not None
    answers = dns.message.from_wire(
        next(iter(ixfr(parsed, after, soa, 1))), xfr=True, one_rr_per_rrset=True
    ).answer
    addresses = [str(rrset[0]) for rrset in answers if rrset.rdtype == A and str(rrset.name) == "n0.example."]
    assert ["0.0.0.0", "0.0.0.100"] == addresses


@pytest.mark.parametrize(
    ("key", "client", "question", "rcode"),
    [
        (None, Client("127.0.0.1", "tcp"), "example. AXFR", None),
        (None, Client("192.0.2.1", "tcp"), "example. AXFR", "REFUSED"),
        ("xfr", Client("192.0.2.1", "tcp"), "example. AXFR", None),
        ("all", Client("192.0.2.1", "tcp"), "example. AXFR", "REFUSED"),
        (None, Client("127.0.0.1", "udp"), "example. AXFR", "REFUSED"),
        (None, Client("127.0.0.1", "tcp"), "www.example. AXFR", "NOTAUTH"),
        (None, Client("127.0.0.1", "tcp"), "example. IXFR", "FORMERR"),
    ],
)
def test_a_zone_is_for_those_who_may_have_it(
    key: str | None, client: Client, question: str, rcode: str | None
) -> None:
    """By key or by address; loopback is the default, everybody else is refused (RFC 5936 section 5)."""
    where = Log(access=OPEN)
    name, type_ = question.split()
    asked = dns.message.make_query(name, type_)
    if key is not None:
        asked.use_tsig(theirs(KEYS[from_text(key)]))
    outcome = respond(asked.to_wire(), client, where.view(), 0, int(time.time()))
    if rcode is None:
        assert isinstance(outcome, Stream)
    else:
        assert isinstance(outcome, Send)
        assert rcode == dns.rcode.to_text(dns.message.from_wire(outcome.packet, keyring=False).rcode())


def test_over_udp_ixfr_tells_the_serial() -> None:
    """Who is behind comes back over TCP (RFC 1995 section 2)."""
    where = Log(access=Access(transfer_networks=(ipaddress.ip_network("192.0.2.0/24"),)))
    asked = dns.message.make_query("example.", "IXFR")
    asked.authority.append(dns.rrset.from_text("example.", 0, "IN", "SOA", "a. b. 0 1 1 1 1"))
    outcome = respond(asked.to_wire(), UDP, where.view())
    assert isinstance(outcome, Send)
    answer = dns.message.from_wire(outcome.packet)
    assert [1] == [rrset[0].serial for rrset in answer.answer]


def test_a_long_signed_transfer_over_a_real_socket_lets_others_through() -> None:
    """Many messages, each signed, while another client's questions are answered."""
    rrsets = [make(from_text(f"host{number}.example"), A, 60, [address(number)]) for number in range(5000)]
    where = Log(*rrsets, access=OPEN)

    async def test(server: DnsServer, host: str, port: int) -> None:
        asked = dns.message.make_query("example.", "AXFR")
        asked.use_tsig(theirs(KEYS[from_text("xfr")]))
        reader, writer = await asyncio.open_connection(host, port)
        packet = asked.to_wire()
        writer.write(len(packet).to_bytes(2, "big") + packet)
        others, other = await asyncio.open_connection(host, port)
        plain = query("host7.example. A")
        other.write(len(plain).to_bytes(2, "big") + plain)
        assert dns.message.from_wire(await read_frame(others)).answer
        other.close()
        records, context, soas = 0, None, 0
        while soas < 2:
            answer = dns.message.from_wire(
                await read_frame(reader),
                keyring=theirs(KEYS[from_text("xfr")]),
                request_mac=asked.mac,
                multi=True,
                tsig_ctx=context,
                xfr=True,
                one_rr_per_rrset=True,
            )
            assert answer.had_tsig
            context = answer.tsig_ctx
            records += len(answer.answer)
            soas += sum(rrset.rdtype == SOA for rrset in answer.answer)
        assert len(rrsets) + 1 + 2 == records
        writer.close()

    serve(test, DnsSettings(("127.0.0.1:0",)), where.view)


def test_a_client_that_takes_nothing_is_closed() -> None:
    """A transfer nobody reads ends with the idle time."""
    rrsets = [make(from_text(f"host{number}.example"), A, 60, [address(number)]) for number in range(4000)]
    where = Log(*rrsets, access=OPEN)
    quick = StreamSettings(idle_s=0.3)

    async def test(server: DnsServer, host: str, port: int) -> None:
        _, writer = await asyncio.open_connection(host, port, limit=1024)
        packet = query("example. AXFR")
        writer.write((len(packet).to_bytes(2, "big") + packet) * 200)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        while server.counters.connections_closed == 0:  # noqa: ASYNC110 - counters have no event
            await asyncio.sleep(0.01)

    serve(test, DnsSettings(("127.0.0.1:0",), stream=quick), where.view)


def test_too_many_transfers_at_once_are_told() -> None:
    """SERVFAIL instead of a zone; the client tries again later."""
    where = Log(
        *(make(from_text(f"host{number}.example"), A, 60, [address(number)]) for number in range(4000)),
        access=OPEN,
    )

    async def test(_: DnsServer, host: str, port: int) -> None:
        packet = query("example. AXFR")
        first, writer = await asyncio.open_connection(host, port)
        writer.write((len(packet).to_bytes(2, "big") + packet) * 3)
        rcodes = {(await read_frame(first))[3] & 15 for _ in range(3)}
        assert {dns.rcode.NOERROR, dns.rcode.SERVFAIL} == rcodes
        writer.close()

    serve(test, DnsSettings(("127.0.0.1:0",), transfers_max=1), where.view)


def test_changes_of_the_log_become_differences() -> None:
    """What commands do to a zone is what a secondary is told."""
    where = Log()
    serial = where.state.zones[ZONE].serial
    secondary = dns.zone.Zone("example.", relativize=False)
    transferred(where.state.zones[ZONE], secondary, None)
    added: RRset = make(NAMES[0], A, 5, [address(1)])
    where.apply(ChangeZone(ZONE, (PutRRset(added),)))
    where.apply(ChangeZone(ZONE, (DeleteRRset(NAMES[0], A), PutRRset(make(NAMES[1], A, 5, [address(2)])))))
    transferred(where.state.zones[ZONE], secondary, serial)
    assert ours(where.state.zones[ZONE]) == its(secondary)
