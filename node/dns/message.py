"""Messages from values to octets (RFC 1035 section 4, RFC 6891); reading is ``query``'s. Pure; the only importer of dnslib.

dnslib writes headers, questions and OPT records into its buffer. What is done here: records, which are stored as
wire octets already; names with any octets in them; pointers only to where a pointer can reach; and
truncation that keeps the question.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from dnslib import EDNS0, DNSHeader, DNSQuestion, EDNSOption
from dnslib.label import DNSBuffer, DNSLabel

from node.dns.query import IN, NOTIFY, OPT, Query
from node.zone.name import ROOT, Name, iter_labels
from node.zone.rrset import AAAA, CNAME, MX, NS, PTR, SOA, A, RRset

NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, YXDOMAIN = range(7)
NOTAUTH, BADVERS, BADCOOKIE = 9, 16, 23

PLAIN_UDP_OCTETS_MAX = 512
MESSAGE_OCTETS_MAX = 65_535
EXTENDED_ERROR, PADDING = 15, 12
_REASON_OCTETS_MAX = 160
"""With the longest question and a cookie this is still less than 512 octets, and less than twice what was asked."""
_POINTER_OFFSET_MAX = 0x3FFF
_POINTER = 0xC000
_HOPS_MAX = 8
"""Readers bound how many pointers of one name they follow; a DNAME that feeds itself would exceed any bound."""
_FIXED = struct.Struct("!HHIH")


@dataclass(frozen=True, slots=True)
class ExtendedError:
    """A reason for people to read (RFC 8914)."""

    code: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """What is to be answered. ``additional`` may be left out where there is no room, ``glue`` may not."""

    rcode: int
    authoritative: bool = False
    answer: tuple[RRset, ...] = ()
    authority: tuple[RRset, ...] = ()
    glue: tuple[RRset, ...] = ()
    additional: tuple[RRset, ...] = ()
    source: Name = ROOT
    """What the answer comes from, for limiting its rate."""
    error: ExtendedError | None = None
    options: tuple[tuple[int, bytes], ...] = ()
    class_: int = IN
    recursion_available: bool = False
    is_ordered: bool = False
    """The addresses stand in the order in which they are to be sent."""


def render(
    query: Query,
    response: Response,
    limit: int,
    *,
    payload_octets: int = 1232,
    rotation: int = 0,
    padding_octets: int = 0,
) -> bytes:
    """Write the answer to a query in at most ``limit`` octets.

    What is only courtesy is left out when there is no room; when the rest does not fit, TC is set and only the
    question is kept (RFC 2181 section 9). ``payload_octets`` is what we say we can receive. ``rotation`` turns
    each answered address RRset by so many places. ``padding_octets`` pads an EDNS answer to a multiple
    (RFC 8467 section 4.1).
    """
    opt = _opt(query, response, payload_octets)
    room = limit - _opt_octets(opt)
    wire = _Wire(room)
    _start(wire, query, response)
    after_question = wire.mark()
    answer = [_turned(rrset, rotation) for rrset in response.answer]
    counts = [wire.put(section, response.class_) for section in (answer, response.authority, response.glue)]
    is_truncated = wire.offset > room
    if is_truncated:
        wire.back_to(after_question)
        counts = [0, 0, 0]
    for rrset in () if is_truncated else response.additional:
        before = wire.mark()
        count = wire.put([rrset], response.class_)
        if wire.offset > room:
            wire.back_to(before)
            continue
        counts[2] += count
    if opt is not None:
        _pad(opt, wire.offset, limit, padding_octets)
        opt.pack(wire)
        counts[2] += 1
    if is_truncated:
        wire.update(2, "!B", wire.data[2] | 0x02)
    wire.update(6, "!3H", *counts)
    return bytes(wire.data)


def notify_message(id_: int, zone: Name, soa: RRset | None) -> bytes:
    """Write a NOTIFY of a zone with the SOA it has now (RFC 1996 section 3.7)."""
    wire = _Wire(MESSAGE_OCTETS_MAX)
    DNSHeader(id_, NOTIFY << 11 | 0x0400, q=1).pack(wire)
    DNSQuestion(DNSLabel(_split(zone)), SOA, IN).pack(wire)
    return wire.with_answers(0 if soa is None else wire.put([soa], IN))


def pack_stream(query: Query, records: Iterable[RRset], limit: int) -> Iterator[bytes]:
    """Write an answer of any length as messages; each holds at least one record, of at most ``limit`` octets or alone.

    Each element of ``records`` is one record. The first message repeats the question (RFC 5936 section 2.2.1).
    """
    wire, count = _stream_start(query, limit), 0
    for record in records:
        before = wire.mark()
        wire.put([record], IN)
        if wire.offset > limit and count:
            wire.back_to(before)
            yield wire.with_answers(count)
            wire, count = _stream_start(replace(query, question=None), limit), 0
            wire.put([record], IN)
        count += 1
    yield wire.with_answers(count)


def _stream_start(query: Query, limit: int) -> "_Wire":
    wire = _Wire(limit)
    _start(wire, query, Response(NOERROR, authoritative=True))
    return wire


def opt_record(
    options: tuple[tuple[int, bytes], ...], extended_rcode: int, payload_octets: int, *, dnssec_ok: bool
) -> bytes:
    """Write an OPT record alone."""
    data = b"".join(struct.pack("!HH", code, len(each)) + each for code, each in options)
    flags = 0x8000 if dnssec_ok else 0
    return struct.pack("!BHHBBHH", 0, OPT, payload_octets, extended_rcode, 0, flags, len(data)) + data


def size_limit(query: Query, *, is_datagram: bool, payload_octets_max: int) -> int:
    """Return how long an answer may be (RFC 6891 section 6.2.5)."""
    if not is_datagram:
        return MESSAGE_OCTETS_MAX
    if query.edns is None:
        return PLAIN_UDP_OCTETS_MAX
    return max(PLAIN_UDP_OCTETS_MAX, min(query.edns.payload_octets, payload_octets_max))


def bare_error(packet: bytes, rcode: int) -> bytes:
    """Return a header that tells an error, for when nothing else of the query can be trusted."""
    id_, flags = struct.unpack_from("!HH", packet)
    return struct.pack("!HH8x", id_, 0x8000 | flags & 0x7900 | rcode)


def _start(wire: "_Wire", query: Query, response: Response) -> None:
    """Write header and question: opcode, RD and CD are the query's (RFC 1035 section 4.1.1, RFC 4035 section 3.1.6)."""
    bitmap = 0x8000 | query.flags & 0x7910 | response.authoritative << 10 | response.rcode & 15
    bitmap |= response.recursion_available << 7
    asked = query.question
    DNSHeader(query.id, bitmap, q=int(asked is not None)).pack(wire)
    if asked is not None:
        DNSQuestion(DNSLabel(_split(asked.spelled)), asked.type, asked.class_).pack(wire)


