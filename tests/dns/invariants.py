"""What must hold for any octets whatever; shared by the property tests, the corpus and the fuzzer."""

import dns.message
import dns.rrset

from node.dns.grants import LOOPBACK, Access, grant_from_text
from node.dns.respond import Client, Drop, Forward, Outcome, RespondSettings, Send, Stream, View, respond
from node.dns.tsig import Key
from node.zone.name import from_text
from tests.dns.zones import zones

ZONES = zones(
    {
        "example.": "www A 192.0.2.1\nwww A 192.0.2.2\n*.wild A 192.0.2.3\nalias CNAME www\nloop CNAME loop\ntree DNAME wild\n"
        "grow DNAME b.grow\nsub NS ns.sub\nns.sub A 192.0.2.9\nmx MX 1 www\n_s._tcp SRV 1 1 1 www\n"
        + "".join(f"big TXT {'z' * 200}{number}\n" for number in range(60)),
        "a.": "@ A 192.0.2.4\n",
    }
)
KEY = Key(from_text("key."), from_text("hmac-sha256"), b"secretsecret")
SETTINGS = RespondSettings(
    cookie_secrets=(bytes(16),),
    keys={KEY.name: KEY},
    access=Access(updates={KEY.name: (grant_from_text("**.example"),)}),
    forward_for=LOOPBACK,
)
VIEW = View(ZONES, ready=True, node="ns1", settings=SETTINGS)
CLIENTS = (Client("192.0.2.1", "udp"), Client("127.0.0.1", "tcp", 10.0), Client("2001:db8::1", "tls", 10.0))


def judge(packet: bytes) -> Outcome:
    """Answer the octets on every transport and check what comes out; return the outcome over UDP."""
    outcomes = [respond(packet, client, VIEW, 1, 1_000_000_000) for client in CLIENTS]
    for outcome, limit in zip(outcomes, (1232, 65_535, 65_535), strict=True):
        if isinstance(outcome, Drop):
            assert len(packet) < 12 or packet[2] & 0x80, "only what cannot be answered is dropped"
        elif isinstance(outcome, Send):
            check(packet, outcome.packet, limit)
        elif isinstance(outcome, Stream):
            for message in outcome.messages:
                check(packet, message, limit)
        elif isinstance(outcome, Forward):
            check_forwarded(packet, outcome, limit)
    return outcomes[0]


def check_forwarded(packet: bytes, outcome: Forward, limit: int) -> None:
    """Check what is asked of another server, and the answers made of its silence and of its words."""
    asked = dns.message.from_wire(outcome.packet)
    assert (0, 0) == (asked.id, outcome.packet[2] & 0xF8), "not a plain question"
    assert len(outcome.packet) <= len(packet), "more is asked than was"
    check(packet, outcome.finish(None).packet, limit)
    reply = dns.message.make_response(asked, recursion_available=True)
    reply.answer.append(dns.rrset.from_text(asked.question[0].name, 60, asked.question[0].rdclass, "TXT", "x"))
    check(packet, outcome.finish(reply.to_wire()).packet, limit)


def check(packet: bytes, answer: bytes, limit: int) -> None:
    """Check one answer: to a query, with its id, its question, within its size, and readable."""
    assert not packet[2] & 0x80, "an answer was answered"
    assert packet[:2] == answer[:2], "the id differs"
    assert answer[2] & 0x80, "the answer is no answer"
    assert packet[2] & 0x78 == answer[2] & 0x78, "the opcode differs"
    assert len(answer) <= limit, "the answer is too long"
    if answer[4:6] == b"\x00\x01":
        end = question_end(answer)
        assert packet[12:end] == answer[12:end], "the question differs"
    # Read as the answer to a query: the other library wants more of an UPDATE's answer than RFC 2136 section 3.8.
    dns.message.from_wire(answer[:2] + bytes((answer[2] & 0x87,)) + answer[3:], keyring=False)


def question_end(message: bytes) -> int:
    """Return where the question of a message ends."""
    position = 12
    while message[position]:
        position += 1 + message[position]
    return position + 5
