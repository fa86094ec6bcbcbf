"""What should stand on a target, as a function of the replicated State alone. Pure.

A plan's number is the log index of the latest change that concerns the target, so that every node
gives the same number to the same contents, and unrelated entries leave a target up to date.
"""

import ipaddress
from collections.abc import Iterable, Iterator

import msgspec

from node.health import publish
from node.push.orders import Key, Order, ZonePlan
from node.state.pushes import Target
from node.state.state import Delivery, ServiceState, State
from node.state.targets import covers
from node.zone.name import Name
from node.zone.rrset import AAAA, NS, SOA, A, RRset
from node.zone.zone import Zone

RRSETS_MAX = 100_000
"""A zone with more RRsets than this is for zone transfers, not for pushes."""

_FAMILIES = (A, AAAA)


class TooMany(ValueError):
    """The zone is too large to be pushed; the message says what to do."""


def wanted(state: State, target: Target) -> int:
    """Return the log index of the latest change that concerns the target; never below what was delivered."""
    delivery = state.deliveries.get(target.name, Delivery())
    indexes = [delivery.plan, delivery.refresh_index, state.target_indexes.get(target.name, 0)]
    indexes += [each.index for each in delivery.leftovers]
    indexes += [index_of(each) for each in _services(state, target)]
    indexes += [_zone_index(zone) for zone in _whole_zones(state, target)]
    return max(indexes)


def index_of(service_state: ServiceState) -> int:
    """Return the log index of the latest change that may have moved the service's RRsets."""
    verdicts = (each.index for _, each in service_state.endpoints)
    return max(service_state.index, service_state.published_index, *verdicts, 0)


def zones_of(state: State, target: Target) -> tuple[Name, ...]:
    """Return the zones in which something of ours stands, or may still stand, on the target."""
    zones = {each.service.zone for each in _services(state, target)}
    zones.update(zone.name for zone in _whole_zones(state, target))
    zones.update(each.zone for each in state.deliveries.get(target.name, Delivery()).leftovers)
    return tuple(sorted(zones))


def desired(state: State, target: Target, since: int = 0) -> tuple[ZonePlan, ...]:
    """Return the orders by zone; with ``since``, at least those that differ from what plan ``since`` held.

    Raises ``TooMany``.
    """
    orders: dict[Name, dict[Key, Order]] = {}
    delivery = state.deliveries.get(target.name, Delivery())
    for zone in _whole_zones(state, target):
        _lay(orders, zone.name, _zone_orders(zone, since, delivery.plan))
    owned = _leftover_addresses(delivery, since)
    for each in _services(state, target):
        if index_of(each) > since:
            service = each.service
            addresses = [*each.retired, *(address for address, _ in each.endpoints), *service.fallback]
            addresses += owned.pop((service.zone, service.fqdn), ())
            _lay(orders, service.zone, _service_orders(each, addresses, target))
    for (apex, fqdn), addresses in owned.items():
        if fqdn not in state.services or state.services[fqdn].service.zone != apex:
            for type_, known in _families(addresses).items():
                standing = orders.get(apex, {}).get((fqdn, type_), Order(fqdn, type_, 0, ()))
                _lay(orders, apex, [msgspec.structs.replace(standing, known=known)])
    return tuple(
        ZonePlan(zone, tuple(orders[zone][key] for key in sorted(orders[zone]))) for zone in sorted(orders)
    )


# --- services -------------------------------------------------------------------------------------


def _services(state: State, target: Target) -> Iterator[ServiceState]:
    for each in state.services.values():
        if covers(target, each.service.zone):
            yield each


def _service_orders(each: ServiceState, addresses: list[str], target: Target) -> Iterator[Order]:
    rrsets = {rrset.type: rrset.rdatas for rrset in publish.rrsets(each.service, each.published, each.ttl)}
    families = _families(addresses)
    for type_ in _FAMILIES:
        rdatas = rrsets.get(type_, ())
        if rdatas or families[type_] or target.own == "name":
            yield Order(each.service.fqdn, type_, each.ttl, rdatas, families[type_])


def _families(addresses: Iterable[str]) -> dict[int, tuple[bytes, ...]]:
    """Sort addresses by record type, as rdatas."""
    found: dict[int, set[bytes]] = {A: set(), AAAA: set()}
    for text in addresses:
        address = ipaddress.ip_address(text)
        found[A if address.version == 4 else AAAA].add(address.packed)
    return {type_: tuple(sorted(rdatas)) for type_, rdatas in found.items()}


def _leftover_addresses(delivery: Delivery, since: int) -> dict[tuple[Name, Name], list[str]]:
    """Return the addresses of services that went, by zone and name."""
    found: dict[tuple[Name, Name], list[str]] = {}
    for each in delivery.leftovers:
        if each.index > since:
            found.setdefault((each.zone, each.fqdn), []).extend(each.addresses)
    return found


# --- whole zones ----------------------------------------------------------------------------------


def _whole_zones(state: State, target: Target) -> Iterator[Zone]:
    if target.what == "all":
        for zone in state.zones.values():
            if covers(target, zone.name):
                yield zone


def _zone_index(zone: Zone) -> int:
    """Return the log index of the zone's latest change; without a history, of the latest that still shows."""
    if zone.history:
        return zone.history[-1].index
    return max((node.index for node in zone.nodes.values()), default=0)


def _zone_orders(zone: Zone, since: int, delivered: int) -> Iterator[Order]:
    """Order every RRset of the zone, or those that changed after ``since`` when the history reaches back.

    What was removed after ``delivered``, the plan last known to stand, may still be on the target.
    """
    removed: dict[Key, set[bytes]] = {}
    changed: set[Key] = set()
    for delta in zone.history:
        for rrset in delta.removed if delta.index > delivered else ():
            removed.setdefault((rrset.name, rrset.type), set()).update(rrset.rdatas)
        if delta.index > since:
            changed.update((rrset.name, rrset.type) for rrset in (*delta.removed, *delta.added))
    reaches = since > 0 and any(delta.index <= since for delta in zone.history)
    for key in changed if reaches else _keys(zone) | removed.keys():
        if not _is_apex_own(zone, key):
            yield _zone_order(zone.get(*key), key, removed.get(key, set()))


def _zone_order(present: RRset | None, key: Key, removed: set[bytes]) -> Order:
    standing = present if present is not None and not present.disabled else None
    rdatas = standing.rdatas if standing is not None else ()
    known = removed.union(present.rdatas if present is not None else ())
    return Order(*key, standing.ttl if standing is not None else 0, rdatas, tuple(sorted(known)))


def _keys(zone: Zone) -> set[Key]:
    if zone.rrset_count > RRSETS_MAX:
        raise TooMany(
            f"the zone has {zone.rrset_count} RRsets, {RRSETS_MAX} can be pushed; use a zone transfer instead"
        )
    return {(rrset.name, rrset.type) for node in zone.nodes.values() for rrset in node.rrsets}


def _is_apex_own(zone: Zone, key: Key) -> bool:
    """The SOA and the apex NS of the other server's zone are its own."""
    return key[0] == zone.name and key[1] in (SOA, NS)


def _lay(orders: dict[Name, dict[Key, Order]], zone: Name, more: Iterable[Order]) -> None:
    """Put orders over those already there for the same name and type; what is known to be ours adds up."""
    layer = orders.setdefault(zone, {})
    for order in more:
        before = layer.get(order.key)
        known = set(order.known) | set(before.known if before is not None else ())
        layer[order.key] = Order(order.name, order.type, order.ttl, order.rdatas, tuple(sorted(known)))
