"""Answers that names have in common because none of them exists: denials, wildcards, referrals, refusals.

A name that nobody asked for before is answered as another one of its length was, below the same name that exists. What
is left to do is to look whether it exists by now. So a flood of made-up names costs little more than names
that are asked for often, and fills no cache.
"""

from zlib import crc32

from node.dns.answerer_entry import HEAD_OCTETS, Known
from node.dns.table_copy import Place
from node.dns.table_reader import Reader

ANSWERS_MAX = 4_096
_LABEL_OCTETS_MAX = 63
_SECOND_LABEL = HEAD_OCTETS + 1
"""Where it starts in a packet without its id, but for the octets of the first."""
_LEVELS = tuple(range(8))
"""Labels between a name and the one above it that exists; names with more are looked up each time."""

_Answer = tuple[Known, int, bytes, int]
"""What is known, where the name ends, the zone's part of a key, and the checksum of what is before the name there."""


class Beside:
    """What is known of names that do not exist. All octets are in lower case."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._lacks = reader.lacks
        self._known: dict[bytes, dict[int, dict[bytes, _Answer]]] = {}
        """By a packet from the name that exists on, where that stands in one without its id, and what is before the question."""
        self._count = 0
        self._odd: set[bytes] = set()
        self.clear()

    def clear(self) -> None:
        """Forget everything; to be called when the reader has looked at the zones anew, too."""
        self._known.clear()
        self._count = 0
        self._odd.clear()
        self._odd.update(self._reader.odd)

    def find(self, packet: bytes) -> Known | None:
        """Return what answers a packet without its id, None where that is not known."""
        get, start = self._known.get, HEAD_OCTETS
        try:
            for _ in _LEVELS:
                start += 1 + packet[start]
                places = get(packet[start:])
                if places is not None:
                    known, end, zone_key, seed = places[start][packet[:HEAD_OCTETS]]
                    if start - packet[HEAD_OCTETS] != _SECOND_LABEL:
                        return known if self._are_missing(packet, start, end, zone_key, seed) else None
                    name = packet[HEAD_OCTETS:end]  # most have one label more than what exists
                    if name in self._odd or not 0 < name[0] <= _LABEL_OCTETS_MAX:
                        return None
                    return known if not zone_key or self._lacks(zone_key, name, crc32(name, seed)) else None
        except (IndexError, KeyError):  # no name ends there, or none was answered that stands so
            pass
        return None

    def keep(self, packet: bytes, place: Place, known: Known) -> None:
        """Keep the answer to a packet without its id for all names of the place."""
        end = known[1] - 4
        base = end - len(place.base)
        if self._count >= ANSWERS_MAX:
            self.clear()
        self._odd.update(place.odd)
        seed = crc32(place.zone_key + bytes((end - HEAD_OCTETS,)))
        if self._are_missing(packet, base, end, place.zone_key, seed):
            places = self._known.setdefault(packet[base:], {}).setdefault(base, {})
            places[packet[:HEAD_OCTETS]] = known, end, place.zone_key, seed
            self._count += 1

    def _are_missing(self, packet: bytes, base: int, end: int, zone_key: bytes, seed: int) -> bool:
        """Say whether the labels before ``base`` are some, and no name that begins with one of them exists or is odd.

        ``seed`` is the checksum of what is before the first name in its key.
        """
        start, lacks, odd = HEAD_OCTETS, self._lacks, self._odd
        while start < base:
            name, octets = packet[start:end], packet[start]
            if name in odd or not 0 < octets <= _LABEL_OCTETS_MAX:
                return False
            if zone_key and not lacks(zone_key, name, crc32(name, seed)):
                return False
            start += 1 + octets
            if start < base:
                seed = crc32(zone_key + bytes((end - start,)))
        return True
