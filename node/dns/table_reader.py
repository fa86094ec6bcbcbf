"""Reading the serving table: find the name, walk to what answers for it, copy. Nothing is decided here.

Every answer was rendered by ``lookup`` and ``message`` when it was written. A reader only moves compression
pointers by the length of the question, puts in the zone's current serial, and turns address records.
"""

import mmap
import struct
import time
from zlib import crc32

from node.dns import table_layout as layout
from node.dns.table_copy import COUNTS, Place, Prepared, Stored, fit, read

_ANY, _DS = 255, 43
_UNPREPARED = frozenset({0, 41, *range(128, 255)})
"""Types that are no data of a zone: asking for them is not a plain question."""
_WORD_ZONES = layout.WORD_ZONES
_ROOT = b"\x00"
_OCTETS = [bytes((octet,)) for octet in range(256)]
_NAME_OCTETS_MAX = 255


class BadTable(Exception):
    """The buffer holds no table of this program's format; the message says why."""


class _Zone:
    """What a reader knows of one zone."""

    __slots__ = ("apex", "flags", "key", "offset", "served", "templates")

    def __init__(self, offset: int, number: int, served: int, apex: bytes, flags: tuple[int, int]) -> None:
        self.offset = offset
        """Where it stands in the list of zones."""
        self.key = number.to_bytes(4, "little")
        self.served = bool(served)
        self.apex = apex
        self.flags = flags
        self.templates: dict[bytes, Stored] = {}


