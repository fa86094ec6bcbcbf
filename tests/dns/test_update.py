"""UPDATE from the wire through a real state machine: forms, prerequisites, rules, grants, outcomes."""

import asyncio
import socket
import struct
import time
from collections.abc import Callable

import dns.asyncquery
import dns.edns
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.update
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.dns.listen import read_address
from node.dns.query import parse
from node.dns.respond import Client, Propose, Send, respond
from node.dns.server import DnsServer, DnsSettings
from node.dns.tsig import Key
from node.dns.update import BadUpdate, read_update
from node.zone.name import from_text
from node.zone.rrset import A, RRset, make, rdata_from_text, type_from_text
from tests.dns.log import ACCESS, KEYS, ZONE, Log
from tests.dns.test_server import until
from tests.dns.test_tsig import theirs
from tests.dns.zones import lines

Build = Callable[[dns.update.UpdateMessage], None]
HERE = Client("192.0.2.9", "udp")


def rrset(name: str, type_: str, *texts: str) -> RRset:
    number = type_from_text(type_)
    return make(from_text(name), number, 300, [rdata_from_text(number, text, ZONE) for text in texts])


def log() -> Log:
    """Build a log with a zone that has something of everything."""
    return Log(
        rrset("www.example.", "A", "192.0.2.1", "192.0.2.2"),
        rrset("www.example.", "TXT", "text"),
        rrset("alias.example.", "CNAME", "www.example."),
    )


def tell(
    where: Log, build: Build, key: str | None = "all", zone: str = "example."
) -> tuple[dns.rcode.Rcode, str]:
    """Send an update; return the rcode and the sentence of the extended error."""
    message = dns.update.UpdateMessage(zone)
    build(message)
    message.use_edns(0)
    if key is not None:
        message.use_tsig(theirs(KEYS[from_text(key)]))
    outcome = respond(message.to_wire(), HERE, where.view(), 0, int(time.time()))
    if isinstance(outcome, Propose):
        result = asyncio.run(where.propose(outcome.command, actor=outcome.actor))
        outcome = outcome.finish(result, where.view(), int(time.time()))
    assert isinstance(outcome, Send)
    keyring = theirs(KEYS[from_text(key)]) if key else False
    answer = dns.message.from_wire(outcome.packet, keyring=keyring, request_mac=message.mac or b"")
    assert key is None or answer.had_tsig
    sentence = next((option.text for option in answer.options if isinstance(option, dns.edns.EDEOption)), "")
    return answer.rcode(), sentence or ""


def at(where: Log, name: str) -> list[str]:
    """Return the records at a name."""
    node = where.state.zones[ZONE].node(from_text(name))
    return [] if node is None else lines(node.rrsets)


UPDATES: list[tuple[str, Build, str, list[str]]] = [
    ("2.5.1 add", lambda u: u.add("new", 60, "A", "192.0.2.9"), "new.example.", ["new.example. A 192.0.2.9"]),
    (
        "2.5.1 add to an RRset",
        lambda u: u.add("www", 60, "A", "192.0.2.3"),
        "www.example.",
        [
            "www.example. A 192.0.2.1",
            "www.example. A 192.0.2.2",
            "www.example. A 192.0.2.3",
            'www.example. TXT "text"',
        ],
    ),
    ("2.5.2 delete an RRset", lambda u: u.delete("www", "A"), "www.example.", ['www.example. TXT "text"']),
    ("2.5.3 delete a name", lambda u: u.delete("www"), "www.example.", []),
    (
        "2.5.4 delete a record",
        lambda u: u.delete("www", "A", "192.0.2.2"),
        "www.example.",
        ["www.example. A 192.0.2.1", 'www.example. TXT "text"'],
    ),
    (
        "3.4.2.2 a CNAME replaces a CNAME",
        lambda u: u.add("alias", 60, "CNAME", "mail"),
        "alias.example.",
        ["alias.example. CNAME mail.example."],
    ),
    (
        "delete and add in one message",
        lambda u: u.replace("www", 60, "A", "192.0.2.7"),
        "www.example.",
        ["www.example. A 192.0.2.7", 'www.example. TXT "text"'],
    ),
    (
        "3.4.2.4 the apex keeps SOA and NS",
        lambda u: (u.delete("@"), u.delete("@", "NS"), u.delete("@", "SOA"), u.delete("@", "NS", "ns1")),
        "example.",
        [
            "example. NS ns1.example.",
            "example. SOA ns1.example. host.example. 1 3600 600 604800 60",
        ],
    ),
    ("an SOA elsewhere is ignored", lambda u: u.add("x", 60, "SOA", "a. b. 9 9 9 9 9"), "x.example.", []),
]


