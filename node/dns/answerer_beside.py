"""Answers that names have in common because none of them exists: denials, wildcards, referrals, refusals.

A name that nobody asked for before is answered as another one of its length was, below the same name that exists. What
is left to do is to look whether it exists by now. So a flood of made-up names costs little more than names
that are asked for often, and fills no cache.
"""

from node.dns.answerer_entry import HEAD_OCTETS, Known
from node.dns.table_copy import Place
from node.dns.table_reader import Reader

ANSWERS_MAX = 4_096
_LABEL_OCTETS_MAX = 63
_LEVELS = tuple(range(8))
"""Labels between a name and the one above it that exists; names with more are looked up each time."""


class Beside:
    """What is known of names that do not exist. All octets are in lower case."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._known: dict[tuple[int, bytes, bytes], tuple[Known, bytes]] = {}
        """By where the name that exists stands in a packet without its id, what is before the question, and all from there on."""
        self._odd: set[bytes] = set()

    def clear(self) -> None:
        """Forget everything."""
        self._known.clear()
        self._odd.clear()

    def find(self, packet: bytes) -> Known | None:
        """Return what answers a packet without its id, None where that is not known."""
        if not self._known:
            return None
        get, head, start = self._known.get, packet[:HEAD_OCTETS], HEAD_OCTETS
        try:
            for _ in _LEVELS:
                start += 1 + packet[start]
                found = get((start, head, packet[start:]))
                if found is not None:
                    known, zone_key = found
                    return known if self._are_missing(packet, start, known[1] - 4, zone_key) else None
        except IndexError:  # no name ends there
            pass
        return None

    def keep(self, packet: bytes, place: Place, known: Known) -> None:
        """Keep the answer to a packet without its id for all names of the place."""
        end = known[1] - 4
        base = end - len(place.base)
        if len(self._known) >= ANSWERS_MAX:
            self.clear()
        self._odd.update(place.odd)
        if self._are_missing(packet, base, end, place.zone_key):
            self._known[base, packet[:HEAD_OCTETS], packet[base:]] = known, place.zone_key

    def _are_missing(self, packet: bytes, base: int, end: int, zone_key: bytes) -> bool:
        """Say whether the labels before ``base`` are some, and no name that begins with one of them exists or is odd."""
        start, lacks = HEAD_OCTETS, self._reader.lacks
        while start < base:
            name, octets = packet[start:end], packet[start]
            if not 0 < octets <= _LABEL_OCTETS_MAX:
                return False
            if name in self._reader.odd or name in self._odd or (zone_key and not lacks(zone_key, name)):
                return False
            start += 1 + octets
        return True
