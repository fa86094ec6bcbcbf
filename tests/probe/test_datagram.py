"""UDP, DNS and ICMP probes: one question, one answer that fits it, in time."""

import asyncio
import socket
from contextlib import asynccontextmanager
from pathlib import Path

import dnslib
import pytest

from node.health.service import Check
from node.probe.checks import run
from node.zone.name import from_text
from tests.ports import free_port
from tests.probe.gallery import descriptors

FQDN = from_text("www.example.test")


class Answering(asyncio.DatagramProtocol):
    """Answers every datagram with those that a function makes of it."""

    def __init__(self, answers):
        self.answers = answers

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        for answer in self.answers(data):
            self.transport.sendto(answer, addr)


@asynccontextmanager
async def answering(answers, address="127.0.0.1"):
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: Answering(answers), (address, 0))
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


def probe(kind, answers, timeout_s=0.3, address="127.0.0.1", **options):
    async def play():
        async with answering(answers, address) as port:
            return await run(Check(kind, port, **options), FQDN, address, timeout_s)

    return asyncio.run(play())


def reply(question, *records, rcode=0, name=None, truncated=False):
    """Answer a DNS question."""
    asked = dnslib.DNSRecord.parse(question)
    answer = asked.reply()
    answer.header.rcode = rcode
    answer.header.tc = truncated
    if name:
        answer.questions[0].qname = dnslib.DNSLabel(name)
    for record in records:
        answer.add_answer(*dnslib.RR.fromZone(record))
    return answer.pack()


def other_identity(packet):
    return bytes((packet[0] ^ 1,)) + packet[1:]


UDP = {
    "any answer": (lambda _: [b"k"], {"send": "x"}, True, "answered 1 octets"),
    "the expected text": (
        lambda data: [data + b"-pong"],
        {"send": "ping", "expect": "ping-pong"},
        True,
        "answered 9 octets",
    ),
    "another text": (
        lambda _: [b"no"],
        {"send": "ping", "expect": "pong"},
        False,
        "answer without the expected text",
    ),
    "silence": (lambda _: [], {"send": "ping"}, False, "no answer within 300 ms"),
}


@pytest.mark.parametrize("name", UDP)
def test_udp(name):
    """The endpoint is up exactly when its first answer holds what is expected."""
    answers, options, up, evidence = UDP[name]
    result = probe("udp", answers, **options)
    assert (up, evidence) == (result.up, result.evidence)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("kind", ["udp", "dns"])
def test_nobody_listening_is_a_refusal(kind, address):
    """The host's word that nobody listens ends the probe at once."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind((address, 0))
        port = free.getsockname()[1]
    result = asyncio.run(run(Check(kind, port, send="x"), FQDN, address, 2))
    assert (False, "connection refused", True) == (result.up, result.evidence, result.answered)
    assert result.latency_ms < 500


WWW = "www.example.test. 5 A 192.0.2.1"
DNS = {
    "an answer": (lambda q: [reply(q, WWW)], {}, True, "NOERROR, 1 answer"),
    "no data": (lambda q: [reply(q)], {}, True, "NOERROR, 0 answers"),
    "the expected address": (
        lambda q: [reply(q, "www.example.test. 5 CNAME web.example.test.", "web.example.test. 5 A 192.0.2.7")],
        {"expect": "192.0.2.7"},
        True,
        "NOERROR, 2 answers",
    ),
    "the expected text": (
        lambda q: [reply(q, 'www.example.test. 5 TXT "ready"')],
        {"query_type": 16, "expect": '"ready"'},
        True,
        "NOERROR, 1 answer",
    ),
    "another address": (
        lambda q: [reply(q, WWW)],
        {"expect": "192.0.2.7"},
        False,
        "192.0.2.7 is not among the answers",
    ),
    "a truncated answer": (
        lambda q: [reply(q, truncated=True)],
        {"expect": "192.0.2.7"},
        False,
        "answer is truncated",
    ),
    "SERVFAIL": (lambda q: [reply(q, rcode=2)], {}, False, "SERVFAIL"),
    "an rcode without a name": (lambda q: [reply(q, rcode=9)], {}, False, "rcode 9"),
    "an expected NXDOMAIN": (
        lambda q: [reply(q, rcode=3)],
        {"expect_rcodes": (0, 3)},
        True,
        "NXDOMAIN, 0 answers",
    ),
    "silence": (lambda _: [], {}, False, "no answer within 300 ms"),
    "only strangers' answers": (
        lambda q: [other_identity(reply(q)), q, b"short", reply(q, name="other.test.")],
        {},
        False,
        "no answer within 300 ms",
    ),
    "a stranger's answer first": (
        lambda q: [other_identity(reply(q, rcode=2)), reply(q)],
        {},
        True,
        "NOERROR, 0 answers",
    ),
    "an answer cut off": (
        lambda q: [reply(q, WWW)[:-7]],
        {"expect": "192.0.2.1"},
        False,
        "answer cannot be read",
    ),
}


@pytest.mark.parametrize("name", DNS)
def test_dns(name):
    """The endpoint is up exactly when it answers this question as expected."""
    answers, options, up, evidence = DNS[name]
    result = probe("dns", answers, **options)
    assert (up, evidence) == (result.up, result.evidence)


def test_the_question():
    """The service's name is asked for unless the check names another, with a fresh identity each time."""
    asked = []

    def answers(question):
        asked.append(dnslib.DNSRecord.parse(question))
        return [reply(question)]

    probe("dns", answers)
    probe("dns", answers, query_name=from_text("example.test"), query_type=6)
    texts = [(str(each.q.qname), each.q.qtype, each.q.qclass, each.header.rd) for each in asked]
    assert [("www.example.test.", 1, 1, 1), ("example.test.", 6, 1, 1)] == texts
    assert asked[0].header.id != asked[1].header.id


def test_an_expectation_that_cannot_be_read_is_evidence_of_nothing():
    """What is wrong with the check is not the endpoint's fault."""
    result = probe("dns", lambda q: [reply(q, WWW)], expect="not an address")
    assert (False, False) == (result.up, result.tried)


def test_ipv6():
    """Datagrams go over IPv6 to IPv6 endpoints."""
    assert probe("dns", lambda q: [reply(q)], address="::1").up


def test_every_socket_is_closed():
    """However a probe ends, its socket is closed."""
    before = descriptors()
    probe("udp", lambda _: [])
    probe("dns", lambda q: [reply(q)])
    asyncio.run(run(Check("udp", free_port()), FQDN, "127.0.0.1", 0.1))
    assert descriptors() <= before


def may_ping():
    low, high = map(int, Path("/proc/sys/net/ipv4/ping_group_range").read_text().split())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM):
        try:
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP).close()
        except PermissionError:
            return False
    return low <= high


def test_icmp():
    """An address of this host answers a ping; where pinging is not permitted, that is said and counts for nothing."""
    for address in ("127.0.0.1", "::1"):
        result = asyncio.run(run(Check("icmp", 0), FQDN, address, 1))
        if may_ping():
            assert (True, "echo reply") == (result.up, result.evidence)
        else:
            assert (False, False) == (result.up, result.tried)
            assert "ping_group_range" in result.evidence
