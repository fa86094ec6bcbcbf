"""What two versions of a zone differ in, as far as answers do. Pure."""

from collections.abc import Iterator

from node.dns.place import visible
from node.dns.table_watch import exists, is_signed
from node.state.state import Changed
from node.zone.name import Name, iter_ancestors, parent
from node.zone.rrset import CNAME, DNAME, SOA
from node.zone.zone import Zone, _hash, soa_with_serial

_RRSIG = 46
_DIGEST_MODULUS = 2**128


def character(zone: Zone) -> tuple[bool, ...]:
    """Return what all answers of a zone hang on."""
    apex = zone.node(zone.name)
    return (
        is_signed(zone),
        visible(apex, SOA) is not None,
        visible(apex, CNAME) is not None,
        visible(apex, DNAME) is not None,
        apex is not None and apex.get(_RRSIG) is not None,
    )


def is_same_soa(before: Zone, after: Zone) -> bool:
    """Say whether no more of the SOA changed than its serial."""
    first, second = visible(before.node(before.name), SOA), visible(after.node(after.name), SOA)
    if first is None or second is None:
        return first is second
    return soa_with_serial(first, 0) == soa_with_serial(second, 0)


def is_alike(before: Zone, after: Zone, name: Name) -> bool:
    """Say whether nothing at a name changed but the serial."""
    old, new = before.node(name), after.node(name)
    if old is new:
        return True
    if old is None or new is None or exists(before, name) != exists(after, name):
        return False
    if name != after.name:
        return old.rrsets == new.rrsets
    soas = [rrset for node in (old, new) for rrset in node.rrsets if rrset.type == SOA]
    others = [[rrset for rrset in node.rrsets if rrset.type != SOA] for node in (old, new)]
    return others[0] == others[1] and len({soa_with_serial(soa, 0) for soa in soas}) == 1


def appearing(before: Zone, after: Zone, name: Name) -> Iterator[Name]:
    """Yield the names above that came or went, as empty non-terminals do."""
    if name == after.name:
        return
    for above in iter_ancestors(parent(name)):
        if above == after.name:
            return
        if before.node(above) is not after.node(above) and exists(before, above) != exists(after, above):
            yield above


def touched(before: Zone, after: Zone, changed: Changed | None) -> list[Name]:
    """Return the names whose RRsets differ: the given ones where they are all, else all are compared."""
    if changed is not None:
        named = [name for apex, name in changed.names if apex == after.name]
        if _digest_change(before, after, named) == (after.digest - before.digest) % _DIGEST_MODULUS:
            return named
    old, new = before.nodes, after.nodes
    return [
        *(name for name, node in new.items() if old.get(name) is not node),
        *(name for name in old if name not in new),
    ]


def _digest_change(before: Zone, after: Zone, names: list[Name]) -> int:
    """Return by how much the zone's digest changes if nothing but these names changed."""
    total = 0
    for name in names:
        old, new = before.node(name), after.node(name)
        if old is not new:
            total += sum(map(_hash, new.rrsets)) if new else 0
            total -= sum(map(_hash, old.rrsets)) if old else 0
    return total % _DIGEST_MODULUS