def _opt(query: Query, response: Response, payload_octets: int) -> EDNS0 | None:
    """Build the OPT record, which an answer has exactly when the query has one (RFC 6891 section 7)."""
    if query.edns is None:
        return None
    options = [EDNSOption(code, data) for code, data in response.options]
    if response.error is not None:
        reason = response.error.text.encode()[:_REASON_OCTETS_MAX]
        whole = reason.decode(errors="ignore").encode()  # no character is cut in two
        data = response.error.code.to_bytes(2, "big") + whole
        options.append(EDNSOption(EXTENDED_ERROR, data))
    return EDNS0(
        ext_rcode=response.rcode >> 4,
        flags="do" if query.edns.dnssec_ok else "",
        udp_len=payload_octets,
        opts=options,
    )


def _opt_octets(opt: EDNS0 | None) -> int:
    return 0 if opt is None else 11 + sum(4 + len(option.data) for option in opt.rdata)


def _pad(opt: EDNS0, offset: int, limit: int, multiple: int) -> None:
    """Add a padding option (RFC 7830) that fills the message up to a multiple of octets."""
    bare = offset + _opt_octets(opt) + 4
    if multiple and bare <= limit:
        opt.rdata.append(EDNSOption(PADDING, bytes(min(-bare % multiple, limit - bare))))


