"""One prepared answer as octets: what a reader must know to fit it to a question. Pure."""

import struct
from collections.abc import Iterable, Iterator
from itertools import pairwise

from node.dns import table_layout as layout
from node.dns.lookup import Answer
from node.dns.message import _COMPRESSIBLE
from node.zone.name import ROOT, Name, is_within, parent
from node.zone.rrset import AAAA, SOA, A

_TOTAL_OCTETS_MAX = 65_535
_AVOID_MAX = 32
_FIXED = struct.Struct("!HHIH")
_QUESTION_PLACE = 12


def unprepared(type_: int) -> bytes:
    """Write the record of an answer that ``respond`` must give: too long to copy, too short to cut."""
    record = layout.ANSWER.size + 1
    return layout.ANSWER.pack(type_, record, 0, _TOTAL_OCTETS_MAX, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) + b"\x00"


def packed(
    type_: int,
    wire: bytes,
    body_start: int,
    *,
    required_octets: int,
    body_octets_max: int,
    cell: int,
    has_serial: bool,
    differs: bool,
    is_moved: bool,
    keep_owner: bool,
    avoid: Iterable[bytes],
) -> bytes:
    """Write the record of a rendered message, whose records start at ``body_start``.

    ``is_moved``: questions of other lengths are answered from it; ``keep_owner``: pointers to the question's start stay.
    """
    _, flags, _, answers, authorities, additionals = struct.unpack_from("!6H", wire)
    body = wire[body_start:]
    labels = list(avoid)
    anatomy = _Anatomy(wire, body_start, answers, answers + authorities + additionals)
    turn = anatomy.turn
    is_dated = has_serial and (not cell or anatomy.serials != 1)
    if is_dated or turn is None or len(labels) > _AVOID_MAX:
        return unprepared(type_)
    pointers = anatomy.moved(keep_owner=keep_owner) if is_moved else []
    total, required = (min(octets, _TOTAL_OCTETS_MAX) for octets in (len(body), required_octets))
    if len(body) > body_octets_max or len(pointers) > 255:
        body, pointers, labels = b"", [], []
    tail = b"".join(
        (
            struct.pack(f"<{len(pointers)}H", *pointers),
            *(bytes((len(label),)) + label for label in labels),
            b"\x00",
            body,
        )
    )
    place, stride, count = turn
    return (
        layout.ANSWER.pack(
            type_,
            layout.ANSWER.size + len(tail),
            len(body),
            total,
            required,
            flags,
            answers,
            authorities,
            additionals,
            cell,
            anatomy.serial_at,
            place,
            stride,
            count if body else 0,
            len(pointers),
            layout.ANSWER_DNSSEC_DIFFERS * differs,
        )
        + tail
    )


def names_in(answer: Answer) -> set[Name]:
    """Return the names in an answer that compression may shorten, in lower case."""
    return names_beside(answer) | {rrset.name for rrset in answer.answer[:1]}


def names_beside(answer: Answer) -> set[Name]:
    """Return the names in an answer without the owner of its first records."""
    rrsets = (*answer.answer, *answer.authority, *answer.glue, *answer.additional)
    names = {rrset.name for rrset in rrsets[1 if answer.answer else 0 :]}
    for rrset in rrsets:
        start, count = _COMPRESSIBLE.get(rrset.type, (0, 0))
        for rdata in rrset.rdatas if count else ():
            names.update(_names_at(rdata, start, count))
    return names


def suffixes_below(names: Iterable[Name], base: Name) -> set[Name]:
    """Return every end of the names that lies strictly below ``base``."""
    found = set()
    for name in names:
        step = name
        while step not in found and step not in (base, ROOT) and is_within(step, base):
            found.add(step)
            step = parent(step)
    return found


def _names_at(rdata: bytes, start: int, count: int) -> Iterator[Name]:
    position = start
    for _ in range(count):
        begin = position
        while rdata[position]:
            position += 1 + rdata[position]
        position += 1
        yield Name(rdata[begin:position].lower())


class _Anatomy:
    """Where pointers, serials and address rdatas stand in a message's records, counted from their start."""

    def __init__(self, wire: bytes, start: int, answers: int, records: int) -> None:
        self._wire = wire
        self._start = start
        self._pointers: list[int] = []
        self._addresses: list[tuple[int, int]] = []
        self.serial_at = self.serials = 0
        position = start
        for number in range(records):
            position = self._record(position, is_answer=number < answers)

    @property
    def turn(self) -> tuple[int, int, int] | None:
        """Place of the first address, distance to the next, how many; None when the distances differ."""
        if len(self._addresses) < 2 or len(self._addresses) > layout.TURNED_MAX:
            return 0, 0, 0
        places = [place for place, _ in self._addresses]
        stride = places[1] - places[0]
        steady = all(later - earlier == stride for earlier, later in pairwise(places))
        widths = {width for _, width in self._addresses}
        return (places[0], stride, len(places)) if steady and widths == {stride - 12} else None

    def moved(self, *, keep_owner: bool) -> list[int]:
        """Return the places of pointers that move with the question's length."""
        return [place for place in self._pointers if not keep_owner or self._target(place) != _QUESTION_PLACE]

    def _target(self, place: int) -> int:
        return int.from_bytes(self._wire[self._start + place : self._start + place + 2], "big") & 0x3FFF

    def _record(self, position: int, *, is_answer: bool) -> int:
        position = self._name(position)
        type_, _, _, length = _FIXED.unpack_from(self._wire, position)
        position += _FIXED.size
        end: int = position + length
        if type_ in (A, AAAA) and is_answer:
            self._addresses.append((position - self._start, length))
        start, count = _COMPRESSIBLE.get(type_, (0, 0))
        position += start
        for _ in range(count):
            position = self._name(position)
        if type_ == SOA:
            self.serials += 1
            self.serial_at = end - 20 - self._start
        return end

    def _name(self, position: int) -> int:
        wire = self._wire
        while length := wire[position]:
            if length >= 0xC0:
                self._pointers.append(position - self._start)
                return position + 2
            position += 1 + length
        return position + 1