@pytest.mark.parametrize(("case", "build", "name", "expected"), UPDATES, ids=[case[0] for case in UPDATES])
def test_an_update_changes_what_it_says(case: str, build: Build, name: str, expected: list[str]) -> None:
    """RFC 2136 sections 2.5 and 3.4."""
    where = log()
    assert dns.rcode.NOERROR == tell(where, build)[0], case
    assert expected == at(where, name)


def test_what_changes_nothing_keeps_the_serial() -> None:
    """Adding what is there and deleting what is not (RFC 2136 section 3.7)."""
    where = log()
    serial = where.state.zones[ZONE].serial
    assert dns.rcode.NOERROR == tell(where, lambda u: u.add("www", 300, "A", "192.0.2.1"))[0]
    assert dns.rcode.NOERROR == tell(where, lambda u: u.delete("nothing"))[0]
    assert serial == where.state.zones[ZONE].serial


PREREQUISITES: list[tuple[str, Build, str]] = [
    ("2.4.1 RRset exists", lambda u: u.present("www", "A"), "NOERROR"),
    ("2.4.1 RRset exists", lambda u: u.present("www", "MX"), "NXRRSET"),
    (
        "2.4.2 RRset equals",
        lambda u: (u.present("www", "A", "192.0.2.2"), u.present("www", "A", "192.0.2.1")),
        "NOERROR",
    ),
    ("2.4.2 RRset equals", lambda u: u.present("www", "A", "192.0.2.2"), "NXRRSET"),
    ("2.4.3 RRset does not exist", lambda u: u.absent("www", "MX"), "NOERROR"),
    ("2.4.3 RRset does not exist", lambda u: u.absent("www", "A"), "YXRRSET"),
    ("2.4.4 name is in use", lambda u: u.present("www"), "NOERROR"),
    ("2.4.4 name is in use", lambda u: u.present("nothing"), "NXDOMAIN"),
    ("2.4.5 name is not in use", lambda u: u.absent("nothing"), "NOERROR"),
    ("2.4.5 name is not in use", lambda u: u.absent("www"), "YXDOMAIN"),
]


@pytest.mark.parametrize(("case", "build", "rcode"), PREREQUISITES)
def test_prerequisites_decide(case: str, build: Build, rcode: str) -> None:
    """RFC 2136 section 2.4: unmet, nothing changes."""
    where = log()

    def both(update: dns.update.UpdateMessage) -> None:
        build(update)
        update.add("new", 60, "A", "192.0.2.9")

    assert rcode == dns.rcode.to_text(tell(where, both)[0]), case
    assert bool(at(where, "new.example.")) == (rcode == "NOERROR")


@pytest.mark.parametrize(
    ("build", "key", "zone", "rcode", "said"),
    [
        (lambda u: u.add("x", 60, "A", "192.0.2.9"), None, "example.", "REFUSED", "must be signed"),
        (
            lambda u: u.add("x", 60, "A", "192.0.2.9"),
            "none",
            "example.",
            "REFUSED",
            "the key none has no grant",
        ),
        (
            lambda u: u.add("x", 60, "A", "192.0.2.9"),
            "acme",
            "example.",
            "REFUSED",
            "no grant of the key acme covers x.example. A",
        ),
        (lambda u: u.add("_acme-challenge.www", 60, "TXT", "token"), "acme", "example.", "NOERROR", ""),
        (
            lambda u: u.delete("_acme-challenge.www"),
            "acme",
            "example.",
            "REFUSED",
            "covers _acme-challenge.www.example. ANY",
        ),
        (lambda u: u.delete("_acme-challenge.www", "TXT"), "acme", "example.", "NOERROR", ""),
        (lambda u: u.add("x", 60, "A", "192.0.2.9"), "all", "other.", "NOTAUTH", "other. is not a zone"),
        (lambda u: u.add("x.other.", 60, "A", "192.0.2.9"), "all", "example.", "NOTZONE", "is not inside"),
        (
            lambda u: u.add("www", 60, "CNAME", "x"),
            "all",
            "example.",
            "NOERROR",
            "www.example. CNAME was ignored",
        ),
        (lambda u: u.add("alias", 60, "A", "192.0.2.9"), "all", "example.", "NOERROR", "beside a CNAME"),
        (lambda u: u.delete("@", "NS"), "all", "example.", "NOERROR", "a zone keeps its SOA and NS"),
    ],
)
def test_what_is_not_allowed_is_refused_with_its_reason(
    build: Build, key: str | None, zone: str, rcode: str, said: str
) -> None:
    """The rcode, and the rule in an extended error (RFC 2136 section 3, RFC 8914)."""
    where = log()
    told = tell(where, build, key, zone)
    assert rcode == dns.rcode.to_text(told[0])
    assert said in told[1]


