"""Leases: what goes away unless it is renewed in time.

The log holds for how long a lease is granted and at which index, never until when: no clock is read
here. The leader measures the time on its own monotonic clock and proposes ``ExpireLeases`` with the
index of the grant that ran out; a renewal that came first in the log makes that void. So everything
expires on all nodes at one index, and a lease that expired cannot be renewed.
"""

from collections.abc import Iterator

import msgspec

from node.state.command import AddRdatas, ChangeZone, ExpireLeases, Grant, LeaseWish, Prerequisite, PutRRset
from node.state.draft import Draft
from node.state.state import Lease, Refused, Result
from node.zone.lease import SUBTREE, LeaseKey
from node.zone.name import Name, is_within, to_text
from node.zone.rrset import AAAA, CNAME, NS, SOA, A, RRset, rdata_to_text, type_to_text
from node.zone.zone import Replacement, Zone

LEASES_MAX = 10_000
LEASE_S_MAX = 366 * 86_400
_MANAGED = (A, AAAA, CNAME)

Overlay = dict[tuple[Name, int], RRset | None]


def text_of(key: LeaseKey) -> str:
    """Write what a lease is on, for people."""
    if key.type == SUBTREE:
        return f"everything at and below {to_text(key.name)}"
    rdata = f" {rdata_to_text(key.type, key.rdata)}" if key.rdata else ""
    return f"{to_text(key.name)} {type_to_text(key.type)}{rdata}"


