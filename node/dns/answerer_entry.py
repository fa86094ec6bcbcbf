"""What an answerer keeps: the answers to one question, for queries of one kind."""

from collections.abc import Iterator
from functools import lru_cache
from itertools import cycle, repeat

from node.dns import table_layout as layout
from node.dns.table_copy import Place

HEAD_OCTETS = 10
"""Of a packet without its id before the question: flags and counts."""
Known = tuple[bytes, int, bytes, Iterator[bytes], int, bytes, bytes | None]
"""How a packet is answered: flags and counts; where the question ends, without the id; what follows it, or nothing
and its turns; the place of its count; its source; and the packet's octets outside its name where they tell it from another
packet that is the same in lower case."""


class Kind:
    """Queries that differ neither in the room they leave nor in the OPT record that answers them."""

    __slots__ = ("dnssec_ok", "entries", "has_opt", "limit")

    def __init__(self, limit: int, *, has_opt: bool, dnssec_ok: bool) -> None:
        self.limit = limit
        self.has_opt = has_opt
        self.dnssec_ok = dnssec_ok
        self.entries: dict[bytes, Entry] = {}


class Entry:
    """The answers to one question."""

    __slots__ = (
        "cell",
        "exact",
        "heads",
        "is_kept",
        "key",
        "kind",
        "name",
        "packets",
        "place",
        "source",
        "standing",
        "tails",
        "turns",
    )

    def __init__(
        self, kind: Kind, key: bytes, name: bytes, heads: tuple[bytes, ...], tails: list[bytes], place: int
    ) -> None:
        self.kind = kind
        self.key = key
        self.name = name
        self.heads = heads
        """Flags and counts, for each of the four ways that RD and CD can be set."""
        self.tails = tails
        """What follows the question, once for every turn of its address records."""
        self.turns: Iterator[bytes] = cycle(tails) if len(tails) > 1 else repeat(tails[0])
        self.packets: list[bytes] = []
        self.place = place
        self.source = name
        """What the answer comes from, behind its rcode: answers with the same are alike."""
        self.cell = 0
        self.exact = self.is_kept = False
        self.standing: Place | None = None
        """Where all names are answered so that do not exist."""

    def known(self, packet: bytes, end: int) -> Known:
        """Write down how a packet without its id is answered whose question ends there."""
        outside = outside_name(packet, end)
        has_letters = outside.lower() != outside or outside.upper() != outside
        tail = self.tails[0] if len(self.tails) == 1 else b""
        ways = packet[0] & 1 | packet[1] >> 3 & 2
        return (
            self.heads[ways],
            end,
            tail,
            self.turns,
            self.place,
            self.source,
            outside if has_letters else None,
        )


def outside_name(packet: bytes, end: int) -> bytes:
    """Return the octets of a packet without its id that are not its name's; its question ends at ``end``."""
    return packet[:HEAD_OCTETS] + packet[end - 4 :]


def is_meant(known: Known, packet: bytes) -> bool:
    """Say whether what was found by a packet in lower case is for this one."""
    return known[6] is None or known[6] == outside_name(packet, known[1])


@lru_cache(1024)
def heads_of(flags: int, counts: bytes) -> tuple[bytes, ...]:
    """Make flags and counts for each of the four ways that RD and CD can be set."""
    return tuple(
        (flags | 0x0100 * (ways & 1) | 0x0010 * (ways >> 1)).to_bytes(2, "big") + counts for ways in range(4)
    )


def with_dnssec_ok(opt: bytes) -> bytes:
    """Set DO in an OPT record."""
    place = layout.OPT_FLAGS_OCTET
    return opt[:place] + bytes((opt[place] | 0x80,)) + opt[place + 1 :]


def one_more(counts: bytes) -> bytes:
    """Count one more additional record."""
    return counts[:6] + (int.from_bytes(counts[6:], "big") + 1).to_bytes(2, "big")


def is_name(octets: bytes) -> bool:
    """Say whether the octets are exactly one name without pointers (RFC 1035 section 3.1)."""
    if not 0 < len(octets) <= 255:
        return False
    position = 0
    while position < len(octets):
        length = octets[position]
        if length == 0:
            return position + 1 == len(octets)
        if length > 63:
            return False
        position += 1 + length
    return False
