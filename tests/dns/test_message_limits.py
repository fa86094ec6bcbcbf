"""No answer is longer than its asker allows, whatever is to be said beside it."""

import struct

import pytest

from node.dns.respond import Client, Send, respond
from tests.dns.zones import view, zones

LONGEST_NAME = (b"\x3f" + b"\xff" * 63) * 3 + b"\x3d" + b"\xff" * 61 + b"\0"
UPDATE_FLAGS, SOA = 5 << 11, 6


def longest_update(payload_octets: int) -> bytes:
    """Make an UPDATE of a zone whose name becomes 1000 characters of text, unsigned, from anybody."""
    opt = b"\0" + struct.pack("!HHIH", 41, payload_octets, 0, 0)
    return struct.pack("!6H", 7, UPDATE_FLAGS, 1, 0, 0, 1) + LONGEST_NAME + struct.pack("!HH", SOA, 1) + opt


@pytest.mark.parametrize("payload_octets", [0, 512, 1232, 4096])
def test_a_reason_never_makes_an_answer_too_long(payload_octets: int) -> None:
    """What the asker can receive binds the text of an extended error too (RFC 6891 section 6.2.5, RFC 8914 section 3)."""
    outcome = respond(longest_update(payload_octets), Client("192.0.2.1", "udp"), view(zones({})))
    assert isinstance(outcome, Send)
    assert len(outcome.packet) <= 512


def test_a_reason_does_not_amplify() -> None:
    """An answer to a stranger is not much longer than what he sent, or he would send it in another's name."""
    packet = longest_update(4096)
    outcome = respond(packet, Client("192.0.2.1", "udp"), view(zones({})))
    assert isinstance(outcome, Send)
    assert len(outcome.packet) < 2 * len(packet)


def test_an_unknown_key_does_not_amplify() -> None:
    """The algorithm's name is never compressed (RFC 8945 section 4.2), or two octets would come back as 255."""
    question = LONGEST_NAME + struct.pack("!HH", SOA, 1)
    pointer = b"\xc0\x0c"
    fields = struct.pack("!HIHH", 0, 0, 300, 0) + struct.pack("!HHH", 7, 0, 0)
    tsig = pointer + struct.pack("!HHIH", 250, 255, 0, len(pointer + fields)) + pointer + fields
    packet = struct.pack("!6H", 7, 0, 1, 0, 0, 1) + question + tsig
    outcome = respond(packet, Client("192.0.2.1", "udp"), view(zones({})))
    assert isinstance(outcome, Send)
    assert 1 == outcome.rcode, "FORMERR"
    assert len(outcome.packet) <= len(packet)