def _turned(rrset: RRset, rotation: int) -> RRset:
    """Turn an address RRset so that another record stands first."""
    if rrset.type not in (A, AAAA) or len(rrset.rdatas) < 2:
        return rrset
    start = rotation % len(rrset.rdatas)
    return RRset(rrset.name, rrset.type, rrset.ttl, rrset.rdatas[start:] + rrset.rdatas[:start])


def _split(octets: bytes) -> list[bytes]:
    return list(iter_labels(Name(octets)))


class _Wire(DNSBuffer):  # type: ignore[misc]  # dnslib has no types
    """dnslib's buffer with names that hold any octets, and pointers only to where a pointer can reach."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.names: dict[tuple[bytes, ...], tuple[int, int]] = {}
        """Where each end of a name stands, and how many pointers lead on from there."""
        self.room = room

    def encode_name(self, name: DNSLabel) -> None:
        """Write a name, its known end as a pointer; upper and lower case count as equal (RFC 4343 section 4)."""
        labels = name.label
        lowered = tuple(label.lower() for label in labels)
        count, place, hops = len(labels), None, 0
        for number in range(len(labels)):
            known = self.names.get(lowered[number:])
            if known is not None and known[1] < _HOPS_MAX:
                count, place, hops = number, known[0], known[1] + 1
                break
        for number in range(count):
            if self.offset <= _POINTER_OFFSET_MAX:
                self.names.setdefault(lowered[number:], (self.offset, hops))
            self.append(bytes((len(labels[number]),)) + labels[number])
        self.append(b"\x00" if place is None else (_POINTER | place).to_bytes(2, "big"))

    def put(self, rrsets: Iterable[RRset], class_: int) -> int:
        """Write RRsets and return how many records they have; stop where there is no more room."""
        count = 0
        for rrset in rrsets:
            owner = DNSLabel(_split(rrset.name))
            names = _COMPRESSIBLE.get(rrset.type)
            for rdata in rrset.rdatas:
                self.encode_name(owner)
                self.append(_FIXED.pack(rrset.type, class_, rrset.ttl, len(rdata)))
                if names is None:
                    self.append(rdata)
                else:
                    self._put_named(rdata, *names)
                count += 1
                if self.offset > self.room:
                    return count
        return count

    def _put_named(self, rdata: bytes, start: int, names: int) -> None:
        """Write an rdata with names that may be compressed, and correct its length."""
        begin = self.offset
        position = start
        self.append(rdata[:start])
        for _ in range(names):
            labels = _split(rdata[position:])
            position += 1 + sum(1 + len(label) for label in labels)
            self.encode_name(DNSLabel(labels))
        self.append(rdata[position:])
        self.update(begin - 2, "!H", self.offset - begin)

    def with_answers(self, count: int) -> bytes:
        """Return the message with so many records in its answer section."""
        self.update(6, "!H", count)
        return bytes(self.data)

    def mark(self) -> int:
        """Return where the message ends now."""
        return int(self.offset)

    def back_to(self, mark: int) -> None:
        """Take away what was written since the mark."""
        del self.data[mark:]
        self.offset = mark
        self.names = {name: place for name, place in self.names.items() if place[0] < mark}


# The types of RFC 1035 whose names every reader expands (RFC 3597 section 4): where the names start, how many.
_COMPRESSIBLE = {NS: (0, 1), CNAME: (0, 1), PTR: (0, 1), MX: (2, 1), SOA: (0, 2)}
