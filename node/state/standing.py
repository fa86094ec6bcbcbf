"""How names would stand after a change: alone with a CNAME, not hidden, and not in the way of a service."""

from immutables import Map

from node.state.draft import Draft
from node.state.state import Refused, ServiceState
from node.zone.name import Name, is_within, iter_ancestors, to_text
from node.zone.nodes import NOWHERE
from node.zone.rrset import AAAA, CNAME, DNAME, NS, A, RRset, type_to_text
from node.zone.zone import Zone

_BESIDE_CNAME = frozenset({CNAME, 46, 47, 50, 25})
"""RRSIG, NSEC, NSEC3 and KEY may stand beside a CNAME (RFC 4034 section 2.5, RFC 2181 section 10.1)."""
_MANAGED = (A, AAAA)
_HIDING = (NS, DNAME)

Overlay = dict[tuple[Name, int], RRset | None]
Changes = dict[Name, dict[int, RRset | None]]
"""Of an overlay, by name and type."""


def names_problem(draft: Draft, zone: Zone, overlay: Overlay) -> Refused | None:
    """Check each touched name as it would stand: no CNAME beside other data, no service's RRset."""
    services = draft.state.services
    for name, changes in _delicate(zone, overlay, services).items():
        wrong = _managed_problem(draft, zone, name, changes) or _alone_problem(draft, zone, name, changes)
        if wrong:
            return wrong
    return _hiding_problem(draft, zone, overlay)


def _delicate(zone: Zone, overlay: Overlay, services: "Map[Name, ServiceState]") -> Changes:
    """Return the changes of the names where something may stand in the way: a service, or a CNAME.

    At most names there is neither, and a thousand of them come in one entry.
    """
    get = zone.nodes.get
    delicate = {
        name
        for name, type_ in overlay
        if type_ == CNAME
        or name in services
        or ((node := get(name)) is not None and node.get(CNAME) is not None)
    }
    found: Changes = {}
    for (name, type_), rrset in overlay.items() if delicate else ():
        if name in delicate:  # in the order of the entry: the first problem found is the one that is told
            found.setdefault(name, {})[type_] = rrset
    return found


def _managed_problem(draft: Draft, zone: Zone, name: Name, changes: dict[int, RRset | None]) -> Refused | None:
    if name not in draft.state.services:
        return None
    for type_, rrset in changes.items():
        if type_ in (*_MANAGED, CNAME) and rrset != zone.get(name, type_):
            text = to_text(name)
            return draft.refused(
                "conflict",
                f"{text} {type_to_text(type_)} belongs to the service {text}",
                f"qdns endpoint add {text} ADDRESS",
            )
    return None


def alone_problem(draft: Draft, zone: Zone, overlay: Overlay) -> Refused | None:
    """Check that no CNAME comes to stand beside other data."""
    found = (
        _alone_problem(draft, zone, name, changes) for name, changes in _delicate(zone, overlay, Map()).items()
    )
    return next((wrong for wrong in found if wrong), None)


def _alone_problem(draft: Draft, zone: Zone, name: Name, changes: dict[int, RRset | None]) -> Refused | None:
    """A CNAME has its name for itself (RFC 1034 section 3.6.2)."""
    node = zone.node(name) or NOWHERE
    if CNAME not in changes and node.get(CNAME) is None:
        return None
    types = {rrset.type for rrset in node.rrsets if changes.get(rrset.type, rrset) is not None}
    types |= {type_ for type_, rrset in changes.items() if rrset is not None}
    if CNAME in types and not types <= _BESIDE_CNAME:
        others = ", ".join(type_to_text(type_) for type_ in sorted(types - _BESIDE_CNAME))
        return draft.refused("conflict", f"{to_text(name)} cannot have a CNAME beside {others}")
    return None


def _hiding_problem(draft: Draft, zone: Zone, overlay: Overlay) -> Refused | None:
    """A delegation or a DNAME must not take a service of this zone out of its answers."""
    new: dict[Name, list[RRset]] = {}
    for (_, type_), rrset in overlay.items():
        if type_ in _HIDING and rrset is not None and hides(zone, rrset):
            new.setdefault(rrset.name, []).append(rrset)
    if not new:
        return None
    tenants = (fqdn for fqdn, each in draft.state.services.items() if each.service.zone == zone.name)
    hidden = [fqdn for fqdn in tenants if _hider(new, fqdn) is not None]
    if not hidden:
        return None
    hider = _hider(new, min(hidden))
    assert hider is not None
    what = f"{to_text(hider.name)} {type_to_text(hider.type)}"
    return draft.refused("conflict", f"{what} would hide the service {to_text(min(hidden))}")


def _hider(new: dict[Name, list[RRset]], name: Name) -> RRset | None:
    above = (rrset for ancestor in iter_ancestors(name) for rrset in new.get(ancestor, ()))
    return next((rrset for rrset in above if is_hidden_by(name, rrset)), None)


def hides(zone: Zone, rrset: RRset) -> bool:
    """Say whether an RRset sends those who ask below it elsewhere (RFC 1034 section 4.2.1, RFC 6672)."""
    is_cut = rrset.type == NS and rrset.name != zone.name
    return (is_cut or rrset.type == DNAME) and not rrset.disabled


def is_hidden_by(name: Name, rrset: RRset) -> bool:
    """Say whether a name is answered by such an RRset; a DNAME leaves its own name alone."""
    return is_within(name, rrset.name) and (rrset.type != DNAME or name != rrset.name)


def hiding(zone: Zone, name: Name) -> RRset | None:
    """Return the RRset of the zone that hides a name, or None."""
    for ancestor in iter_ancestors(name):
        node = zone.node(ancestor)
        for rrset in node.rrsets if node is not None else ():
            if hides(zone, rrset) and is_hidden_by(name, rrset):
                return rrset
        if ancestor == zone.name:
            break
    return None
