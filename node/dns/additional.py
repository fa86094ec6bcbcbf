"""What goes with an answer so that the asker need not ask again (RFC 1034 section 4.3.2 step 6). Pure.

Only the zone that gave the answer is asked: what other zones of ours say is theirs to answer.
"""

from node.dns.place import Standing, as_owner, locate, signatures, visible
from node.zone.name import ROOT, BadName, Name, from_wire, is_within
from node.zone.rrset import AAAA, MX, NS, SRV, A, RRset
from node.zone.zone import Zone

SVCB, HTTPS = 64, 65
ADDITIONAL_TARGETS_MAX = 32
"""Targets of one RRset that are looked up; the rest the asker can ask for."""


def addresses_for(zone: Zone, rrset: RRset, *, dnssec: bool) -> list[RRset]:
    """Return the addresses, as far as the zone has them, of the names that an RRset points to."""
    found: list[RRset] = []
    for target in _targets(rrset)[:ADDITIONAL_TARGETS_MAX]:
        if not is_within(target, zone.name):
            continue
        place = locate(zone, target, A)
        if place.standing not in (Standing.EXACT, Standing.WILDCARD):
            if place.standing is Standing.CUT:
                found += _glue(zone, target)
            continue
        for type_ in (A, AAAA, *((rrset.type,) if rrset.type in (SVCB, HTTPS) else ())):
            addresses = visible(place.node, type_)
            if addresses is not None:
                shown = as_owner(addresses, target)
                found += [shown, *(signatures(place.node, shown) if dnssec else ())]
    return found


def glue_for(zone: Zone, servers: RRset) -> tuple[tuple[RRset, ...], list[RRset]]:
    """Return a delegation's glue: what it cannot do without, and what the zone knows besides (RFC 9471)."""
    needed: list[RRset] = []
    courtesy: list[RRset] = []
    for target in _targets(servers):
        if is_within(target, zone.name):
            section = needed if is_within(target, servers.name) else courtesy
            section += _glue(zone, target)
    return tuple(needed), courtesy


def _glue(zone: Zone, target: Name) -> list[RRset]:
    """Return the addresses that stand at exactly this name, be it below a cut or not."""
    node = zone.node(target)
    return [rrset for type_ in (A, AAAA) if (rrset := visible(node, type_)) is not None]


def _targets(rrset: RRset) -> list[Name]:
    """Return the names that an RRset's records point to, each once."""
    start = _NAME_STARTS.get(rrset.type)
    if start is None:
        return []
    targets: dict[Name, None] = {}
    for rdata in rrset.rdatas:
        try:
            name = from_wire(_name_at(rdata, start))
        except BadName:
            continue
        # RFC 9460 section 2.5.2: a SVCB record's "." means its own name, unless it is an alias (priority 0).
        if name == ROOT and rrset.type in (SVCB, HTTPS):
            if rdata[:2] == b"\x00\x00":
                continue
            name = rrset.name
        targets[name] = None
    return list(targets)


def _name_at(rdata: bytes, start: int) -> bytes:
    """Cut the uncompressed name that starts at an octet of an rdata."""
    position = start
    while position < len(rdata) and rdata[position]:
        position += 1 + rdata[position]
    return rdata[start : position + 1]


_NAME_STARTS = {NS: 0, MX: 2, SRV: 6, SVCB: 2, HTTPS: 2}
