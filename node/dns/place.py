"""What a zone has at a name: the tree walk of RFC 1034 section 4.3.2 with RFC 4592 and RFC 6672. Pure."""

from dataclasses import dataclass
from enum import Enum

import msgspec

from node.zone.name import NAME_OCTETS_MAX, Name, iter_ancestors, wildcard_of
from node.zone.nodes import Node
from node.zone.rrset import DNAME, NS, RRset
from node.zone.zone import Zone

DS, RRSIG, NSEC3 = 43, 46, 50
_NOTHING = Node()


class Standing(Enum):
    """How a name stands in a zone."""

    EXACT = "the name exists, perhaps as an empty non-terminal"
    WILDCARD = "a wildcard stands for the name"
    MISSING = "the name does not exist"
    CUT = "the name is delegated, or lies below a delegation"
    DNAME = "the name lies below a DNAME"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a search ended.

    ``owner`` and ``node`` are the name's own, the wildcard's, the cut's or the DNAME's. ``encloser`` is the
    deepest existing name at or above the one searched for (RFC 4592 section 3.3.1).
    """

    standing: Standing
    owner: Name
    node: Node
    encloser: Name


def visible(node: Node | None, type_: int) -> RRset | None:
    """Return the RRset of this type unless it is disabled."""
    rrset = None if node is None else node.get(type_)
    return None if rrset is None or rrset.disabled else rrset


def locate(zone: Zone, name: Name, type_: int) -> Place:
    """Search a name that lies in the zone. A DS at a cut is the upper side's (RFC 4035 section 3.1.4.1)."""
    encloser, node = zone.name, zone.node(zone.name) or _NOTHING
    for step in _downward(name, zone.name):
        below = zone.node(step)
        if below is None or not below.is_visible or _is_hash(below):
            return _beyond(zone, name, encloser)
        encloser, node = step, below
        if step != zone.name and visible(node, NS) and not (step == name and type_ == DS):
            return Place(Standing.CUT, step, node, step)
        if step != name and visible(node, DNAME):
            return Place(Standing.DNAME, step, node, step)
    return Place(Standing.EXACT, name, node, encloser)


def signatures(node: Node, rrset: RRset) -> list[RRset]:
    """Return the RRSIGs that the node has for an RRset, under the RRset's name and ttl (RFC 4034 section 3)."""
    signed = visible(node, RRSIG)
    if signed is None:
        return []
    covering = rrset.type.to_bytes(2, "big")
    rdatas = tuple(rdata for rdata in signed.rdatas if rdata[:2] == covering)
    return [RRset(rrset.name, RRSIG, rrset.ttl, rdatas)] if rdatas else []


def as_owner(rrset: RRset, owner: Name) -> RRset:
    """Return an RRset under another name, as a wildcard's RRsets are answered."""
    return rrset if rrset.name == owner else msgspec.structs.replace(rrset, name=owner)


def _downward(name: Name, apex: Name) -> list[Name]:
    """List the names from the apex down to ``name``."""
    path = []
    for step in iter_ancestors(name):
        path.append(step)
        if step == apex:
            break
    path.reverse()
    return path


def _beyond(zone: Zone, name: Name, encloser: Name) -> Place:
    """Judge a name that does not exist: the wildcard of its closest encloser may stand for it."""
    if len(encloser) + 2 <= NAME_OCTETS_MAX:
        source = wildcard_of(encloser)
        node = zone.node(source)
        if node is not None and node.is_visible:
            return Place(Standing.WILDCARD, source, node, encloser)
    return Place(Standing.MISSING, name, _NOTHING, encloser)


def _is_hash(node: Node) -> bool:
    """Say whether the node is an NSEC3's only, which does not make its name exist (RFC 5155 section 7.2.8)."""
    return node.children == 0 and {rrset.type for rrset in node.rrsets} in ({NSEC3}, {NSEC3, RRSIG})
