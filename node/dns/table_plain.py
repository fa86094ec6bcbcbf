"""The short way for names that hold nothing but data: the same block without a walk and a message. Pure.

Most names of a large zone have an address or a text and nothing else. Their answers are their records behind a pointer
to the question, which is what ``message.render`` writes for them; tests hold the two ways together.
"""

import struct

from node.dns import table_layout as layout
from node.dns.additional import _NAME_STARTS
from node.dns.message import _COMPRESSIBLE
from node.zone.name import Name, is_wildcard
from node.zone.nodes import Node
from node.zone.rrset import DNAME, RRset

_WITH_MEANING = frozenset({DNAME, 43, 46, 47, 50, 51, *_NAME_STARTS, *_COMPRESSIBLE})
"""Types that lead elsewhere, belong to proofs, or hold names that are shortened."""
_FIXED = struct.Struct("!HHHIH")
_OWNER = 0xC00C
_TURNED_OCTETS = {1: 4, 28: 16}
_FLAGS = 0x8400


def plain_block(number: int, node: Node, name: Name, body_octets_max: int) -> bytes | None:
    """Return the block of a visible name of an unsigned zone, None where the long way is needed."""
    if is_wildcard(name) or any(rrset.type in _WITH_MEANING for rrset in node.rrsets):
        return None
    shown = [rrset for rrset in node.rrsets if not rrset.disabled]
    if len(shown) >= layout.NO_ENTRY:
        return None
    if any(_octets(rrset) > body_octets_max for rrset in shown):
        return None
    return b"".join(
        (
            layout.NODE_KEY_HEAD.pack(number, len(name)),
            name,
            layout.NODE_HEAD.pack(0, 0 if shown else layout.NO_ENTRY, len(shown), 0),
            *map(_record, shown),
        )
    )


def _octets(rrset: RRset) -> int:
    return sum(map(len, rrset.rdatas)) + _FIXED.size * len(rrset.rdatas)


def _record(rrset: RRset) -> bytes:
    """Write the records of one RRset as an answer that stands alone."""
    body = b"".join(
        [_FIXED.pack(_OWNER, rrset.type, 1, rrset.ttl, len(rdata)) + rdata for rdata in rrset.rdatas]
    )
    octets, count = len(body), len(rrset.rdatas)
    width = _TURNED_OCTETS.get(rrset.type)
    turn = (12, 12 + width, count) if width and 1 < count <= layout.TURNED_MAX else (0, 0, 0)
    return (
        layout.ANSWER.pack(
            rrset.type,
            layout.ANSWER.size + 1 + octets,
            octets,
            octets,
            octets,
            _FLAGS,
            count,
            0,
            0,
            0,
            0,
            *turn,
            0,
            0,
        )
        + b"\x00"
        + body
    )
