"""Messages from octets to values (RFC 1035 section 4, RFC 6891). Pure.

dnslib is not asked here: it drops a last EDNS option without data, refuses labels that are not UTF-8, and follows
pointers by recursion. A query needs no more than its header, its question and its OPT record, and
nothing in it is worth following a pointer for, so reading costs no more than a walk over its octets.
"""

import struct
from dataclasses import dataclass

from node.dns.cookie import COOKIE
from node.zone.name import LABEL_OCTETS_MAX, NAME_OCTETS_MAX, Name

QUERY, NOTIFY, UPDATE = 0, 4, 5
IN, CHAOS = 1, 3
OPT, TSIG = 41, 250
RECURSION_DESIRED = 0x0100

HEADER_OCTETS = 12


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. ``spelled`` is the name as the asker wrote it, uncompressed, upper case kept."""

    name: Name
    type: int
    class_: int
    spelled: bytes


@dataclass(frozen=True, slots=True)
class Edns:
    """The OPT record of a query (RFC 6891 section 6.1)."""

    payload_octets: int
    version: int
    dnssec_ok: bool
    options: tuple[tuple[int, bytes], ...] = ()
    start: int = 0
    """Where the record stands in its message."""
    is_last: bool = False
    extended_rcode: int = 0
    """The upper 8 bits of an answer's rcode."""

    def option(self, code: int) -> bytes | None:
        """Return the first option of this code, or None."""
        return next((data for each, data in self.options if each == code), None)


@dataclass(frozen=True, slots=True)
class Query:
    """A message as far as it could be read; ``fault`` says what is wrong with it.

    Only a request for a cookie has neither question nor fault (RFC 7873 section 5.4).
    """

    id: int
    flags: int
    """The second 16 bits of the header."""
    question: Question | None = None
    edns: Edns | None = None
    fault: str | None = None
    tsig_start: int | None = None
    """Where the TSIG record starts that ends the message; nothing is known of it yet."""

    @property
    def is_answer(self) -> bool:
        """Say whether the QR bit is set."""
        return bool(self.flags & 0x8000)

    @property
    def opcode(self) -> int:
        """The kind of the request: ``QUERY``, ``NOTIFY``, ``UPDATE`` or another."""
        return self.flags >> 11 & 15

    @property
    def dnssec_ok(self) -> bool:
        """Say whether signatures and proofs are wanted (RFC 3225)."""
        return self.edns is not None and self.edns.dnssec_ok


class _Malformed(Exception):
    """The octets are not a message; the text says where."""


def parse(packet: bytes) -> Query | None:
    """Read a message; None when it has no header. Never raises: see ``Query.fault``."""
    if len(packet) < HEADER_OCTETS:
        return None
    id_, flags, *counts = struct.unpack_from("!6H", packet)
    question: Question | None = None
    try:
        if counts[0] != 1:
            return _without_question(packet, id_, flags, counts)
        question, position = _read_question(packet)
        edns, tsig_start = _read_records(packet, position, counts)
    except _Malformed as fault:
        return Query(id_, flags, question, fault=str(fault))
    return Query(id_, flags, question, edns, tsig_start=tsig_start)


def _without_question(packet: bytes, id_: int, flags: int, counts: list[int]) -> Query:
    """Read a message that has no question, or more than one; its EDNS record may still matter (RFC 7873 section 5.4)."""
    fault = f"there are {counts[0]} questions, not one"
    if counts[0] != 0:
        return Query(id_, flags, fault=fault)
    edns, _ = _read_records(packet, HEADER_OCTETS, counts)
    asks_for_cookie = edns is not None and edns.option(COOKIE) is not None
    return Query(id_, flags, edns=edns, fault=None if asks_for_cookie else fault)


def _read_question(packet: bytes) -> tuple[Question, int]:
    """Read the question. Its name is the first of the message, so nothing can be pointed to."""
    position = HEADER_OCTETS
    while position < len(packet) and packet[position]:
        if packet[position] > LABEL_OCTETS_MAX:
            raise _Malformed("the name asked for holds a pointer or an unknown kind of label")
        position += 1 + packet[position]
    position += 1
    spelled = packet[HEADER_OCTETS:position]
    if position + 4 > len(packet):
        raise _Malformed("the message ends within the question")
    if len(spelled) > NAME_OCTETS_MAX:
        raise _Malformed("the name asked for is longer than 255 octets")
    type_, class_ = struct.unpack_from("!HH", packet, position)
    return Question(Name(spelled.lower()), type_, class_, spelled), position + 4


def _read_records(packet: bytes, position: int, counts: list[int]) -> tuple[Edns | None, int | None]:
    """Walk over all records to the end; return the OPT record and where a TSIG starts."""
    edns: Edns | None = None
    tsig_start: int | None = None
    total = sum(counts[1:])
    for number in range(total):
        start = position
        position = _skip_name(packet, position)
        if position + 10 > len(packet):
            raise _Malformed("the message ends within a record")
        type_, class_, ttl, length = struct.unpack_from("!HHIH", packet, position)
        position += 10 + length
        if position > len(packet):
            raise _Malformed("the message ends within a record's data")
        is_additional = number >= total - counts[3]
        if type_ == OPT:
            if edns is not None or not is_additional or packet[start] != 0:
                raise _Malformed("an OPT record stands at the wrong place")
            options = _read_options(packet[position - length : position])
            is_last = number + 1 == total
            edns = Edns(class_, ttl >> 16 & 255, bool(ttl & 0x8000), options, start, is_last, ttl >> 24)
        elif type_ == TSIG:
            if number + 1 != total or not is_additional:
                raise _Malformed("a TSIG record is not the last one")
            tsig_start = start
    if position != len(packet):
        raise _Malformed("octets follow the last record")
    return edns, tsig_start


def _skip_name(packet: bytes, position: int) -> int:
    """Return the position after a name; pointers are not followed, so this costs no more than its octets."""
    while position < len(packet):
        length = packet[position]
        if length == 0:
            return position + 1
        if length >= 0xC0:
            return position + 2
        if length > LABEL_OCTETS_MAX:
            break
        position += 1 + length
    raise _Malformed("a name has no end, or an unknown kind of label")


def _read_options(octets: bytes) -> tuple[tuple[int, bytes], ...]:
    options = []
    position = 0
    while position < len(octets):
        if position + 4 > len(octets):
            raise _Malformed("an EDNS option is cut short")
        code, length = struct.unpack_from("!HH", octets, position)
        position += 4 + length
        if position > len(octets):
            raise _Malformed("an EDNS option is cut short")
        options.append((code, octets[position - length : position]))
    return tuple(options)