def raw(section: int, type_: int, class_: int, ttl: int, rdata: bytes) -> Build:
    """Put one record of any form into a section."""

    def build(update: dns.update.UpdateMessage) -> None:
        rrset_ = dns.rrset.RRset(
            dns.name.from_text("x.example."),
            dns.rdataclass.RdataClass.make(class_),
            dns.rdatatype.RdataType.make(type_),
        )
        rrset_.add(dns.rdata.GenericRdata(rrset_.rdclass, rrset_.rdtype, rdata), ttl)
        update.sections[section].append(rrset_)

    return build


@pytest.mark.parametrize(
    ("section", "type_", "class_", "ttl", "rdata"),
    [
        (1, 1, 1, 5, bytes(4)),
        (1, 1, 255, 0, bytes(4)),
        (1, 1, 3, 0, b""),
        (2, 255, 1, 0, b""),
        (2, 252, 1, 0, b""),
        (2, 1, 1, 5, bytes(3)),
        (2, 1, 255, 5, b""),
        (2, 1, 255, 0, bytes(4)),
        (2, 1, 254, 5, bytes(4)),
        (2, 255, 254, 0, b""),
        (2, 1, 3, 0, bytes(4)),
    ],
)
def test_a_wrong_form_is_a_format_error(section: int, type_: int, class_: int, ttl: int, rdata: bytes) -> None:
    """RFC 2136 sections 3.2.4 and 3.4.1.3."""
    where = log()
    assert dns.rcode.FORMERR == tell(where, raw(section, type_, class_, ttl, rdata))[0]
    assert [] == where.proposals


def test_without_a_quorum_nothing_changes_and_it_is_said() -> None:
    """SERVFAIL with the reason (RFC 2136 section 3.5)."""
    where = log()
    where.has_quorum = False
    rcode, sentence = tell(where, lambda u: u.add("x", 60, "A", "192.0.2.9"))
    assert (dns.rcode.SERVFAIL, "only 1 of 3 nodes is here") == (rcode, sentence)


def test_an_update_that_the_state_refuses_changes_nothing_at_all() -> None:
    """All or nothing (RFC 2136 section 3.7), also when the zone has changed since the message was read."""
    where = log()
    update = dns.update.UpdateMessage("example.")
    update.add("before", 60, "A", "192.0.2.9")
    update.add("later", 60, "CNAME", "x")
    update.use_tsig(theirs(KEYS[from_text("all")]))
    outcome = respond(update.to_wire(), HERE, where.view(), 0, int(time.time()))
    assert isinstance(outcome, Propose)
    tell(where, lambda u: u.add("later", 60, "A", "192.0.2.9"))
    result = asyncio.run(where.propose(outcome.command, actor=outcome.actor))
    assert dns.rcode.REFUSED == outcome.finish(result, where.view(), int(time.time())).rcode
    assert [] == at(where, "before.example.")


def test_records_are_taken_in_their_order() -> None:
    """What an earlier record took away does not stand in the way of a later one (RFC 2136 section 3.4.2)."""
    where = log()

    def build(update: dns.update.UpdateMessage) -> None:
        update.delete("alias", "CNAME")
        update.add("alias", 60, "A", "192.0.2.9")
        update.delete("www", "A", "192.0.2.1")
        update.delete("www", "A", "192.0.2.2")
        update.delete("www", "TXT")
        update.add("www", 60, "CNAME", "alias")
        update.add("@", 60, "NS", "ns2")
        update.delete("@", "NS", "ns1")
        update.delete("@", "NS", "ns2")

    assert dns.rcode.NOERROR == tell(where, build)[0]
    assert ["alias.example. A 192.0.2.9"] == at(where, "alias.example.")
    assert ["www.example. CNAME alias.example."] == at(where, "www.example.")
    assert "example. NS ns2.example." in at(where, "example.")


@given(st.binary(max_size=12), st.integers(12, 200), st.booleans())
def test_a_mutated_update_is_read_or_refused(octets: bytes, place: int, insert: bool) -> None:
    """Behind a good signature any octets may come; nothing but a refusal is raised."""
    update = dns.update.UpdateMessage("example.", id=1)
    update.present("www", "A", "192.0.2.1")
    update.absent("x")
    update.add("new", 60, "MX", "1 mail")
    update.add("@", 60, "SOA", "a. b. 9 9 9 9 9")
    update.delete("www", "A", "192.0.2.1")
    update.delete("alias")
    packet = update.to_wire()
    place %= len(packet)
    mutated = packet[:place] + octets + packet[place + (0 if insert else len(octets)) :]
    query = parse(mutated)
    if query is None or query.fault is not None:
        return
    zone = log().state.zones[ZONE]
    rcode = 0
    try:
        asked = read_update(mutated, zone, ACCESS, from_text("all"))
        assert zone.name == asked.command.zone
    except BadUpdate as bad:
        rcode = bad.rcode
    assert rcode in (0, 1, 5, 10)


