"""Answers and transfers while some records are answered otherwise than they are replicated."""

from node.dns.respond import Client, RespondSettings, Send, Stream, View, respond
from node.zone.name import from_text
from node.zone.rrset import SOA, A, make
from node.zone.zone import Replacement, new_zone, served_as
from tests.dns.zones import query

ZONE = from_text("example")
HOST = from_text("host.example")


def test_transfers_follow_the_log_and_answers_what_is_served() -> None:
    """A name that is not answered any more is still transferred, for all nodes have one zone at one serial."""
    host = make(HOST, A, 60, [b"\xc0\x00\x02\x07"])
    zone = new_zone(ZONE, [make(ZONE, SOA, 5, [b"\x00\x00" + bytes(20)]), host], 1)
    served = served_as(zone, [Replacement(HOST, A, None)])
    assert (zone.serial, zone.history, None) == (served.serial, served.history, served.node(HOST))
    assert served_as(served, [Replacement(HOST, A, host)]).digest == zone.digest
    view = View({ZONE: served}, True, "n1", RespondSettings(), {ZONE: zone})
    answer = respond(query("host.example. A"), Client("127.0.0.1", "tcp"), view)
    assert isinstance(answer, Send)
    assert 3 == answer.rcode
    transfer = respond(query("example. AXFR"), Client("127.0.0.1", "tcp"), view)
    assert isinstance(transfer, Stream)
    assert host.rdatas[0] in b"".join(transfer.messages)
