"""Copying a prepared answer out of the serving table and fitting it to a question."""

import mmap
import struct
from dataclasses import dataclass

from node.dns import table_layout as layout

COUNTS = struct.Struct("!HHHH")


@dataclass(frozen=True, slots=True)
class Place:
    """Names of one length below ``base`` that do not exist, nor any between them and it, and are not ``odd``."""

    base: bytes
    zone_key: bytes
    """Of the zone that they would be in; empty outside all zones."""
    odd: tuple[bytes, ...]
    """Names that are answered otherwise, though they do not exist."""


@dataclass(slots=True)
class Prepared:
    """An answer as it stands in the table, for questions of one name's length."""

    flags: int
    counts: bytes
    """The four counts of a header, without an OPT record."""
    body: bytes
    """The records; empty when there is no room for them in any datagram."""
    total_octets: int
    """Octets of all records."""
    required_octets: int
    """Octets of the records without which the answer is truncated."""
    dnssec_differs: bool
    exact: bool
    """It belongs to one name; otherwise to a place that answers for many."""
    cell: int = 0
    """Where the serial in it comes from, 0 for none."""
    turn: tuple[int, int, int] = (0, 0, 0)
    """Place of the first turned rdata, distance to the next, how many."""
    error: bytes = b""
    """The OPT record that replaces the usual one."""
    is_leased: bool = False
    avoid: tuple[bytes, ...] = ()
    """Labels below a wildcard's parent that it does not answer so."""
    source: bytes = b""
    """The name it comes from where that is not the one asked for."""
    place: "Place | None" = None
    """Where names that do not exist are all answered so."""

    def bodies(self) -> list[bytes]:
        """Return the records in every order that ``rotation`` 0, 1, 2 ... gives."""
        place, stride, count = self.turn
        if not self.body or count < 2:
            return [self.body]
        width = stride - 12
        rdatas = [self.body[place + stride * k : place + stride * k + width] for k in range(count)]
        found = []
        for start in range(count):
            turned = bytearray(self.body)
            for k in range(count):
                turned[place + stride * k : place + stride * k + width] = rdatas[(start + k) % count]
            found.append(bytes(turned))
        return found


@dataclass(slots=True)
class Stored:
    """An answer's record, read and not yet fitted to a question."""

    template: Prepared
    serial_at: int
    pointers: tuple[int, ...]
    avoid: tuple[bytes, ...]
    end: int


def read(buffer: mmap.mmap, position: int) -> Stored:
    """Read an answer's record."""
    fields = layout.ANSWER.unpack_from(buffer, position)
    _, record, body_octets, total, required, flags, answers, authorities, additionals, cell = fields[:10]
    serial_at, turn_at, stride, turned, pointers, options = fields[10:]
    end = position + record
    place = position + layout.ANSWER.size
    moved = struct.unpack_from(f"<{pointers}H", buffer, place)
    place += 2 * pointers
    avoid = []
    while length := buffer[place]:
        avoid.append(buffer[place + 1 : place + 1 + length])
        place += 1 + length
    place += 1
    template = Prepared(
        flags,
        COUNTS.pack(1, answers, authorities, additionals),
        buffer[place : place + body_octets],
        total,
        required,
        bool(options & layout.ANSWER_DNSSEC_DIFFERS),
        False,
        cell,
        (turn_at, stride, turned),
    )
    return Stored(template, serial_at, moved, tuple(avoid), end)


def fit(stored: Stored, shift: int, words: memoryview) -> Prepared:
    """Move pointers by the shift and put the serial in."""
    template = stored.template
    body = template.body
    if body:
        fresh = bytearray(body)
        for place in stored.pointers if shift else ():
            pointer = (fresh[place] << 8 | fresh[place + 1]) + shift
            fresh[place], fresh[place + 1] = pointer >> 8, pointer & 255
        if template.cell:
            serial = words[template.cell] & 0xFFFF_FFFF
            fresh[stored.serial_at : stored.serial_at + 4] = serial.to_bytes(4, "big")
        body = bytes(fresh)
    return Prepared(
        template.flags,
        template.counts,
        body,
        template.total_octets,
        template.required_octets,
        template.dnssec_differs,
        template.exact,
        template.cell,
        template.turn,
        avoid=stored.avoid,
    )