def test_over_real_sockets_updates_and_queries_overtake_one_another() -> None:
    """An update waits for the log, and a later query on the same connection is answered before it (RFC 7766 section 7)."""

    async def run() -> None:
        where = log()
        gate = asyncio.Event()

        async def slow(command: object, /, *, actor: str) -> object:
            await gate.wait()
            return await where.propose(command, actor=actor)  # type: ignore[arg-type]

        server = DnsServer(DnsSettings(("127.0.0.1:0",)), where.view, slow)  # type: ignore[arg-type]
        await server.start()
        address = read_address(server.addresses[0])
        update = dns.update.UpdateMessage("example.")
        update.add("new", 60, "A", "192.0.2.9")
        update.use_tsig(theirs(KEYS[from_text("all")]))
        reader, writer = await asyncio.open_connection(address.host, address.port)
        for packet in (update.to_wire(), dns.message.make_query("www.example.", "A").to_wire()):
            writer.write(len(packet).to_bytes(2, "big") + packet)
        writer.write_eof()
        async with asyncio.timeout(30):
            first = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
            assert dns.message.from_wire(first).answer
            gate.set()
            second = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
            assert dns.rcode.NOERROR == dns.message.from_wire(second, keyring=False).rcode()
            answer = await dns.asyncquery.udp(
                dns.message.make_query("new.example.", "A"), address.host, port=address.port, timeout=5
            )
            assert "192.0.2.9" == answer.answer[0][0].address
        assert b"" == await reader.read()
        assert {"NOERROR": 3} == dict(server.counters.responses)
        writer.close()
        await server.stop()

    asyncio.run(run())


def test_a_repeated_update_is_proposed_once() -> None:
    """A client that sends again while its update is on its way gets one answer."""

    async def run() -> None:
        where = log()
        gate = asyncio.Event()

        async def slow(command: object, /, *, actor: str) -> object:
            await gate.wait()
            return await where.propose(command, actor=actor)  # type: ignore[arg-type]

        server = DnsServer(DnsSettings(()), where.view, slow)  # type: ignore[arg-type]
        update = dns.update.UpdateMessage("example.")
        update.add("new", 60, "A", "192.0.2.9")
        update.use_tsig(theirs(KEYS[from_text("all")]))
        packet = update.to_wire()
        waiting = server.answer_datagram(packet, "192.0.2.9")
        assert None is server.answer_datagram(packet, "192.0.2.9")
        gate.set()
        assert waiting is not None
        assert not isinstance(waiting, bytes)
        assert isinstance(await waiting, bytes)
        assert 1 == len(where.proposals)
        assert ("all", A) == (where.proposals[0][1].removeprefix("tsig:"), 1)

    asyncio.run(run())


def test_a_client_that_goes_away_does_not_take_its_update_with_it() -> None:
    """The change is made, and its place is free again, whatever becomes of the connection."""

    async def run() -> None:
        where = log()
        gate = asyncio.Event()

        async def slow(command: object, /, *, actor: str) -> object:
            await gate.wait()
            return await where.propose(command, actor=actor)  # type: ignore[arg-type]

        server = DnsServer(DnsSettings(("127.0.0.1:0",)), where.view, slow)  # type: ignore[arg-type]
        await server.start()
        address = read_address(server.addresses[0])
        update = dns.update.UpdateMessage("example.")
        update.add("new", 60, "A", "192.0.2.9")
        update.use_tsig(theirs(KEYS[from_text("all")]))
        packet = update.to_wire()
        _, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(len(packet).to_bytes(2, "big") + packet)
        async with asyncio.timeout(30):
            await until(lambda: len(server._flights) == 1)
            reset = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            writer.transport.abort()
            await until(lambda: server.counters.connections_closed == 1)
            gate.set()
            await until(lambda: not server._flights)
        assert ["new.example. A 192.0.2.9"] == at(where, "new.example.")
        await server.stop()

    asyncio.run(run())


def test_keys_do_not_show_their_secret() -> None:
    """A key in a log line or a traceback is only a name."""
    shown = repr(Key(from_text("k"), from_text("hmac-sha256"), b"hidden-secret"))
    assert "hidden" not in shown