def ttl_within(ttl: int, lease_s: int) -> int:
    """Return the ttl of records that are leased for a time: half of it at most, so that it is over before the lease."""
    return min(ttl, max(1, lease_s // 2))


# --- with a change of a zone -----------------------------------------------------------------------


def shorten(overlay: Overlay, wishes: tuple[LeaseWish, ...]) -> None:
    """Give what is put together with a lease a ttl that fits into it."""
    for wish in wishes:
        place = (wish.key.name, wish.key.type)
        rrset = overlay.get(place)
        if rrset is not None and wish.ttl_s:
            overlay[place] = msgspec.structs.replace(rrset, ttl=ttl_within(rrset.ttl, wish.ttl_s))


def settle(draft: Draft, before: Zone, overlay: Overlay, command: ChangeZone) -> Refused | None:
    """End the leases of what was put anew or is gone, then fulfil the command's wishes."""
    if draft.state.leases:
        for (name, type_), rrset in overlay.items():
            _end_gone(draft, before, name, type_, rrset)
        if not command.keep_leases:
            wished = frozenset(wish.key for wish in command.leases)
            for change in command.changes:
                _end_replaced(draft, before, change, wished)
    for wish in command.leases:
        wrong = _fulfil(draft, command.zone, wish)
        if wrong:
            return wrong
    return None


def _end_gone(draft: Draft, before: Zone, name: Name, type_: int, after: RRset | None) -> None:
    old = before.get(name, type_)
    left = () if after is None else after.rdatas
    for rdata in () if old is None else old.rdatas:
        if rdata not in left:
            draft.put_lease(LeaseKey(before.name, name, type_, rdata), None)
    if after is None:
        draft.put_lease(LeaseKey(before.name, name, type_), None)


def _end_replaced(draft: Draft, before: Zone, change: object, wished: frozenset[LeaseKey]) -> None:
    """What is put plainly stays for ever; an addition says so of its own records alone."""
    if not isinstance(change, PutRRset | AddRdatas):
        return
    name, type_ = change.rrset.name, change.rrset.type
    keys = [LeaseKey(before.name, name, type_, rdata) for rdata in change.rrset.rdatas]
    keys += [LeaseKey(before.name, name, type_)] if isinstance(change, PutRRset) else []
    for key in keys:
        if key not in wished:
            draft.put_lease(key, None)


def _fulfil(draft: Draft, zone_name: Name, wish: LeaseWish) -> Refused | None:
    wrong = _wish_problem(draft, zone_name, wish)
    if wrong:
        return wrong
    key, known = wish.key, draft.state.leases.get(wish.key)
    if wish.ttl_s is None or (wish.ttl_s == 0 and key.type != SUBTREE):
        draft.put_lease(key, None)
        return None
    if known is None and len(draft.state.leases) >= LEASES_MAX:
        return draft.refused("conflict", f"there are {LEASES_MAX} leases already, which is the limit")
    if wish.ttl_s == 0 and known is not None and known.ttl_s == 0:
        return None
    since = draft.index if known is None else known.since
    draft.put_lease(key, Lease(wish.ttl_s, draft.index, since))
    if wish.ttl_s and (known is None or known.ttl_s == 0):
        draft.tell("lease.granted", to_text(key.name), f"{text_of(key)} for {wish.ttl_s} s", **_data(key))
    return None


def _wish_problem(draft: Draft, zone_name: Name, wish: LeaseWish) -> Refused | None:
    key = wish.key
    zone = draft.state.zones[zone_name]
    if key.zone != zone_name or not is_within(key.name, zone_name):
        return draft.refused("invalid", f"{text_of(key)} is not in the zone {to_text(zone_name)}")
    if wish.ttl_s is not None and not 0 <= wish.ttl_s <= LEASE_S_MAX:
        return draft.refused("invalid", f"a lease is between 1 and {LEASE_S_MAX} seconds, not {wish.ttl_s}")
    is_own = key.name == zone_name and key.type in (SUBTREE, SOA, NS)
    if is_own and (wish.ttl_s or (wish.ttl_s == 0 and key.type == SUBTREE)):
        return draft.refused("invalid", f"{text_of(key)} belongs to the zone itself and cannot be leased")
    if not wish.ttl_s:
        return None
    tenant = _tenant(draft, key)
    if tenant is not None:
        detail = f"{text_of(key)} holds the service {to_text(tenant)}, whose health decides what stays"
        return draft.refused("conflict", detail)
    if key.type == SUBTREE:
        return None
    rrset = zone.get(key.name, key.type)
    if rrset is None or (key.rdata and key.rdata not in rrset.rdatas):
        return draft.refused("not-found", f"{text_of(key)} does not exist, so it cannot be leased")
    return None


def _tenant(draft: Draft, key: LeaseKey) -> Name | None:
    """Return a service of the zone that the lease would take away from, or None."""
    if key.type != SUBTREE:
        return key.name if key.name in draft.state.services and key.type in _MANAGED else None
    found = (
        fqdn
        for fqdn, each in draft.state.services.items()
        if each.service.zone == key.zone and is_within(fqdn, key.name)
    )
    return min(found, default=None)


def subtree_above(draft: Draft, zone: Name, name: Name) -> LeaseKey | None:
    """Return a lease that takes everything at this name away one day, or None."""
    above = (
        key
        for key, lease in draft.state.leases.items()
        if key.type == SUBTREE and lease.ttl_s and key.covers(zone, name, SUBTREE)
    )
    return min(above, default=None)


def unmet_directory(draft: Draft, zone: Zone, prerequisite: Prerequisite) -> str | None:
    """Return a sentence that says that a directory is not as the prerequisite wants it, or None."""
    if prerequisite.kind not in ("directory-exists", "directory-absent"):
        return None
    is_made = LeaseKey(zone.name, prerequisite.name) in draft.state.leases
    exists = is_made or zone.node(prerequisite.name) is not None
    if exists == (prerequisite.kind == "directory-exists"):
        return None
    return f"{to_text(prerequisite.name)} {'exists' if exists else 'does not exist'}"


def forget_zone(draft: Draft, zone: Name) -> None:
    """End all leases of a zone that is gone."""
    for key in sorted(each for each in draft.state.leases if each.zone == zone):
        draft.put_lease(key, None)


def forget_gone(draft: Draft, zone: Zone) -> None:
    """End the leases of a zone's RRsets and records that a whole new version no longer has."""
    for key in sorted(each for each in draft.state.leases if each.zone == zone.name and each.type != SUBTREE):
        rrset = zone.get(key.name, key.type)
        if rrset is None or (key.rdata and key.rdata not in rrset.rdatas):
            draft.put_lease(key, None)


# --- expiry -----------------------------------------------------------------------------------------


def expire(draft: Draft, command: ExpireLeases) -> Result:
    """Take away what the leases are on, each zone in one change."""
    due: dict[Name, dict[LeaseKey, None]] = {}
    for grant in command.grants:
        if _is_due(draft, grant):
            due.setdefault(grant.key.zone, {})[grant.key] = None
    for zone_name, keys in due.items():
        _expire_in(draft, draft.state.zones.get(zone_name), tuple(keys))
    return draft.accepted()


def _is_due(draft: Draft, grant: Grant) -> bool:
    lease = draft.state.leases.get(grant.key)
    return lease is not None and lease.ttl_s > 0 and lease.index == grant.index


def _expire_in(draft: Draft, zone: Zone | None, keys: tuple[LeaseKey, ...]) -> None:
    overlay: Overlay = {}
    for key in keys:
        for name, type_ in () if zone is None else _places(draft, zone, key):
            old = overlay.get((name, type_), zone.get(name, type_) if zone else None)
            overlay[(name, type_)] = _without(old, key.rdata)
        draft.tell("lease.expired", to_text(key.name), text_of(key), **_data(key))
    if zone is not None:
        draft.change_zone(
            zone, [Replacement(name, type_, rrset) for (name, type_), rrset in overlay.items()], keys
        )
        for (name, type_), rrset in overlay.items():
            _end_gone(draft, zone, name, type_, rrset)
    for key in keys:
        draft.put_lease(key, None)
        if key.type == SUBTREE:
            _end_below(draft, key)


def _end_below(draft: Draft, above: LeaseKey) -> None:
    """End the leases of what went with a directory; a service's name may be there still."""
    for key in sorted(each for each in draft.state.leases if above.covers(each.zone, each.name, SUBTREE)):
        draft.put_lease(key, None)


def _without(rrset: RRset | None, rdata: bytes) -> RRset | None:
    if rrset is None or not rdata:
        return None
    left = tuple(each for each in rrset.rdatas if each != rdata)
    return msgspec.structs.replace(rrset, rdatas=left) if left else None


def _places(draft: Draft, zone: Zone, key: LeaseKey) -> Iterator[tuple[Name, int]]:
    """Yield the RRsets that a lease is on; what health decides stays."""
    if key.type != SUBTREE:
        yield key.name, key.type
        return
    for name in names_below(zone, key.name):
        for rrset in zone.nodes[name].rrsets:
            if not (rrset.type in _MANAGED and name in draft.state.services):
                yield name, rrset.type


def names_below(zone: Zone, top: Name) -> list[Name]:
    """Return the name and all below it, sorted; a name without children costs nothing in a large zone."""
    node = zone.node(top)
    if node is None or not node.children:
        return [] if node is None else [top]
    return sorted(name for name in zone.nodes if is_within(name, top))


def _data(key: LeaseKey) -> dict[str, str]:
    data = {"zone": to_text(key.zone), "name": to_text(key.name)}
    return data if key.type == SUBTREE else data | {"type": type_to_text(key.type)}