class Reader:
    """A reader of one table. ``buffer`` is the shared mapping."""

    def __init__(self, buffer: mmap.mmap) -> None:
        self.buffer = buffer
        self.words = memoryview(buffer).cast("Q")
        if self.words[layout.WORD_MAGIC] != layout.MAGIC:
            raise BadTable("the shared memory holds no serving table")
        if self.words[layout.WORD_FORMAT] != layout.FORMAT:
            raise BadTable(
                f"the serving table has format {self.words[layout.WORD_FORMAT]}, this program reads {layout.FORMAT}"
            )
        self.zones: dict[bytes, _Zone] = {}
        self.odd: frozenset[bytes] = frozenset()
        """Names that do not exist in a zone and are not answered as those beside them: other zones, and ends of denials."""
        self.payload_octets = 512
        self.refusal_flags = 0
        self.opt = self.refusal_opt = b""
        self._slots = self._mask = self._base = 0
        self.zones_word = 0
        """Where the list stands that the zones were read from."""

    def close(self) -> None:
        """Let go of the mapping."""
        self.words.release()
        self.buffer.close()

    def do_leases_hold(self) -> bool:
        """Say whether leased answers may be given now: whoever watches the leases is alive, or was just now."""
        return self.words[layout.WORD_LEASES] > time.monotonic_ns() // 1_000_000

    def refresh(self) -> bool:
        """Read zones and constants again; say whether the table may be answered from."""
        constants = self.words[layout.WORD_CONSTANTS]
        if constants:
            self._read_constants(constants)
        self.zones_word = self.words[layout.WORD_ZONES]
        self.zones = self._read_zones(self.zones_word)
        self.odd = frozenset(self.zones).union(*(zone.templates for zone in self.zones.values()))
        return constants != 0

    def lacks(self, zone_key: bytes, name: bytes, hash_: int) -> bool:
        """Say whether a zone that is shown has no such name, nor had one when ``see_slots`` was called.

        ``hash_`` is that of the name's key.
        """
        words, mask, base = self.words, self._mask, self._base
        position = hash_ & mask
        while word := words[base + position]:
            if word >> 32 == hash_:  # one look decides: names of one hash may be many, and are easy to make
                if self._find(zone_key, name):
                    return False
                break
            position = (position + 1) & mask
        return words[_WORD_ZONES] == self.zones_word

    def see_slots(self) -> None:
        """Take note of the slot array, which may have been replaced by a larger one. To be called in each epoch."""
        slots = self.words[layout.WORD_SLOTS]
        if slots != self._slots:
            self._slots = slots
            self._mask = (1 << (slots >> 56)) - 1
            self._base = (slots & 0xFF_FFFF_FFFF_FFFF) >> 3

    def resolve(self, name: bytes, type_: int) -> Prepared | None:
        """Return the prepared answer for a lower-case wire name, None where there is none and ``respond`` must be asked."""
        if type_ in _UNPREPARED:
            return None
        zone = self._zone_of(name, type_)
        if zone is None:
            refusal = Prepared(self.refusal_flags, COUNTS.pack(1, 0, 0, 0), b"", 0, 0, False, False)
            refusal.error, refusal.source, refusal.place = self.refusal_opt, _ROOT, Place(_ROOT, b"", ())
            return refusal
        if not zone.served:
            return None
        found = self._search(zone, name, type_)
        # A zone that was rebuilt meanwhile loses its names under the number that this reader knows.
        return found if self.words[layout.WORD_ZONES] == self.zones_word else None

    # --- walking ---------------------------------------------------------------------------------

    def _zone_of(self, name: bytes, type_: int) -> _Zone | None:
        """Return the longest zone that holds the name; for a DS at an apex the one above, where there is one."""
        zones = self.zones
        zone = _longest(zones, name)
        if type_ == _DS and zone is not None and len(zone.apex) == len(name) > 1:
            return _longest(zones, name[1 + name[0] :]) or zone
        return zone

    def _search(self, zone: _Zone, name: bytes, type_: int) -> Prepared | None:
        """Find the node of the name and the topmost cut above it."""
        buffer, find, key = self.buffer, self._find, zone.key
        found = stop = 0
        is_cut = False
        stop_name = encloser = child = b""
        step = name
        end = len(zone.apex)
        self.see_slots()
        while len(step) > end:
            node = find(key, step)
            if node:
                if not encloser:
                    encloser, found = step, node
                flags = buffer[node + 9 + len(step)]
                if flags:
                    if flags & layout.NODE_CUT and not (type_ == _DS and step == name):
                        stop, stop_name, is_cut = node, step, True
                    elif flags & layout.NODE_DNAME and step != name:
                        stop, stop_name, is_cut = node, step, False
            elif not encloser:
                child = step
            step = step[1 + step[0] :]
        if stop:
            return self._refer(stop, stop_name, name, zone.key, encloser) if is_cut else None
        if encloser == name:
            return self._entry(zone, found, name, type_, name, b"")
        if not child:
            found = find(key, name)
            return self._entry(zone, found, name, type_, name, b"") if found else None
        return self._expand(zone, encloser or zone.apex, child, name, type_)

    def _expand(self, zone: _Zone, encloser: bytes, child: bytes, name: bytes, type_: int) -> Prepared | None:
        """Answer from the wildcard of the closest encloser, where there is one (RFC 4592 section 3.3)."""
        if type_ == _DS and name in self.zones:
            return None  # a zone of ours that the one above does not delegate
        wildcard = b"\x01*" + encloser
        source = 0 if len(wildcard) > _NAME_OCTETS_MAX else self._find(zone.key, wildcard)
        if not source:
            found = self._negative(zone, name, 1)
        elif self.buffer[source + 9 + len(wildcard)]:
            return None
        else:
            found = self._entry(zone, source, wildcard, type_, name, child)
        if found is None:
            return None
        found.source = found.source or wildcard
        avoided = tuple(bytes((len(label),)) + label + encloser for label in found.avoid)
        found.place = Place(encloser, zone.key, avoided)
        return found

    def _find(self, zone_key: bytes, name: bytes) -> int:
        """Return the offset of a node's block, 0 when there is none."""
        key = zone_key + _OCTETS[len(name)] + name
        hash_ = crc32(key)
        words, mask, base = self.words, self._mask, self._base
        position = hash_ & mask
        while word := words[base + position]:
            if word >> 32 == hash_:
                offset = (word & layout.SLOT_OFFSET_MASK) << 4
                if offset and self.buffer[offset + 4 : offset + 4 + len(key)] == key:
                    return offset
            position = (position + 1) & mask
        return 0

    # --- copying ---------------------------------------------------------------------------------

    def _entry(
        self, zone: _Zone, node: int, owner: bytes, type_: int, name: bytes, child: bytes
    ) -> Prepared | None:
        """Copy a node's answer for a type; ``child`` is the name below the encloser where a wildcard answers."""
        shift = len(name) - len(owner)
        position = node + 9 + len(owner)
        flags, any_entry, entries, _ = layout.NODE_HEAD.unpack_from(self.buffer, position)
        position += layout.NODE_HEAD.size
        is_leased = bool(flags & layout.NODE_LEASED)
        default = 0
        for number in range(entries):
            entry_type, octets = struct.unpack_from("<HH", self.buffer, position)
            if entry_type == type_ or (number == any_entry and type_ == _ANY):
                return self._fitted(position, shift, child, exact=not child, is_leased=is_leased)
            if entry_type == layout.TYPE_DEFAULT:
                default = position
            position += octets
        if type_ == _ANY and entries:
            return None
        if default:
            if type_ == _DS:
                return None
            return self._fitted(default, shift, child, exact=not child, is_leased=is_leased)
        return self._negative(zone, name, 0)

    def _refer(
        self, cut: int, cut_name: bytes, name: bytes, zone_key: bytes, encloser: bytes
    ) -> Prepared | None:
        """Copy the referral whose template has the longest end in common with the name."""
        position = cut + 9 + len(cut_name)
        flags, _, entries, templates = layout.NODE_HEAD.unpack_from(self.buffer, position)
        if flags & layout.NODE_LEASED:
            return None
        position += layout.NODE_HEAD.size
        for _ in range(entries):
            position += struct.unpack_from("<HH", self.buffer, position)[1]
        best, best_octets, suffixes = 0, 0, []
        for _ in range(templates):
            octets = self.buffer[position]
            suffix = self.buffer[position + 1 : position + 1 + octets]
            suffixes.append(suffix)
            position += 1 + octets
            if octets > best_octets and _ends_with(name, suffix):
                best, best_octets = position, octets
            position += struct.unpack_from("<HH", self.buffer, position)[1]
        found = self._fitted(best, len(name) - best_octets, b"", exact=False) if best else None
        if found is not None:
            found.source = cut_name
            found.place = None if encloser == name else Place(encloser, zone_key, tuple(suffixes))
        return found

    def _negative(self, zone: _Zone, name: bytes, kind: int) -> Prepared | None:
        """Copy the zone's answer to what does not exist: ``kind`` 0 for the type, 1 for the name."""
        suffix = name
        while suffix not in zone.templates:
            if len(suffix) <= len(zone.apex):
                return None
            suffix = suffix[1 + suffix[0] :]
        ready = fit(zone.templates[suffix], len(name) - len(suffix), self.words)
        ready.exact = False
        ready.flags = zone.flags[kind]
        ready.source = zone.apex
        return ready

    def _fitted(
        self, position: int, shift: int, child: bytes, *, exact: bool, is_leased: bool = False
    ) -> Prepared | None:
        """Read an answer's record and fit it to the question; None when its names could meet the question's."""
        stored = read(self.buffer, position)
        if child and child[1 : 1 + child[0]] in stored.avoid:
            return None
        ready = fit(stored, shift, self.words)
        ready.exact, ready.is_leased = exact, is_leased
        return ready

    def _read_constants(self, offset: int) -> None:
        position = offset + layout.BLOCK_HEAD.size
        payload, flags, opt, refusal = layout.CONSTANTS.unpack_from(self.buffer, position)
        position += layout.CONSTANTS.size
        self.payload_octets, self.refusal_flags = payload, flags
        self.opt = self.buffer[position : position + opt]
        self.refusal_opt = self.buffer[position + opt : position + opt + refusal]

    def _read_zones(self, offset: int) -> dict[bytes, _Zone]:
        if not offset:
            return {}
        position = offset + layout.BLOCK_HEAD.size
        (count,) = layout.ZONES_HEAD.unpack_from(self.buffer, position)
        position += layout.ZONES_HEAD.size
        zones = {}
        for _ in range(count):
            number, _, served, octets, *flags, templates = layout.ZONE_HEAD.unpack_from(self.buffer, position)
            start, position = position, position + layout.ZONE_HEAD.size
            apex = self.buffer[position : position + octets]
            zone = _Zone(start - offset, number, served, apex, (flags[0], flags[1]))
            position += octets
            for _ in range(templates):
                length = self.buffer[position]
                suffix = self.buffer[position + 1 : position + 1 + length]
                stored = read(self.buffer, position + 1 + length)
                zone.templates[suffix] = stored
                position = stored.end
            zones[zone.apex] = zone
        return zones


def _longest(zones: dict[bytes, _Zone], name: bytes) -> _Zone | None:
    """Return the longest zone whose apex is the name or stands above it."""
    while True:
        zone = zones.get(name)
        if zone is not None or name == b"\x00":
            return zone
        name = name[1 + name[0] :]


def _ends_with(name: bytes, suffix: bytes) -> bool:
    """Say whether a wire name is ``suffix`` or lies below it."""
    if not name.endswith(suffix):
        return False
    position, start = 0, len(name) - len(suffix)
    while position < start:
        position += 1 + name[position]
    return position == start
