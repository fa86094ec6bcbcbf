"""Questions outside our zones, for those who may have them forwarded: what is asked, and what is relayed. Pure.

Nothing of the client's message goes on but its question, RD, CD, AD and DO: cookies and other options are between
two parties. What comes back is checked, loses AA, and gets our own OPT record.
"""

import struct
from dataclasses import dataclass

from node.dns import message
from node.dns.exchange import NOT_AUTHORITATIVE, PROHIBITED, Exchange
from node.dns.message import ExtendedError, Response
from node.dns.networks import is_in
from node.dns.query import HEADER_OCTETS, OPT, QUERY, RECURSION_DESIRED, Query, parse

_AA, _TC, _RA = 0x0400, 0x0200, 0x0080
_PASSED_ON = RECURSION_DESIRED | 0x0030
"""RD, AD and CD."""
_OWN_OPTIONS_OCTETS = 64
"""Kept free for our own options (cookie, NSID as far as there is room)."""
NO_ANSWER = 22
"""No reachable authority (RFC 8914 section 4.23)."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What the steps say of a question that is to be forwarded."""


def problem(exchange: Exchange) -> str | None:
    """Return why a question outside our zones is not forwarded; an empty text says no more than that it is not ours."""
    query, networks = exchange.query, exchange.view.settings.forward_for
    question = query.question
    if not networks or query.opcode != QUERY or question is None or not query.flags & RECURSION_DESIRED:
        return ""
    if not is_in(exchange.client.address, networks):
        return f"forward_for does not list the address {exchange.client.address}"
    if exchange.signature is not None or 128 <= question.type < 255 or question.type == OPT:
        return "signed questions, and those for a zone, are not forwarded"
    return None


def asked(query: Query, limit: int) -> bytes:
    """Write the question to forward, with an id of 0; ``limit`` is the longest answer that the client takes."""
    assert query.question is not None
    question = query.question
    flags = query.flags & _PASSED_ON
    opt = b""
    if query.edns is not None:
        payload = max(message.PLAIN_UDP_OCTETS_MAX, min(limit, 1232) - _OWN_OPTIONS_OCTETS)
        opt = struct.pack("!BHHIH", 0, OPT, payload, 0x8000 if query.dnssec_ok else 0, 0)
    header = struct.pack("!6H", 0, flags, 1, 0, 0, int(bool(opt)))
    return header + question.spelled + struct.pack("!HH", question.type, question.class_) + opt


def is_answer_to(packet: bytes, answer: bytes, id_: int) -> bool:
    """Say whether a message answers what was asked under an id: one question, the same, nothing malformed."""
    read, wanted = parse(answer), parse(packet)
    if read is None or wanted is None or read.question is None or wanted.question is None:
        return False
    same = (read.question.name, read.question.type, read.question.class_) == (
        wanted.question.name,
        wanted.question.type,
        wanted.question.class_,
    )
    return read.is_answer and read.opcode == QUERY and read.id == id_ and read.fault is None and same


def is_cut(answer: bytes) -> bool:
    """Say whether there is more over TCP."""
    return bool(answer[2] & _TC >> 8)


def is_failure(answer: bytes) -> bool:
    """Say whether another server may know better."""
    return answer[3] & 15 in (message.SERVFAIL, message.REFUSED)


def relayed(
    query: Query, answer: bytes, options: tuple[tuple[int, bytes], ...], limit: int, payload: int
) -> bytes:
    """Make a checked answer ours: the client's id and spelling, no AA, RA, our options; TC where it is too long."""
    read = parse(answer)
    assert read is not None
    assert query.question is not None
    flags = read.flags & ~_AA | _RA
    start = HEADER_OCTETS + len(query.question.spelled)
    packet = (
        struct.pack("!HH", query.id, flags) + answer[4:HEADER_OCTETS] + query.question.spelled + answer[start:]
    )
    if read.edns is not None and query.edns is not None and read.edns.is_last:
        kept = tuple(each for each in read.edns.options if each[0] == message.EXTENDED_ERROR)
        packet = packet[: read.edns.start] + message.opt_record(
            (*kept, *options), read.edns.extended_rcode, payload, dnssec_ok=query.dnssec_ok
        )
    if len(packet) <= limit:
        return packet
    opt = b"" if query.edns is None else message.opt_record((), 0, payload, dnssec_ok=query.dnssec_ok)
    header = struct.pack("!6H", query.id, flags | _TC, 1, 0, 0, int(bool(opt)))
    return header + packet[HEADER_OCTETS : start + 4] + opt


def unanswered() -> Response:
    """Say that nobody who was asked has answered."""
    return Response(message.SERVFAIL, error=ExtendedError(NO_ANSWER, "no forwarder answered in time"))


def outside(exchange: Exchange) -> Response | Elsewhere:
    """Forward a question outside our zones, or refuse it with the rule where there is one."""
    sentence = problem(exchange)
    if sentence is None:
        return Elsewhere()
    code = PROHIBITED if sentence else NOT_AUTHORITATIVE
    return Response(message.REFUSED, error=ExtendedError(code, sentence))
